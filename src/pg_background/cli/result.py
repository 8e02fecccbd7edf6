"""`pg-background result`: the rows of a job, once."""

from __future__ import annotations

from .database import DatabaseGiven
from .ending import ProgressOption, print_end
from .formats import FormatGiven
from .given import command
from .handles import HandleGiven, text_of
from .output import note
from .wait import TimeoutOption


@command
def result(
    handle: HandleGiven,
    database: DatabaseGiven,
    format: FormatGiven,
    timeout: TimeoutOption = None,
    progress: ProgressOption = False,
) -> None:
    """Wait for a job's end and print its rows, or its error. The server forgets them once they are read.

    Ctrl-C ends the wait; the job goes on.
    """
    with database.client() as client:
        job = client.attach(handle)
        try:
            ended = job.wait(timeout, progress=progress)
        except KeyboardInterrupt:
            note(f"job {text_of(handle)} goes on")
            raise
        if not ended:
            raise TimeoutError(f"job {text_of(handle)} has not ended in {timeout:g} s, and goes on")
        print_end(job, job.exception(), format)
