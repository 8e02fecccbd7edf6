"""`pg-background mcp`: jobs for agents."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ....errors import UserError
from ...errors.extras import missing_extra
from ...options.database import DatabaseArgument
from ...options.given import command
from ...options.numbers import port_number, seconds


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
            help="Serve over HTTP on 127.0.0.1 instead, at /mcp.",
            show_default=False,
        ),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file",
            metavar="PATH",
            envvar="PG_BACKGROUND_TOKEN_FILE",
            help="File with the token that clients must have for --http.",
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
    except ModuleNotFoundError as error:
        raise missing_extra(error, "mcp", "mcp", "pydantic", "anyio", called="mcp") from None
    limits = Limits(allow_writes, max_rows, max_bytes, timeout=timeout)
    if http is None:
        run_stdio(database.conninfo, limits)
        return
    run_http(database.conninfo, limits, http, _token_of(token_file))


def _token_of(path: Path | None) -> str:
    from ....agents.http import LEAST_TOKEN

    if path is None:
        raise typer.BadParameter("--http needs --token-file: whoever uses this machine could connect")
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"can't read {path}: {getattr(error, 'strerror', error)}") from None
    if len(token) < LEAST_TOKEN:
        raise UserError(
            f"{path} must have a token of {LEAST_TOKEN} characters or more",
            hint="make one by: python3 -c 'import secrets; print(secrets.token_urlsafe())'",
        )
    return token
