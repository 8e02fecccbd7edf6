"""`pg-background top`: the jobs of the server on a screen, live."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ...errors.extras import missing_extra
from ...options.database import DatabaseArgument
from ...options.given import command
from ...options.numbers import seconds_between
from ...output.terminal import is_terminal


@command("top", "top --interval 5 postgresql://app@db.example.com/shop")
def top(
    database: DatabaseArgument,
    interval: Annotated[
        float,
        typer.Option(
            "--interval",
            "-n",
            metavar="SECONDS",
            parser=seconds_between,
            envvar="PG_BACKGROUND_INTERVAL",
            help="How long between two polls of the server.",
        ),
    ] = 1,
) -> None:
    """Show all jobs of the server on a screen, live; cancel them, and see their SQL and errors.

    `?` shows the keys. Needs the extra `top`: pip install 'pg_background[top]'.
    """
    from psycopg.conninfo import make_conninfo

    if not (is_terminal(sys.stdin) and is_terminal(sys.stdout)):
        raise typer.BadParameter("top needs a terminal; elsewhere use: pg-background ps")
    try:
        from ....top import run
    except ModuleNotFoundError as error:
        raise missing_extra(error, "top", "textual") from None
    # Asked first, as for a password: a screen that can't be filled is of no use.
    with database.client_and_session() as (_, session):
        # With the password, if one was typed.
        conninfo = make_conninfo(database.conninfo, password=session.info.password or None)
    run(conninfo, interval)
