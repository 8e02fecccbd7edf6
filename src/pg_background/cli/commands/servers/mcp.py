"""`pg-background mcp`: jobs for agents."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from ....errors import UserError
from ...options.database import DatabaseArgument
from ...options.given import command
from ...options.numbers import port_number, seconds

_TOKEN = "PG_BACKGROUND_MCP_TOKEN"


@command("mcp", "mcp --max-rows 50 postgresql://reader@db.example.com/shop")
def mcp(
    database: DatabaseArgument,
    allow_writes: Annotated[
        bool,
        typer.Option(
            "--allow-writes",
            envvar="PG_BACKGROUND_ALLOW_WRITES",
            help="Let jobs write, and let agents cancel, read and forget jobs of others that the role may.",
        ),
    ] = False,
    max_rows: Annotated[
        int,
        typer.Option(
            "--max-rows",
            metavar="N",
            min=1,
            max=10000,
            envvar="PG_BACKGROUND_MAX_ROWS",
            help="Rows of a page.",
        ),
    ] = 200,
    max_bytes: Annotated[
        int,
        typer.Option(
            "--max-bytes",
            metavar="N",
            min=1000,
            max=10_000_000,
            envvar="PG_BACKGROUND_MAX_BYTES",
            help="Size of a page.",
        ),
    ] = 65536,
    timeout: Annotated[
        float | None,
        typer.Option(
            "--timeout",
            metavar="SECONDS",
            parser=seconds,
            envvar="PG_BACKGROUND_TIMEOUT",
            help="Cancel jobs that run longer; by default pg_background.worker_timeout.",
            show_default=False,
        ),
    ] = None,
    http: Annotated[
        int | None,
        typer.Option(
            "--http",
            metavar="PORT",
            parser=port_number,
            envvar="PG_BACKGROUND_HTTP",
            help=f"Serve over HTTP on 127.0.0.1 instead, to those who have the token of {_TOKEN}.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Let agents start, watch and cancel jobs, by the Model Context Protocol.

    It speaks over standard input and output, for the program that starts it. Jobs can only read unless
    --allow-writes is given. Needs the extra `mcp`: pip install 'pg_background[mcp]'.
    """
    try:
        from ....agents import Limits, run_http, run_stdio
        from ....agents.http import LEAST_TOKEN
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ("mcp", "pydantic", "anyio"):
            raise
        raise UserError("mcp is not installed", hint="pip install 'pg_background[mcp]'") from None
    limits = Limits(allow_writes, max_rows, max_bytes, timeout=timeout)
    if http is None:
        run_stdio(database.conninfo, limits)
        return
    token = os.environ.get(_TOKEN, "")
    if len(token) < LEAST_TOKEN:
        raise UserError(
            f"{_TOKEN} must have a token of {LEAST_TOKEN} characters or more for --http",
            hint='export it, as from: python3 -c "import secrets; print(secrets.token_urlsafe())"',
        )
    run_http(database.conninfo, limits, http, token)
