"""The SQL that a command runs: an argument, a file, or standard input."""

from __future__ import annotations

import functools
import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ..output.formats import is_typed
from ..page import PlainCommand
from .given import Given

STDIN = "-"


class SqlCommand(PlainCommand):
    """A command with SQL: a comment at its start is not an option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put a blank before such a comment."""
        return super().parse_args(ctx, [f" {word}" if re.match(r"--\s", word) else word for word in args])


def _sql(
    ctx: typer.Context,
    sql: Annotated[
        str | None,
        typer.Argument(
            metavar="SQL", help="The SQL, or - to read it from standard input.", show_default=False
        ),
    ] = None,
    command: Annotated[
        str | None,
        typer.Option("--command", "-c", metavar="SQL", help="The SQL, as for psql.", show_default=False),
    ] = None,
    file: Annotated[
        str | None,
        typer.Option(
            "--file",
            "-f",
            metavar="PATH",
            envvar="PG_BACKGROUND_FILE",
            help="Read the SQL from this file; - is standard input.",
        ),
    ] = None,
) -> str:
    if (sql is not None or command is not None) and not is_typed(ctx, "file"):
        # What is typed wins over what the environment says.
        file = None
    if sum(given is not None for given in (sql, command, file)) > 1:
        raise typer.BadParameter("give the SQL once: as an argument, by --command or by --file")
    if command is not None:
        sql = command
    if sql is None and file is None:
        raise typer.BadParameter(
            "there is no SQL: give it as an argument, by --file, or as - on standard input"
        )
    text = _read(file) if file is not None else _read(STDIN) if sql == STDIN else sql or ""
    if not text.strip():
        raise typer.BadParameter("the SQL is empty")
    return text


def _read(path: str) -> str:
    name = "standard input" if path == STDIN else path
    try:
        content = sys.stdin.buffer.read() if path == STDIN else Path(path).read_bytes()
        # Editors on Windows put a mark before the first character.
        return content.decode("utf-8-sig")
    except OSError as error:
        raise typer.BadParameter(f"can't read {name}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"{name} is not UTF-8 (at byte {error.start})") from None


@functools.wraps(_sql)
def _sql_if_any(ctx: typer.Context, **given: Any) -> str | None:
    return None if not any(given.values()) else _sql(ctx, **given)


SqlGiven = Annotated[str, Given(_sql)]
#: For a command that can do without.
SqlIfGiven = Annotated[str | None, Given(_sql_if_any)]
