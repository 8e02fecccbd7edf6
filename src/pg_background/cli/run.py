"""`pg-background run`: a job, from its launch to its rows."""

from __future__ import annotations

from typing import Any

import psycopg

from ..client.errors import ConnectionLost
from ..client.job import Job
from .database import DatabaseGiven
from .ending import ProgressOption, print_end
from .formats import FormatGiven
from .given import command
from .handles import text_of
from .launching import EachStatementOption, LaunchGiven, start
from .output import note
from .params import ParamsGiven
from .signals import interruptible
from .sql_given import SqlGiven

#: How long to wait for the end of a job that was told to end, in seconds.
PATIENCE = 5


@command
def run(
    sql: SqlGiven,
    param: ParamsGiven,
    database: DatabaseGiven,
    format: FormatGiven,
    launch: LaunchGiven,
    each_statement: EachStatementOption = False,
    progress: ProgressOption = False,
) -> None:
    """Run SQL in a background worker, and print the rows of its last statement.

    Several statements are one transaction, if not --each-statement. Ctrl-C cancels the job in the server.
    """
    with interruptible(), database.client() as client:
        job = start(client, sql, param, launch, each_statement=each_statement)
        try:
            job.wait(progress=progress)
            error = job.exception()
        except KeyboardInterrupt:
            _cancel(job)
            raise
        except ConnectionLost:
            note(f"when there is a connection again: pg-background result {text_of(job.handle)}")
            raise
        print_end(job, error, format)


def _cancel(job: Job[Any]) -> None:
    """End the job of which nobody wants to see the end, and say what became of it."""
    handle = text_of(job.handle)
    try:
        job.cancel()
        ended = job.wait(PATIENCE)
        if ended and job.last_state == "canceled":
            job.detach()
            note(f"canceled job {handle} in the server")
        elif ended:
            note(f"job {handle} had ended before it could be canceled ({job.last_state})")
        else:
            note(f"told job {handle} to cancel; it still runs: pg-background wait {handle}")
    except psycopg.Error as error:
        note(f"can't cancel job {handle}: {str(error).strip()}")
