"""How the demo shows things: the same on a terminal and in a pipe, but for colours and the moving bar."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

INDENT = 4


class Watch(Protocol):
    """Shows how far a job is."""

    def __call__(self, percent: int, message: str) -> None:
        """Show what a job reported, if it is news."""


class Screen:
    """Where the demo is shown."""

    def __init__(self, console: Console | None = None) -> None:
        """
        Args:
            console: by default standard output.
        """
        self._console = console or Console(highlight=False)

    def heading(self, text: str) -> None:
        """Begin a part."""
        self._console.print()
        self._console.print(Text(text, style="bold"))
        self._console.print(Text("=" * len(text), style="bold"))

    def say(self, text: str) -> None:
        """Show a paragraph."""
        self._console.print()
        self._console.print(Text(text))

    def sql(self, statement: str) -> None:
        """Show a statement as it is run."""
        self._console.print()
        self._lines(
            Syntax("", "sql", theme="ansi_dark", background_color="default").highlight(statement.strip())
        )

    def code(self, text: str) -> None:
        """Show a command to copy."""
        self._console.print()
        self._lines(Text(text, style="cyan"))

    def rows(self, columns: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[bool]) -> None:
        """Show rows as a table; one row that is too wide for it stands upright."""
        table = self._table()
        for name, is_number in zip(columns, numeric, strict=True):
            table.add_column(name, justify="right" if is_number else "left", no_wrap=is_number)
        for row in rows:
            table.add_row(*map(Text, row))
        width = Measurement.get(self._console, self._console.options, table).maximum
        if len(rows) == 1 and width > self._console.width - INDENT:
            table = self._table()
            table.show_header = False
            for name, value in zip(columns, rows[0], strict=True):
                table.add_row(Text(name, style="bold"), Text(value))
        self._console.print()
        self._console.print(Padding(table, (0, 0, 0, INDENT - 1), expand=False))

    def note(self, text: str, style: str = "dim") -> None:
        """Show what is to be said about a result."""
        self._lines(Text(text, style=style))

    def busy(self, text: str) -> AbstractContextManager[object]:
        """Show on a terminal what takes a moment."""
        return self._console.status(Text(text)) if self._console.is_terminal else nullcontext()

    @contextmanager
    def progress(self, title: str) -> Iterator[Watch]:
        """Show a job's progress: a moving bar on a terminal, elsewhere a line for each change."""
        if not self._console.is_terminal:
            yield self._progress_lines()
            return
        columns = (
            TextColumn(" " * (INDENT - 1) + "{task.description}"),
            BarColumn(24),
            TextColumn("{task.percentage:>3.0f} %  {task.fields[message]}"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self._console) as bar:
            task = bar.add_task(title, total=100, message="")

            def show(percent: int, message: str) -> None:
                bar.update(task, completed=percent, message=message)

            yield show

    def _progress_lines(self) -> Watch:
        last: tuple[int, str] | None = None

        def show(percent: int, message: str) -> None:
            nonlocal last
            if (percent, message) != last:
                last = (percent, message)
                self.note(f"{percent:3d} %  {message}")

        return show

    def _table(self) -> Table:
        return Table(box=SIMPLE_HEAD, show_edge=False, header_style="bold", pad_edge=True)

    def _lines(self, text: Text) -> None:
        """Show text indented and not wrapped, so that it can be copied."""
        for line in text.split("\n"):
            self._console.print(Text.assemble(" " * INDENT, line), soft_wrap=True)


def duration(seconds: float) -> str:
    """Return a time as people say it."""
    if seconds < 0.01:
        return f"{seconds * 1000:.1f} ms"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"
