"""`pg-background run`: a job, from its launch to its rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from ...errors.ending import ProgressOption, print_end
from ...options.database import DatabaseGiven
from ...options.given import command
from ...options.handles import text_of
from ...options.launching import EachStatementOption, LaunchGiven, start
from ...options.params import ParamsGiven
from ...options.sql_given import SqlCommand, SqlGiven
from ...output.console import note
from ...output.result_output import OutputGiven
from ...script import what_is_committed
from ...signals import held, interruptible

if TYPE_CHECKING:
    from ....client.job import Job

#: How long to wait for the end of a job that was told to end, in seconds.
PATIENCE = 5


@command(
    'run "SELECT count(*) FROM orders"',
    'run --csv --output orders.csv "TABLE orders"',
    'run -P 2026 "SELECT region, sum(amount) FROM orders WHERE year = %s GROUP BY 1"',
    'run --each-statement "VACUUM orders; REINDEX TABLE CONCURRENTLY orders"',
    "run --file report.sql --label report --progress",
    kind=SqlCommand,
)
def run(
    sql: SqlGiven,
    param: ParamsGiven,
    database: DatabaseGiven,
    output: OutputGiven,
    launch: LaunchGiven,
    each_statement: EachStatementOption = False,
    progress: ProgressOption = False,
) -> None:
    """Run SQL in a background worker, and print the rows of its last statement.

    Several statements are one transaction, unless --each-statement is given. Ctrl-C cancels the job in the
    server.
    """
    with interruptible(), output.open() as sink, database.client_and_session() as (client, session):
        from ....client.errors import ConnectionLost

        job = None
        try:
            # Without its handle it could not be canceled. A wait for a worker can be.
            with held(session.cancel if launch["on_full"] == "wait" else None):
                job = start(client, sql, param, launch, each_statement=each_statement)
            job.wait(progress=progress)
        except KeyboardInterrupt:
            if job is not None:
                _cancel(job, each_statement=each_statement)
            raise
        except ConnectionLost:
            if job is not None:
                note(f"when there is a connection again: pg-background result {text_of(job.handle)}")
            raise
        try:
            print_end(job, output, sink, client, session)
        except typer.Exit:
            if each_statement:
                note(what_is_committed(job.exception(), job.last_state))
            raise


def _cancel(job: Job[Any], *, each_statement: bool) -> None:
    """End the job of which nobody wants to see the end, and say what became of it."""
    import psycopg

    from ....client.model import in_words

    handle = text_of(job.handle)
    try:
        job.cancel()
        ended = job.wait(PATIENCE)
        if ended and job.last_state == "canceled":
            note(f"canceled job {handle} in the server")
            if each_statement:
                note(what_is_committed(job.exception(), job.last_state))
            else:
                job.detach()
        elif ended:
            note(f"job {handle} had ended before it could be canceled ({in_words(job.last_state)})")
        else:
            note(f"told job {handle} to cancel; it still runs: pg-background wait {handle}")
    except psycopg.Error as error:
        note(f"can't cancel job {handle}: {str(error).strip()}")
