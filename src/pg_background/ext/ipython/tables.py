"""Rows as a table of text, where there is no HTML."""

from __future__ import annotations

from io import StringIO
from typing import Any

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from ...client.notebook import first_rows, shown_of
from ...client.result import Result


def print_result(result: Result[Any], printer: Any, cycle: bool) -> None:
    """Print a result's first rows; a formatter of IPython for `text/plain`."""
    if result.columns:
        printer.text(f"{text_table(result, printer.max_width)}{shown_of(result)}")
    else:
        printer.text(result.statusmessage or "")


def text_table(result: Result[Any], width: int | None = None) -> str:
    """Return a result's first rows as lines; by default as wide as the terminal."""
    table = Table(*(Column(Text(column.name)) for column in result.columns))
    for texts in first_rows(result):
        table.add_row(*map(Text, texts))
    console = Console(file=StringIO(), width=width, color_system=None, force_jupyter=False)
    console.print(table)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()
