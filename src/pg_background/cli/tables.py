"""Tables as psql draws them: folded to the terminal's width, unfolded and plain everywhere else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.box import Box
from rich.console import Console
from rich.table import Table
from rich.text import Text

#: Wide enough for any line; rich has no "as wide as need be".
_UNBOUNDED = 100_000

_LINES = Box("    \n  | \n -+ \n  | \n    \n    \n  | \n    \n", ascii=True)


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    name: str
    is_number: bool = False


def print_table(columns: Sequence[Column], rows: Iterable[Sequence[str | None]]) -> None:
    """Print it on stdout."""
    table = Table(box=_LINES, show_edge=False, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(
            Text(column.name),
            justify="right" if column.is_number else "left",
            overflow="fold",
            no_wrap=column.is_number,
        )
    for row in rows:
        # As text: nothing in it is markup.
        table.add_row(*(Text("" if value is None else value.expandtabs()) for value in row))
    stdout().print(table, crop=False)


def stdout() -> Console:
    """Return a console on stdout: of a terminal's width, or without limit and colours elsewhere."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_UNBOUNDED, color_system=None)
