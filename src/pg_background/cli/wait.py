"""`pg-background wait`: until jobs have ended."""

from __future__ import annotations

from typing import Annotated

import typer
from psycopg.rows import TupleRow

from ..client.client import Client
from ..client.errors import JobLost
from ..client.job import Job
from ..client.model import in_words
from .database import DatabaseGiven
from .ending import ProgressOption
from .exits import Exit
from .failures import code_of_state, report_sql
from .given import command
from .handles import HandlesGiven, text_of
from .numbers import seconds
from .output import note

TimeoutOption = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        parser=seconds,
        envvar="PG_BACKGROUND_WAIT_TIMEOUT",
        help="How long to wait; by default for ever. The jobs go on.",
    ),
]


@command
def wait(
    handles: HandlesGiven,
    database: DatabaseGiven,
    timeout: TimeoutOption = None,
    any_of_them: Annotated[
        bool, typer.Option("--any", envvar="PG_BACKGROUND_WAIT_ANY", help="Only until one of them has ended.")
    ] = False,
    progress: ProgressOption = False,
) -> None:
    """Wait until jobs have ended, and print the handle and the state of each that has.

    The exit code is that of the worst: 5 if one is unknown, 1 if one failed, 4 if one has not ended.
    """
    with database.client() as client:
        jobs = [client.attach(handle) for handle in handles]
        ended = _wait(client, jobs, timeout, any_of_them=any_of_them, progress=progress)
        codes = {_tell(job) for job in ended}
    if (not any_of_them and len(ended) < len(jobs)) or not ended:
        note(f"{len(jobs) - len(ended)} of {len(jobs)} jobs have not ended in {timeout:g} s, and go on")
        codes.add(Exit.TIMEOUT)
    for worst in (Exit.UNKNOWN, Exit.FAILED, Exit.TIMEOUT):
        if worst in codes:
            raise typer.Exit(worst)


def _wait(
    client: Client[TupleRow],
    jobs: list[Job[TupleRow]],
    timeout: float | None,
    *,
    any_of_them: bool,
    progress: bool,
) -> list[Job[TupleRow]]:
    """Return those that have ended."""
    if any_of_them:
        first = client.wait_any(jobs, timeout)
        return [] if first is None else [first]
    client.wait_all(jobs, timeout, progress=progress)
    return [job for job in jobs if job.is_over]


def _tell(job: Job[TupleRow]) -> Exit:
    try:
        job.wait()
    except JobLost as error:
        report_sql(error)
        return Exit.UNKNOWN
    typer.echo(f"{text_of(job.handle)} {in_words(job.last_state)}")
    return code_of_state(job.last_state)
