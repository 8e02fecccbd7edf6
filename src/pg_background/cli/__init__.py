"""The command line: `pg-background`."""

from __future__ import annotations

import sys

import typer

from ..server.errors import NotRunningError, ServerError
from . import server
from .doctor import doctor
from .drain import drain
from .install import install
from .output import report

__all__ = ["app", "main"]

#: What `server status` and `server dsn` exit with when no server runs; pg_ctl uses the same.
EXIT_NOT_RUNNING = 3

app = typer.Typer(
    name="pg-background",
    help="SQL in PostgreSQL background workers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.add_typer(server.app, name="server")
for command in (install, doctor, drain):
    app.command()(command)


def main() -> None:
    """Run the command line; a problem that has a remedy ends as a message, without a traceback."""
    try:
        app()
    except ServerError as error:
        report(error)
        sys.exit(EXIT_NOT_RUNNING if isinstance(error, NotRunningError) else 1)
