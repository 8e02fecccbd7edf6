"""Rows as a table of text, where there is no HTML."""

from __future__ import annotations

from io import StringIO
from typing import Any

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from ...client.notebook import first_rows
from ...client.result import Result


def print_result(result: Result[Any], printer: Any, cycle: bool) -> None:
    """Print a result's first rows; a formatter of IPython for `text/plain`."""
    if not result.columns:
        printer.text(result.statusmessage or "")
        return
    table = Table(*(Column(Text(column.name)) for column in result.columns))
    for texts in first_rows(result):
        table.add_row(*map(Text, texts))
    console = Console(file=StringIO(), width=printer.max_width, color_system=None, force_jupyter=False)
    console.print(table)
    assert isinstance(console.file, StringIO)
    printer.text(f"{console.file.getvalue()}{counted(len(result))}")


def counted(rows: int) -> str:
    """Return `1 row` or `2 rows`."""
    return f"{rows} row" if rows == 1 else f"{rows} rows"
