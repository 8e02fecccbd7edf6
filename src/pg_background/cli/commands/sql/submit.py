"""`pg-background submit`: start a job whose rows nobody wants."""

from __future__ import annotations

from ...options.database import DatabaseGiven
from ...options.given import command
from ...options.launching import EachStatementOption, LaunchGiven, print_handle
from ...options.params import ParamsGiven
from ...options.sql_given import SqlCommand, SqlGiven


@command('submit "REFRESH MATERIALIZED VIEW sales"', kind=SqlCommand)
def submit(
    sql: SqlGiven,
    param: ParamsGiven,
    database: DatabaseGiven,
    launch: LaunchGiven,
    each_statement: EachStatementOption = False,
) -> None:
    """Start a job whose rows are not kept, and print its handle."""
    print_handle(database, sql, param, launch, each_statement=each_statement, discard_result=True)
