"""The table of jobs: a line for each, the cursor staying on its job while others come and go.

Lines are drawn only while they are visible, and anew only when they have changed: with hundreds of jobs that
are polled each second nothing else is cheap enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.events import Click
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from .. import display
from ..client.model import JobInfo
from .columns import Column, layout

#: Between two columns, and before the first.
_GAP = " "

#: Always reserved, so that no column moves when there come to be more jobs than lines.
_SCROLLBAR = 1

_Line = tuple[tuple[str, str], ...]


class JobsTable(ScrollView, can_focus=True):
    """Shows jobs in the order in which it gets them."""

    DEFAULT_CSS = """
    JobsTable { height: 1fr; scrollbar-size-vertical: 1; background: $background; }
    JobsTable.-stale { opacity: 50%; }
    JobsTable > .jobs--header { background: $panel; text-style: bold; }
    JobsTable > .jobs--cursor { background: $primary; color: $text; text-style: bold; }
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"jobs--header", "jobs--cursor"}

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select", "Details"),
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "go(0)", show=False),
        Binding("end", "go(-1)", show=False),
    ]

    class Selected(Message):
        """Somebody wants to see all of the job under the cursor."""

    class TitleSelected(Message):
        """Somebody has clicked on a column's title."""

        def __init__(self, column: Column) -> None:
            super().__init__()
            self.column = column

    def __init__(self) -> None:
        super().__init__()
        self._columns: list[tuple[Column, int]] = []
        self._keys: list[str] = []
        self._jobs: list[JobInfo] = []
        self._title: _Line = ()
        self._now: datetime | None = None
        self._row = 0

    @property
    def shown_columns(self) -> list[Column]:
        """The columns, from left to right."""
        return [column for column, _ in self._columns]

    @property
    def current(self) -> JobInfo | None:
        """The job under the cursor."""
        return self._jobs[self._row] if self._row < len(self._jobs) else None

    def show(
        self,
        jobs: Sequence[JobInfo],
        now: datetime,
        width: int,
        sorted_by: Column,
        *,
        backwards: bool,
        nodes: Sequence[str] = (),
    ) -> None:
        """Show these jobs, in columns for a terminal so wide; those of several servers with their node."""
        before = self._lines_in_sight()
        place = self._keys[self._row] if self._row < len(self._keys) else None
        self._columns = layout(width - _SCROLLBAR, nodes)
        self._title = tuple(
            (_title(column, room, sorted_by, backwards=backwards), "") for column, room in self._columns
        )
        self._jobs, self._now = list(jobs), now
        self._keys = [key_of(job) for job in jobs]
        # When its job is gone, the cursor stays where it was.
        self._row = (
            self._keys.index(place) if place in self._keys else max(min(self._row, len(self._jobs) - 1), 0)
        )
        self.virtual_size = Size(width - _SCROLLBAR, len(self._jobs) + 1)
        for y, (old, new) in enumerate(zip(before, self._lines_in_sight(), strict=True)):
            if old != new:
                self.refresh(Region(0, y, self.size.width, 1))

    def render_line(self, y: int) -> Strip:
        """Draw one line of what is visible."""
        width = self.size.width
        line = self._line(y)
        style = self.rich_style
        if y == 0:
            style += self.get_component_rich_style("jobs--header")
        elif self._row_at(y) == self._row and line:
            style += self.get_component_rich_style("jobs--cursor")
        segments = [Segment(f"{text}{_GAP}", style + Style.parse(colour)) for text, colour in line]
        return Strip(segments).adjust_cell_length(width, style)

    def _lines_in_sight(self) -> list[tuple[_Line, bool]]:
        return [(self._line(y), self._row_at(y) == self._row) for y in range(self.size.height)]

    def _row_at(self, y: int) -> int:
        # The titles stay in their place.
        return y - 1 + self.scroll_offset.y

    def _line(self, y: int) -> _Line:
        if y == 0:
            return self._title
        row = self._row_at(y)
        if self._now is None or not 0 <= row < len(self._jobs):
            return ()
        job = self._jobs[row]
        return tuple(column.cell(job, self._now, width) for column, width in self._columns)

    # ---- moving

    def action_move(self, rows: int) -> None:
        """Move the cursor."""
        self._go(self._row + rows)

    def action_page(self, pages: int) -> None:
        """Move it by as many lines as are visible."""
        self._go(self._row + pages * max(self.size.height - 1, 1))

    def action_go(self, row: int) -> None:
        """Move it to a line, -1 is the last one."""
        self._go(len(self._jobs) - 1 if row < 0 else row)

    def action_select(self) -> None:
        """Ask for all of the job."""
        if self.current is not None:
            self.post_message(self.Selected())

    def on_click(self, event: Click) -> None:
        """Move the cursor; on a title sort by it, and on the cursor's line show the job."""
        if event.y == 0:
            if (column := self._column_at(event.x)) is not None:
                self.post_message(self.TitleSelected(column))
            return
        row = self._row_at(event.y)
        if row == self._row:
            self.action_select()
        elif row < len(self._jobs):
            self._go(row)

    def _column_at(self, x: int) -> Column | None:
        for column, width in self._columns:
            x -= width + len(_GAP)
            if x < 0:
                return column
        return None

    def _go(self, row: int) -> None:
        self._row = max(min(row, len(self._jobs) - 1), 0)
        room = max(self.size.height - 1, 1)
        top = self.scroll_offset.y
        if not top <= self._row < top + room:
            self.scroll_to(
                y=self._row if self._row < top else self._row - room + 1, animate=False, immediate=True
            )
        self.refresh()


def _title(column: Column, width: int, sorted_by: Column, *, backwards: bool) -> str:
    mark = ("▼" if backwards else "▲") if column.title == sorted_by.title else ""
    text = f"{column.title[: width - len(mark)]}{mark}"
    blanks = " " * (width - cell_len(text))
    return f"{blanks}{text}" if column.is_number else f"{text}{blanks}"


def key_of(job: JobInfo) -> str:
    """Return what tells a job from all others; those of other roles have no cookie here."""
    return f"{display.node(job)}/{job.pid}:{job.cookie}:{job.queued_at}"
