"""How a job ended, for a command that is about it: its rows or its error, and the exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from .failures import code_of_job, report_sql

if TYPE_CHECKING:
    import psycopg

    from ...client.client import Client
    from ...client.job import Job
    from ..output.result_output import ResultOutput
    from ..output.sink import Sink

ProgressOption = Annotated[
    bool,
    typer.Option(
        "--progress",
        envvar="PG_BACKGROUND_PROGRESS",
        help="Show how far the job is, if stderr is a terminal.",
    ),
]


def print_end(
    job: Job[Any],
    output: ResultOutput,
    sink: Sink,
    client: Client[Any],
    session: psycopg.Connection[Any],
    node: str = "",
) -> None:
    """Print the rows of a job that has ended, or its error and end the command with its exit code.

    Args:
        node: which of several servers it is.
    """
    from psycopg.errors import FeatureNotSupported

    from ..options.access import telling_forgotten

    if job.last_state == "stopped":
        try:
            with telling_forgotten(session, job.handle):
                output.write(sink, client, session, job.handle, node)
        except FeatureNotSupported as refused:
            if not (refused.diag.message_primary or "").startswith("results are disabled"):
                raise
            # It was submitted: there is only its tag.
            output.write_tags(sink, [job.result().statusmessage or ""], node)
        return
    print_error(job, node)


def print_error(job: Job[Any], node: str = "") -> None:
    """Print the error of a job that has ended, if it has one, and end the command with its exit code."""
    error = job.exception()
    if error is not None:
        report_sql(error, node)
        raise typer.Exit(code_of_job(error, job.last_state))
