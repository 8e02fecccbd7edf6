"""`pg-background wait`: until jobs have ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...errors.ending import ProgressOption
from ...errors.exits import Exit
from ...errors.failures import code_of_call, code_of_state, report_sql
from ...options.database import DatabaseGiven
from ...options.given import command
from ...options.handles import HandleCommand, HandlesGiven, going_on, text_of
from ...options.numbers import seconds
from ...output.console import note

if TYPE_CHECKING:
    from ....client.client import Client
    from ....client.job import Job

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


@command(
    "wait 4711:8612345678901234567",
    "wait --any --timeout 60 4711:8612345678901234567 4712:1234567890123456789",
    kind=HandleCommand,
)
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

    A job that succeeded is `done`. The exit code is that of the worst: 5 if the server does not know one of
    them, 6 if one belongs to another role, 1 if one failed, 4 if one has not ended in time. Ctrl-C ends the
    wait; the jobs go on.
    """
    from ...options.access import refusal

    with database.client_and_session() as (client, session):
        codes = set()
        jobs = []
        for handle in handles:
            if error := refusal(session, handle):
                report_sql(error)
                codes.add(code_of_call(error))
            else:
                jobs.append(client.attach(handle))
        with going_on(handles):
            ended = _wait(client, jobs, timeout, any_of_them=any_of_them, progress=progress)
        codes.update(_tell(job) for job in ended)
    if jobs and ((not any_of_them and len(ended) < len(jobs)) or not ended):
        note(f"{len(jobs) - len(ended)} of {len(jobs)} jobs have not ended in {timeout:g} s, and go on")
        codes.add(Exit.TIMEOUT)
    for worst in (Exit.UNKNOWN, Exit.REFUSED, Exit.FAILED, Exit.TIMEOUT):
        if worst in codes:
            raise typer.Exit(worst)


def _wait(
    client: Client[Any],
    jobs: list[Job[Any]],
    timeout: float | None,
    *,
    any_of_them: bool,
    progress: bool,
) -> list[Job[Any]]:
    """Return those that have ended."""
    if not jobs:
        return []
    if any_of_them:
        first = client.wait_any(jobs, timeout)
        return [] if first is None else [first]
    client.wait_all(jobs, timeout, progress=progress)
    return [job for job in jobs if _has_ended(job)]


def _has_ended(job: Job[Any]) -> bool:
    """Ask once more: where time is short, the end may not have been learned."""
    from ....client.errors import JobLost

    try:
        return job.is_over or job.done()
    except JobLost:
        return True


def _tell(job: Job[Any]) -> Exit:
    from ....client.errors import JobLost
    from ....client.model import in_words

    try:
        job.wait()
    except JobLost as error:
        report_sql(error)
        return Exit.UNKNOWN
    typer.echo(f"{text_of(job.handle)} {in_words(job.last_state)}")
    return code_of_state(job.last_state)
