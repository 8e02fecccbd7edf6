"""How the command line talks: results to stdout, everything else to stderr."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text

from ..server.errors import ServerError


def console() -> Console:
    """Return a console on stderr; soft-wrapped, so that a path can be copied whole."""
    return Console(stderr=True, soft_wrap=True, highlight=False)


def report(error: ServerError) -> None:
    """Print what is wrong and what to do."""
    output = console()
    output.print(Text.assemble(("error: ", "bold red"), error.message))
    if error.hint:
        output.print(Text.assemble(("hint: ", "bold cyan"), error.hint))


def note(text: str) -> None:
    """Print a remark."""
    console().print(Text(text, style="dim"))


@contextmanager
def step(text: str) -> Iterator[None]:
    """Show on a terminal what takes a moment."""
    with console().status(Text(text)):
        yield
