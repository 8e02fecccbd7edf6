"""How a job ended, for a command that is about it: its rows or its error, and the exit code."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ..client.job import Job
from .failures import code_of_job, report_sql
from .formats import Format
from .rows import print_result

ProgressOption = Annotated[
    bool,
    typer.Option(
        "--progress",
        envvar="PG_BACKGROUND_PROGRESS",
        help="Show how far the job is, if stderr is a terminal.",
    ),
]


def print_end(job: Job[Any], error: Exception | None, format: Format) -> None:
    """Print the rows, or the error and end the command with its exit code."""
    if error is not None:
        report_sql(error)
        raise typer.Exit(code_of_job(error, job.last_state))
    print_result(job.result(), format)
