"""`pg-background drain`: let the jobs of a server end before it is restarted."""

from __future__ import annotations

from typing import Annotated

import typer

from ...errors.exits import Exit
from ...options.database import DatabaseArgument, schema_of_extension, session
from ...options.given import command
from ...options.numbers import seconds
from ...output.console import note, step

_REFUSED = "jobs are refused until the server is restarted, or pg-background drain --resume"


@command("drain --timeout 300", "drain --resume")
def drain(
    database: DatabaseArgument,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout",
            metavar="SECONDS",
            parser=seconds,
            envvar="PG_BACKGROUND_DRAIN_TIMEOUT",
            help="How long running jobs may take before they are canceled.",
        ),
    ] = 60,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            envvar="PG_BACKGROUND_DRAIN_RESUME",
            help="Only allow launches again.",
        ),
    ] = False,
) -> None:
    """Refuse new jobs, wait for those that run, and cancel the rest: before a restart.

    Prints how many ended in which way. Exit code 0 when nothing runs any more, 1 when jobs still run. New
    jobs are refused until the server is restarted or `--resume` is given. For superusers and members of
    pg_signal_backend, on any database that has the extension.
    """
    import psycopg

    from ....client.functions import call, in_schema
    from ....client.statements import identifier

    with session(database) as connection:
        # It may be set for the role, and would end the wait.
        connection.execute("SET statement_timeout = 0")
        schema = schema_of_extension(connection)
        if resume:
            connection.execute(in_schema(f"SELECT {call('pg_background_resume_server')}", schema))
            note("jobs can be launched again")
            return
        text = f"SELECT finished, canceled, running FROM {call('pg_background_drain_server')}"
        query = in_schema(text, identifier(schema))
        try:
            with step("Waiting for running jobs …"):
                row = connection.execute(query, [round(timeout * 1000)]).fetchone()
        except (KeyboardInterrupt, psycopg.errors.QueryCanceled):
            note(_REFUSED)
            raise
    assert row is not None
    note(_REFUSED)
    finished, canceled, running = row
    typer.echo(f"finished: {finished}, canceled: {canceled}, running: {running}")
    if running:
        raise typer.Exit(Exit.FAILED)
