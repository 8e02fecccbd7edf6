"""`pg-background result`: the rows of a job, once."""

from __future__ import annotations

from ...errors.ending import ProgressOption, print_end
from ...options.database import DatabaseGiven
from ...options.given import command
from ...options.handles import HandleCommand, HandleGiven, going_on, text_of
from ...output.result_output import OutputGiven
from .wait import TimeoutOption


@command(
    "result 4711:8612345678901234567",
    "result --jsonl --output rows.jsonl 4711:8612345678901234567",
    kind=HandleCommand,
)
def result(
    handle: HandleGiven,
    database: DatabaseGiven,
    output: OutputGiven,
    timeout: TimeoutOption = None,
    progress: ProgressOption = False,
) -> None:
    """Wait until a job has ended, and print its rows or its error.

    The server forgets the rows once they are read. Ctrl-C ends the wait; the job goes on.
    """
    with output.open() as sink, database.client_and_session() as (client, session):
        from ...options.access import refusal

        if error := refusal(session, handle):
            raise error
        job = client.attach(handle)
        with going_on([handle]):
            ended = job.wait(timeout, progress=progress)
        if not ended:
            raise TimeoutError(f"job {text_of(handle)} has not ended in {timeout:g} s, and goes on")
        print_end(job, output, sink, client, session)
