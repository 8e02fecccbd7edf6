"""The table of jobs: a line for each, the cursor staying on its job while others come and go."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widgets import DataTable
from textual.widgets.data_table import ColumnKey

from ..client.model import JobInfo
from .columns import Column, layout

#: A blank between columns is in their width; the table's own is on both sides.
_GAP = 1

#: Always reserved, so that no column moves when there come to be more jobs than lines.
_SCROLLBAR = 1


class JobsTable(DataTable[Text]):
    """Shows jobs in the order in which it gets them."""

    DEFAULT_CSS = """
    JobsTable { height: 1fr; scrollbar-size-vertical: 1; background: $background; }
    JobsTable.-stale { opacity: 50%; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select_cursor", "Details"),
        Binding("home", "scroll_top", show=False),
        Binding("end", "scroll_bottom", show=False),
    ]

    def __init__(self) -> None:
        super().__init__(cursor_type="row", cell_padding=0)
        self._columns: list[tuple[Column, int]] = []
        self._mark: tuple[Column, bool] | None = None
        self._jobs: dict[str, JobInfo] = {}

    @property
    def shown_columns(self) -> list[Column]:
        """The columns, from left to right."""
        return [column for column, _ in self._columns]

    @property
    def current(self) -> JobInfo | None:
        """The job under the cursor."""
        keys = list(self._jobs)
        return self._jobs[keys[self.cursor_row]] if 0 <= self.cursor_row < len(keys) else None

    def show(
        self, jobs: Sequence[JobInfo], now: datetime, width: int, sorted_by: Column, *, backwards: bool
    ) -> None:
        """Show these jobs, in columns for a terminal so wide."""
        columns = layout(width - _SCROLLBAR)
        fresh = {key_of(job): job for job in jobs}
        same_columns = columns == self._columns and self._mark == (sorted_by, backwards)
        if same_columns and list(fresh) == list(self._jobs):
            self._jobs = fresh
            self._update(now)
            return
        place = key_of(self.current) if self.current else None
        row, scrolled = self.cursor_row, self.scroll_y
        self._columns, self._mark, self._jobs = columns, (sorted_by, backwards), fresh
        self._rebuild(now, clear_columns=not same_columns)
        keys = list(fresh)
        # When its job is gone, the cursor stays where it was.
        self.move_cursor(row=keys.index(place) if place in fresh else min(row, len(keys) - 1), scroll=False)
        self.scroll_to(y=scrolled, animate=False)

    def _rebuild(self, now: datetime, *, clear_columns: bool) -> None:
        self.clear(columns=clear_columns)
        if clear_columns:
            for column, width in self._columns:
                self.add_column(self._title(column, width), width=width + _GAP, key=column.title)
        for key, job in self._jobs.items():
            self.add_row(*(column.cell(job, now, width) for column, width in self._columns), key=key)

    def _update(self, now: datetime) -> None:
        for key, job in self._jobs.items():
            for column, width in self._columns:
                cell = column.cell(job, now, width)
                if self.get_cell(key, column.title) != cell:
                    self.update_cell(key, ColumnKey(column.title), cell)

    def _title(self, column: Column, width: int) -> Text:
        mark = ""
        if self._mark is not None and self._mark[0].title == column.title:
            mark = "▼" if self._mark[1] else "▲"
        text = Text(column.title, no_wrap=True)
        text.truncate(width - len(mark), overflow="ellipsis")
        text.append(mark)
        if column.is_number:
            text.align("right", width)
        return text


def key_of(job: JobInfo) -> str:
    """Return what tells a job from all others; those of other roles have no cookie here."""
    return f"{job.pid}:{job.cookie}:{job.queued_at}"
