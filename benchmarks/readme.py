"""The commands with which README.md begins, as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
_BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def first_screen() -> tuple[str, str, str]:
    """Return what sets it up, what is typed at the shell then, and the program in Python.

    Raises:
        ValueError: README.md does not begin so.
    """
    found = _BLOCK.findall(README.read_text())[:3]
    if [language for language, _ in found] != ["sh", "sh", "python"]:
        raise ValueError("README.md does not begin with two blocks of commands and one of Python")
    setup, shell, program = (block for _, block in found)
    return setup, shell, program


def at_the_shell() -> str:
    """Return what a reader types who stays at the shell."""
    setup, shell, _ = first_screen()
    return setup + shell


def in_python() -> str:
    """Return what a reader types who writes Python."""
    setup, _, program = first_screen()
    return f"{setup}python <<'PROGRAM'\n{program}PROGRAM\n"
