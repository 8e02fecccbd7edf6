"""What a job may be told at its launch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..at_once import at_once
from ..errors.codes import Codes
from ..page import CONNECTION, JOB
from ..signals import held
from .given import Given
from .handles import text_of
from .numbers import seconds
from .params import params_of

if TYPE_CHECKING:
    from ...client.client import Client
    from ...client.job import Job
    from ..nodes import Node, Nodes, Opened
    from .servers import Servers


class _OnFull(StrEnum):
    error = "error"
    wait = "wait"
    queue = "queue"


def _options(
    label: Annotated[
        str | None,
        typer.Option(
            "--label",
            "-l",
            metavar="TEXT",
            envvar="PG_BACKGROUND_LABEL",
            help="A name for the job in ps, top and pg_stat_activity; up to 64 characters.",
            rich_help_panel=JOB,
        ),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            "--timeout",
            metavar="SECONDS",
            parser=seconds,
            envvar="PG_BACKGROUND_TIMEOUT",
            help="How long the job may take; then the server ends it.",
            rich_help_panel=JOB,
        ),
    ] = None,
    job_database: Annotated[
        str | None,
        typer.Option(
            "--job-database",
            metavar="NAME",
            envvar="PG_BACKGROUND_JOB_DATABASE",
            help="Run the job in this database, not in that of the connection.",
            rich_help_panel=JOB,
        ),
    ] = None,
    queue_size: Annotated[
        int | None,
        typer.Option(
            "--queue-size",
            metavar="BYTES",
            envvar="PG_BACKGROUND_QUEUE_SIZE",
            help="Shared memory for the job's output; by default pg_background.default_queue_size.",
            rich_help_panel=JOB,
        ),
    ] = None,
    on_full: Annotated[
        _OnFull,
        typer.Option(
            "--on-full",
            metavar="WHAT",
            envvar="PG_BACKGROUND_ON_FULL",
            help="What to do when all workers are busy: error, wait until one is free, or queue the job.",
            rich_help_panel=JOB,
        ),
    ] = _OnFull.error,
    on_full_timeout: Annotated[
        float | None,
        typer.Option(
            "--on-full-timeout",
            metavar="SECONDS",
            parser=seconds,
            envvar="PG_BACKGROUND_ON_FULL_TIMEOUT",
            help="How long --on-full wait waits; by default for ever.",
            rich_help_panel=JOB,
        ),
    ] = None,
) -> dict[str, Any]:
    return {
        "label": label,
        "timeout": timeout,
        "database": job_database,
        "queue_size": queue_size,
        "on_full": on_full.value,
        "wait_timeout": on_full_timeout,
    }


LaunchGiven = Annotated[dict[str, Any], Given(_options)]

EachStatementOption = Annotated[
    bool,
    typer.Option(
        "--each-statement",
        envvar="PG_BACKGROUND_EACH_STATEMENT",
        help="Run each statement in a transaction of its own, up to the first that fails.",
        rich_help_panel=JOB,
    ),
]

AllNodesOption = Annotated[
    bool,
    typer.Option(
        "--all-nodes",
        help="Run a job on each of several servers; without it on those of --node, or on the least loaded.",
        rich_help_panel=CONNECTION,
    ),
]


def start(
    client: Client[Any],
    sql: str,
    values: Sequence[str],
    options: Mapping[str, Any],
    *,
    each_statement: bool = False,
    discard_result: bool = False,
) -> Job[Any]:
    """Launch a job.

    Raises:
        typer.BadParameter: the values don't fit.
        psycopg.Error: the server refused it.
    """
    from psycopg.rows import tuple_row

    from ...client.launching import start as start_job

    params = params_of(sql, values)
    if each_statement and params is not None:
        raise typer.BadParameter("--param goes with one statement, not with --each-statement")
    return start_job(
        client.session,
        sql,
        params,
        tuple_row,
        each_statement=each_statement,
        discard_result=discard_result,
        **options,
    )


def print_handles(
    servers: Servers,
    sql: str,
    values: Sequence[str],
    options: Mapping[str, Any],
    *,
    all_nodes: bool,
    **kinds: bool,
) -> None:
    """Launch jobs and print their handles, also when that is interrupted meanwhile: nobody else has them.

    Args:
        all_nodes: one on each node.
        kinds: what `start` takes by name; what it raises is raised.
    """
    from ..nodes import opened

    codes = Codes()
    with opened(places(servers.nodes(), all_nodes=all_nodes), codes) as there:
        failed: list[tuple[str, Exception]] = []
        for each, job in started(there, sql, values, options, **kinds):
            if isinstance(job, Exception):
                failed.append((each.node.name, job))
            else:
                typer.echo(text_of(job.handle, each.node.name))
        # Not before: an interruption is no error of a launch.
        for node, error in failed:
            codes.tell(error, node)
    codes.leave()


def started(
    there: Sequence[Opened], sql: str, values: Sequence[str], options: Mapping[str, Any], **kinds: bool
) -> Iterator[tuple[Opened, Job[Any] | Exception]]:
    """Launch a job on each node, and yield it, or why there is none, as soon as it is known.

    An interruption waits until all are known: without its handle no job could be canceled.
    """

    def hurry() -> None:
        for each in there:
            each.session.cancel()

    # A wait for a worker can be canceled.
    with held(hurry if options["on_full"] == "wait" else None):
        yield from at_once(lambda each: start(each.client, sql, values, options, **kinds), there)


def places(nodes: Nodes, *, all_nodes: bool) -> Sequence[Node]:
    """Return where to launch a job each: all nodes, those that are named, or the least loaded.

    Raises:
        typer.BadParameter: both were said, or there is only one server, which has no name.
        DatabaseError: none can be used.
    """
    if all_nodes and not nodes.are_named:
        raise typer.BadParameter("--all-nodes needs --cluster or --server")
    if all_nodes and nodes.are_chosen:
        raise typer.BadParameter("--all-nodes and --node exclude each other")
    return nodes.chosen if all_nodes or nodes.are_chosen else [nodes.least_loaded()]
