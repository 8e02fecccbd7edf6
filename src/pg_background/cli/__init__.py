"""The command line: `pg-background`."""

from __future__ import annotations

import sys

import typer

from ..server.errors import ServerError
from . import server
from .cancel import cancel
from .detach import detach
from .doctor import doctor
from .drain import drain
from .failures import code_of_server
from .handles import HandleCommand
from .install import install
from .launch import launch
from .output import report
from .ps import ps
from .result import result
from .run import run
from .show import show
from .sql_given import SqlCommand
from .submit import submit
from .top import top
from .wait import wait

__all__ = ["app", "main"]

_CODES = (
    "Exit codes: 0 done, and the job succeeded; 1 the job failed, was canceled or lost; 2 bad usage; "
    "3 no connection; 4 time was over; 5 the server does not know the job; 6 the server refused it; "
    "130 interrupted."
)

app = typer.Typer(
    name="pg-background",
    help="SQL in PostgreSQL background workers.",
    epilog=_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.add_typer(server.app, name="server")
for command in (run, launch, submit):
    app.command(cls=SqlCommand)(command)
for command in (ps, top):
    app.command()(command)
for command in (show, wait, result, cancel, detach):
    app.command(cls=HandleCommand)(command)
for command in (install, doctor, drain):
    app.command()(command)


def main() -> None:
    """Run the command line; a problem that has a remedy ends as a message, without a traceback."""
    try:
        app()
    except ServerError as error:
        report(error)
        sys.exit(code_of_server(error))
