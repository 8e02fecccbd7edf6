"""`pg-background doctor`: look at a server, and say what to do."""

from __future__ import annotations

import typer

from ....server.errors import DatabaseError
from ...options.database import DatabaseArgument, session
from ...options.given import command
from ...output.terminal import visible

#: Exit code when something must be fixed.
EXIT_FAIL = 1


@command("doctor postgresql://app@db.example.com/shop")
def doctor(database: DatabaseArgument) -> None:
    """Check a server and database for pg_background, and say how to fix what is wrong.

    Each check is a line that begins with OK, WARN or FAIL and says what to do. Exit code 1 if something must
    be fixed, else 0. If the role may launch jobs, one is run: `SELECT 1`.
    """
    from ....doctor import Grade, collect, examine

    try:
        with session(database) as connection:
            where = f"{connection.info.dbname} on {connection.info.host}:{connection.info.port}"
            typer.echo(visible(f"OK    connection: {where} as {connection.info.user}"))
            findings = examine(collect(connection))
    except DatabaseError as error:
        said = f"FAIL  connection: {_line(error.message)}; fix: {_line(error.hint) or 'try again'}"
        typer.echo(visible(said))
        raise typer.Exit(EXIT_FAIL) from None
    for finding in findings:
        typer.echo(visible(str(finding)))
    if any(finding.grade is Grade.FAIL for finding in findings):
        raise typer.Exit(EXIT_FAIL)


def _line(text: str) -> str:
    return " ".join(text.split())
