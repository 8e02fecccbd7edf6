"""What a job may be told at its launch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..page import JOB
from ..signals import held
from .database import Database
from .given import Given
from .handles import text_of
from .numbers import seconds
from .params import params_of

if TYPE_CHECKING:
    from ...client.client import Client
    from ...client.job import Job


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


def print_handle(
    database: Database, sql: str, values: Sequence[str], options: Mapping[str, Any], **kinds: bool
) -> None:
    """Launch a job and print its handle, also when it is interrupted meanwhile: nobody else has it.

    Args:
        kinds: what `start` takes by name; what it raises is raised.
    """
    with (
        database.client_and_session() as (client, session),
        # A wait for a worker can be canceled.
        held(session.cancel if options["on_full"] == "wait" else None),
    ):
        typer.echo(text_of(start(client, sql, values, options, **kinds).handle))
