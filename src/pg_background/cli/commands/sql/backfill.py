"""`pg-background backfill`: a statement over a big table, range by range."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...errors.exits import Exit
from ...options.backfilling import BackfillOptionsGiven
from ...options.given import command
from ...options.servers import NodesGiven, Servers
from ...options.sql_given import SqlCommand, SqlIfGiven
from ...output.console import note
from ...output.terminal import is_terminal, visible
from ...signals import interruptible

if TYPE_CHECKING:
    from ....backfill.backfill import Backfill
    from ....backfill.report import BackfillReport
    from ....client.client import Client
    from ....cluster.cluster import Cluster


@command(
    'backfill --table orders "UPDATE orders SET total = net + tax WHERE {range} AND total IS NULL"',
    'backfill --table log --jobs 4 --target-seconds 0.5 --max-lag 64MB --yes "DELETE FROM log WHERE {range}"',
    'backfill --cluster --table events "UPDATE events SET seen = true WHERE {range}"',
    "backfill --name orders --stop",
    "backfill --name orders --resume --max-rows-per-second 5000",
    kind=SqlCommand,
)
def backfill(
    sql: SqlIfGiven,
    options: BackfillOptionsGiven,
    servers: NodesGiven,
    table: Annotated[
        str | None,
        typer.Option(
            "--table",
            "-t",
            metavar="TABLE",
            envvar="PG_BACKGROUND_BACKFILL_TABLE",
            help="The table whose rows {range} is about.",
        ),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            "--key",
            "-k",
            metavar="COLUMNS",
            envvar="PG_BACKGROUND_BACKFILL_KEY",
            help="What ranges go by: columns with commas between them, or ctid; by default a unique key.",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            metavar="TEXT",
            envvar="PG_BACKGROUND_BACKFILL_NAME",
            help="By which it is found again; by default the name of the table.",
        ),
    ] = None,
    schema: Annotated[
        str | None,
        typer.Option(
            "--schema",
            metavar="NAME",
            envvar="PG_BACKGROUND_BACKFILL_SCHEMA",
            help="Where its state is kept; by default where this role has such state, or with the table.",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", envvar="PG_BACKGROUND_BACKFILL_DRY_RUN", help="Only print the plan."),
    ] = False,
    yes: Annotated[
        bool,
        typer.Option("--yes", "-y", envvar="PG_BACKGROUND_BACKFILL_YES", help="Begin without a question."),
    ] = False,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            envvar="PG_BACKGROUND_BACKFILL_RESUME",
            help="Go on with one that was stopped or has died; what has failed is tried again.",
        ),
    ] = False,
    stop: Annotated[
        bool,
        typer.Option(
            "--stop",
            envvar="PG_BACKGROUND_BACKFILL_STOP",
            help="Have whoever runs it stop when the ranges that run are done.",
        ),
    ] = False,
    report: Annotated[
        bool,
        typer.Option(
            "--report", envvar="PG_BACKGROUND_BACKFILL_REPORT", help="Print what was done, and what is left."
        ),
    ] = False,
    forget: Annotated[
        bool,
        typer.Option("--forget", envvar="PG_BACKGROUND_BACKFILL_FORGET", help="Delete what is kept of it."),
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option("--json", envvar="PG_BACKGROUND_BACKFILL_JSON", help="Print the report as JSON."),
    ] = False,
) -> None:
    """Run a statement over a big table, in small jobs that commit by themselves.

    {range} in the statement stands for the rows of a job. The plan is shown first. Ctrl-C stops it, and
    --resume goes on, also on another machine. With --cluster the table is a distributed one, and jobs run
    where its shards are. Exit code 1 if something is left or has failed.
    """
    asked = [word for word in (resume, stop, report, forget) if word]
    if len(asked) > 1:
        raise typer.BadParameter("give one of --resume, --stop, --report and --forget")
    if asked and (sql is not None or dry_run):
        raise typer.BadParameter("what was begun has its statement: give its --name alone")
    if not asked and (sql is None or table is None):
        raise typer.BadParameter("give a statement and its --table, or the --name of one that was begun")
    if asked and name is None and table is None:
        raise typer.BadParameter("say which: by --name")
    with interruptible(), _origin(servers) as origin:
        fill = origin.backfill(
            sql,
            None if asked else table,
            name=name or table,
            key=None if key is None else [column.strip() for column in key.split(",")],
            schema=schema,
            **options,
        )
        if stop:
            note("told to stop" if fill.stop() else "nobody runs it")
        elif forget:
            note("forgotten" if fill.forget() else "nothing was kept of it")
        elif report:
            _print(fill.report(), as_json=as_json)
        elif resume:
            _run(fill, as_json=as_json, begun=True)
        else:
            _show_plan(fill, dry_run=dry_run, yes=yes)
            _run(fill, as_json=as_json, begun=False)


@contextmanager
def _origin(servers: Servers) -> Iterator[Client[Any] | Cluster]:
    """Connect to the server, or to all nodes of the cluster, for the block."""
    nodes = servers.nodes()
    if not servers.is_cluster:
        if len(nodes.chosen) > 1:
            raise typer.BadParameter("a table is on one server: say by --node on which of them")
        with nodes.chosen[0].database.client() as client:
            yield client
        return
    if nodes.are_chosen:
        raise typer.BadParameter("over the shards of a table all nodes are needed: leave out --node")
    with nodes.cluster() as cluster:
        yield cluster


def _show_plan(fill: Backfill, *, dry_run: bool, yes: bool) -> None:
    """Print it, and ask whether to begin.

    Raises:
        typer.Exit: not to begin.
    """
    for line in fill.plan().lines():
        # The plan is what a dry run is for; otherwise the output is the report.
        typer.echo(visible(line), err=not dry_run)
    if dry_run:
        raise typer.Exit
    if yes:
        return
    if not is_terminal(sys.stdin):
        raise typer.BadParameter("there is nobody to ask: look at the plan, and begin by --yes")
    if not typer.confirm("Begin?", err=True):
        note("nothing was done")
        raise typer.Exit(Exit.FAILED)


def _run(fill: Backfill, *, as_json: bool, begun: bool) -> None:
    from psycopg import OperationalError

    try:
        done = fill.resume(progress=True) if begun else fill.run(progress=True)
    except (KeyboardInterrupt, OperationalError):
        note(f"what is done stays; go on by: pg-background backfill --resume --name {_word(fill.name)}")
        raise
    _print(done, as_json=as_json)
    if not done.is_complete:
        raise typer.Exit(Exit.FAILED)


def _print(done: BackfillReport, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(done.to_dict(), ensure_ascii=False))
        return
    for line in done.lines():
        typer.echo(visible(line))


def _word(name: str) -> Any:
    from shlex import quote

    return quote(name)
