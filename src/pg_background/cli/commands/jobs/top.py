"""`pg-background top`: the jobs of the server on a screen, live."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ...errors.extras import missing_extra
from ...options.given import command
from ...options.numbers import seconds_between
from ...options.servers import NodesArgument
from ...output.terminal import is_terminal


@command("top", "top --interval 5 postgresql://app@db.example.com/shop", "top --cluster")
def top(
    servers: NodesArgument,
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

    `?` shows the keys. With --cluster or --server each job has its node. Needs the extra `top`:
    pip install 'pg_background[top]'.
    """
    from psycopg.conninfo import make_conninfo

    if not (is_terminal(sys.stdin) and is_terminal(sys.stdout)):
        raise typer.BadParameter("top needs a terminal; elsewhere use: pg-background ps")
    try:
        from ....top import ClusterSource, ServerSource, run
    except ModuleNotFoundError as error:
        raise missing_extra(error, "top", "textual") from None
    nodes = servers.nodes()
    if nodes.are_named:
        # One that does not answer is told there.
        run(ClusterSource({node.name: node.database.conninfo for node in nodes}), interval)
        return
    (node,) = nodes
    # Asked first, as for a password: a screen that can't be filled is of no use.
    with node.session() as (_, session):
        # With the password, if one was typed.
        conninfo = make_conninfo(node.database.conninfo, password=session.info.password or None)
    run(ServerSource(conninfo), interval)
