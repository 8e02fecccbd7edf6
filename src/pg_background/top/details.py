"""All of one job: its fields, its error, its whole SQL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import ClassVar

from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Footer, Static

from .. import display
from ..cli.output.terminal import visible
from ..client.model import Inspection, JobInfo
from ..job_fields import NAME_WIDTH, error_fields, job_fields


class Details(Screen[None]):
    """Shows a job, and goes on showing how it stands."""

    DEFAULT_CSS = """
    Details VerticalScroll { padding: 0 1; }
    Details .title { text-style: bold; color: $accent; margin-top: 1; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,enter", "app.pop_screen", "Back")]

    def __init__(self, job: JobInfo, now: datetime) -> None:
        super().__init__()
        self.job = job
        self._now = now
        self._inspection: Inspection | None = None
        self._gone = ""

    def compose(self) -> ComposeResult:
        """See `Screen`."""
        with VerticalScroll():
            yield Static(id="fields")
            yield Static("ERROR", classes="title", id="error-title")
            yield Static(id="error")
            yield Static("SQL", classes="title")
            yield Static(id="sql")
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        """Show what is known already."""
        self.query_one(VerticalScroll).focus()
        self._show()

    def show_job(self, job: JobInfo | None, now: datetime) -> None:
        """Show how it stands now; None: the server does not list it any more."""
        self._now = now
        if job is None:
            self._gone = "the server does not keep it any more; this is what was seen last"
        else:
            self.job, self._gone = job, ""
        self._show()

    def show_inspection(self, inspection: Inspection) -> None:
        """Show its SQL and error."""
        self._inspection = inspection
        self._show()

    def _show(self) -> None:
        # A poll may come back before there is anything to show it in, and after that has been closed.
        if not self.query("#fields"):
            return
        self.query_one("#fields", Static).update(_grid(self._fields()))
        error = list(self._error())
        self.query_one("#error-title").display = bool(error)
        self.query_one("#error", Static).update(_grid(error))
        found = self._inspection
        text = (found.sql if found else None) or self.job.sql_preview
        self.query_one("#sql", Static).update(
            Syntax(visible(text), "postgresql", theme="ansi_dark", word_wrap=True, background_color="default")
            if text
            else Text("hidden from this role", "dim")
        )

    def _fields(self) -> Iterator[tuple[str, Text]]:
        for name, text in job_fields(self.job, self._now):
            yield name, Text(visible(text), display.style(self.job) if name == "state" else "")
        if self._gone:
            yield "note", Text(self._gone, "yellow")

    def _error(self) -> Iterator[tuple[str, Text]]:
        error = self._inspection.error if self._inspection else None
        yield from ((name, Text(visible(text))) for name, text in error_fields(self.job, error))


def _grid(lines: Iterable[tuple[str, Text]]) -> Table:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(style="bold", no_wrap=True, width=NAME_WIDTH)
    grid.add_column(overflow="fold")
    for name, text in lines:
        grid.add_row(name, text)
    return grid
