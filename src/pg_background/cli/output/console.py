"""How the command line talks: results to stdout, everything else to stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO

from .terminal import is_terminal, visible

if TYPE_CHECKING:
    from ...errors import UserError

_STYLES = {"error": "\x1b[1;31m", "hint": "\x1b[1;36m", "name": "\x1b[1m", "dim": "\x1b[2m"}
_PLAIN = "\x1b[0m"


def say(*parts: str | tuple[str, str]) -> None:
    """Print a line on stderr: of texts, and of pairs of a text and its style, which only terminals get."""
    styled = is_terminal(sys.stderr) and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
    line = ""
    for part in parts:
        text, style = (part, "") if isinstance(part, str) else part
        shown = visible(text)
        line += f"{_STYLES[style]}{shown}{_PLAIN}" if style and styled and shown else shown
    # A character that the terminal's encoding lacks must not replace the message by a traceback.
    encoding = sys.stderr.encoding or "utf-8"
    try:
        print(line.encode(encoding, "backslashreplace").decode(encoding), file=sys.stderr, flush=True)
    except BrokenPipeError:
        # Nobody reads the messages; the exit code still says what happened.
        drop(sys.stderr)


def drop(stream: TextIO) -> None:
    """Let nothing more be written to a pipe that nobody reads."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def of_node(name: str) -> str:
    """Return what is put before a message about one of several servers; nothing for the only one."""
    return f"node {name}: " if name else ""


def report(error: UserError, node: str = "") -> None:
    """Print what is wrong and what to do.

    Args:
        node: which of several servers it is.
    """
    say(("error: ", "error"), f"{of_node(node)}{error.message}")
    if error.hint:
        say(("hint: ", "hint"), error.hint)


def note(text: str) -> None:
    """Print a remark."""
    say((text, "dim"))


@contextmanager
def step(text: str) -> Iterator[None]:
    """Show on a terminal what takes a moment, and take it away when that is done."""
    if not is_terminal(sys.stderr):
        yield
        return
    sys.stderr.write(f"{visible(text)}\r")
    sys.stderr.flush()
    try:
        yield
    finally:
        sys.stderr.write("\x1b[K")
        sys.stderr.flush()
