"""Write docs/pg-background.1, the manual page, from the commands' help: `python -m tools.man_page`.

With `--check` only tell whether it is up to date.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from pg_background.cli import app
from pg_background.cli.commands.variables import found
from pg_background.cli.errors.exits import Exit
from pg_background.cli.group import COMMANDS, load

PAGE = Path(__file__).parents[1] / "docs" / "pg-background.1"

_EXITS = {
    Exit.OK: "The command did what it was asked for, and the job succeeded.",
    Exit.FAILED: "The job failed, was canceled, or its process died. doctor: something must be fixed. "
    "drain: jobs still run.",
    Exit.USAGE: "Wrong usage: nothing was done.",
    Exit.CONNECTION: "There is no connection to the server, or it broke; a job goes on.",
    Exit.TIMEOUT: "Time ran out: that of the job, which has ended, or that of the wait, whose job goes on.",
    Exit.UNKNOWN: "The server does not know the job.",
    Exit.REFUSED: "The server refused: a privilege is missing, a limit is reached, or there is no extension.",
    Exit.INTERRUPTED: "Interrupted by Ctrl-C; 143 by SIGTERM, 129 by SIGHUP.",
    Exit.PIPE: "Whoever read the output has gone.",
}


def main() -> None:
    """Write the page, or check it."""
    text = page()
    if "--check" in sys.argv[1:]:
        if not PAGE.exists() or PAGE.read_text() != text:
            sys.exit(f"{PAGE.name} is not up to date: python -m tools.man_page")
        return
    PAGE.write_text(text)


def page() -> str:
    """Return the page in the language of man(7)."""
    return "\n".join(line for line in _lines()) + "\n"


def _lines() -> Iterator[str]:
    group = typer.main.get_command(app)
    yield '.TH PG-BACKGROUND 1 "" "pg_background" "pg_background"'
    yield ".SH NAME"
    yield r"pg\-background \- run SQL in background workers of a PostgreSQL server"
    yield ".SH SYNOPSIS"
    yield r".B pg\-background"
    yield r"[\fIoptions\fR] \fIcommand\fR [\fIwords\fR]"
    yield ".SH OPTIONS"
    for parameter in group.params:
        yield from _option(parameter, typer.Context(group))
    for heading, commands in COMMANDS.items():
        yield f".SH {_escaped(heading.upper())}"
        for name in commands:
            yield from _command(name, load(name))
    yield ".SH EXIT STATUS"
    for code, meaning in _EXITS.items():
        yield ".TP"
        yield f".B {int(code)}"
        yield _escaped(meaning)
    yield ".SH ENVIRONMENT"
    yield "An option that is typed wins over its variable. What libpq knows, such as PGHOST, is in psql(1)."
    for variable, users in sorted(found().items()):
        yield ".TP"
        yield f".B {variable}"
        yield _escaped(f"{', '.join(users)}.")
    yield ".SH SEE ALSO"
    yield "psql(1)"


def _command(name: str, command: Any) -> Iterator[str]:
    own = getattr(command, "commands", None)
    if own is not None:
        yield from (line for inner, each in own.items() for line in _command(f"{name} {inner}", each))
        return
    context = typer.Context(command, info_name=name)
    usage = " ".join(command.collect_usage_pieces(context))
    yield f".SS pg\\-background {_escaped(name)} {_escaped(usage)}"
    for paragraph in command.help.split("\n\n"):
        yield ".PP"
        yield _escaped(" ".join(paragraph.split()))
    for parameter in command.get_params(context):
        yield from _option(parameter, context)
    if examples := getattr(command, "examples", ()):
        yield ".PP"
        yield ".EX"
        yield from (f"pg\\-background {_escaped(example)}" for example in examples)
        yield ".EE"


def _option(parameter: Any, context: Any) -> Iterator[str]:
    record = parameter.get_help_record(context)
    if record is None:
        return
    words, text = record
    if parameter.param_type_name == "argument":
        words = parameter.metavar or words
    yield ".TP"
    yield f".B {_escaped(words)}"
    yield _escaped(" ".join(text.split()))


def _escaped(text: str) -> str:
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    # At the start of a line these are commands.
    return re.sub(r"^([.'])", r"\\&\1", escaped)


if __name__ == "__main__":
    main()
