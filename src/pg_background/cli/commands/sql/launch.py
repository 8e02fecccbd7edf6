"""`pg-background launch`: start a job, and print its handle."""

from __future__ import annotations

from ...options.database import DatabaseGiven
from ...options.given import command
from ...options.launching import EachStatementOption, LaunchGiven, print_handle
from ...options.params import ParamsGiven
from ...options.sql_given import SqlCommand, SqlGiven


@command(
    'launch --label report "SELECT * FROM report()"',
    kind=SqlCommand,
)
def launch(
    sql: SqlGiven,
    param: ParamsGiven,
    database: DatabaseGiven,
    launch: LaunchGiven,
    each_statement: EachStatementOption = False,
) -> None:
    """Start a job and print its handle, which `result` and the other commands take.

    Its rows are kept until `result` reads them, but no longer than pg_background.result_retention after
    this command and the job have ended.
    """
    print_handle(database, sql, param, launch, each_statement=each_statement)
