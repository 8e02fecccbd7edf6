"""The application: its commands, its help, its version."""

from __future__ import annotations

from typing import Annotated

import typer

from .group import LazyGroup

_EPILOG = """\
Exit codes: 0 the job succeeded; 1 the job failed, was canceled, or its process died; 2 wrong usage;
3 no connection to the server; 4 time ran out; 5 the server does not know the job; 6 the server refused;
130 interrupted.

Each option is an environment variable too: pg-background variables. The manual: man pg-background.
"""

app = typer.Typer(
    name="pg-background",
    help="Run SQL in background workers of a PostgreSQL server.",
    epilog=_EPILOG,
    cls=LazyGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["--help"], "max_content_width": 100},
)


def _print_version(value: bool) -> None:
    if value:
        from .. import __version__

        typer.echo(f"pg-background {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            "-V",
            callback=_print_version,
            is_eager=True,
            help="Print the version, and exit.",
        ),
    ] = False,
) -> None:
    """Options without a command."""
