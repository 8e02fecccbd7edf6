"""docs/command-line.md: its examples print what they say, and its lists are whole."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from pg_background.cli.errors.exits import Exit
from pg_background.cli.group import COMMANDS, load

from ..support.fix_client import Place
from ..support.pages import DOCS, blocks

#: What is said anew each time: which SQL and where, which jobs are to be canceled, what is printed once.
WITHOUT_VARIABLE = ("help", "command", "label", "all", "all_nodes", "once", "document")

PAGE = (DOCS / "command-line.md").read_text()


def examples(page: str) -> list[tuple[str, str]]:
    """Return each line after a dollar, with what it is to print."""
    found = []
    for block in blocks(page, "console"):
        for example in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, _, output = example.partition("\n")
            found.append((line, output))
    assert found
    return found


def run_examples(page: str, dsn: str, folder: Path) -> None:
    """Run those of a page in one shell, as a reader would type them.

    Raises:
        AssertionError: they print something else than the page says.
    """
    expected = "".join(f"$ {line}\n{output}" for line, output in examples(page))
    script = "\n".join(f"echo {_quoted('$ ' + line)}; {line}" for line, _ in examples(page))
    done = subprocess.run(
        ["bash", "-c", f"exec 2>&1\n{script}"],
        cwd=folder,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("PG")},
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PG_BACKGROUND_DSN": dsn,
        },
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    # A pid is another one each time.
    printed = re.sub(r"\b(pid|PID) -?\d+", r"\1 …", done.stdout)
    assert printed == expected


def test_examples(place: Place, tmp_path: Path) -> None:
    run_examples(PAGE, place.dsn(), tmp_path)


def test_every_exit_code() -> None:
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)} == set(Exit)


def test_every_command_is_there_and_every_option_is_a_variable() -> None:
    for name in (name for commands in COMMANDS.values() for name in commands):
        command = load(name)
        if name not in ("server", "doctor"):
            assert f"`{name}" in PAGE or f"pg-background {name}" in PAGE
        if name == "server":
            continue
        for parameter in command.params:
            if parameter.param_type_name == "option" and parameter.name not in WITHOUT_VARIABLE:
                assert parameter.envvar or "by default PG" in parameter.help, (name, parameter.name)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
