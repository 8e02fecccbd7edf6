"""`pg-background launch`: start a job, and print its handle."""

from __future__ import annotations

import typer

from .database import DatabaseGiven
from .given import command
from .handles import text_of
from .launching import EachStatementOption, LaunchGiven, start
from .params import ParamsGiven
from .sql_given import SqlGiven


@command
def launch(
    sql: SqlGiven,
    param: ParamsGiven,
    database: DatabaseGiven,
    launch: LaunchGiven,
    each_statement: EachStatementOption = False,
) -> None:
    """Start a job and print its handle, which `result`, `wait`, `show`, `cancel` and `detach` take.

    Its rows can be read until pg_background.result_retention after this command's end.
    """
    with database.client() as client:
        typer.echo(text_of(start(client, sql, param, launch, each_statement=each_statement).handle))
