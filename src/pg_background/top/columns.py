"""The columns of the screen: what is in them, how they sort, and which of them fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.text import Text

from .. import display
from ..client.model import JobInfo

#: Jobs to look at first, first.
_RANKS = ("running", "starting", "queued", "error", "lost", "timed_out", "canceled", "stopped")

Values = Callable[[JobInfo, datetime], Any]


@dataclass(frozen=True)
class Column:
    """A column."""

    title: str
    #: without the blank that parts it from the next; 0: it takes what is left
    width: int
    text: Callable[[JobInfo, datetime], str]
    #: None, in any direction, comes last
    sort: Values
    is_number: bool = False

    def cell(self, job: JobInfo, now: datetime, width: int) -> Text:
        """Return what is shown, cut to the width."""
        style = display.style(job) if self is STATE else "dim" if not display.is_live(job) else ""
        text = Text(self.text(job, now), style, no_wrap=True)
        text.truncate(width, overflow="ellipsis")
        if self.is_number:
            text.align("right", width)
        return text


def _rank(job: JobInfo) -> int | None:
    return None if job.state is None else _RANKS.index(job.state)


_PROGRESS_WIDTH = 10

PID = Column("PID", 7, lambda job, _: str(job.pid), lambda job, _: job.pid, is_number=True)
STATE = Column("STATE", 9, lambda job, _: display.state(job), lambda job, _: _rank(job))
ROLE = Column("ROLE", 10, lambda job, _: job.role or "", lambda job, _: job.role)
DATABASE = Column("DATABASE", 10, lambda job, _: job.database or "", lambda job, _: job.database)
TIME = Column(
    "TIME",
    6,
    lambda job, now: display.duration(display.time_of(job, now)),
    lambda job, now: display.time_of(job, now),
    is_number=True,
)
PROGRESS = Column(
    "PROGRESS",
    _PROGRESS_WIDTH,
    lambda job, _: display.bar(job.progress_pct, _PROGRESS_WIDTH),
    lambda job, _: job.progress_pct,
)
WAIT = Column("WAIT", 21, lambda job, _: display.wait(job), lambda job, _: display.wait(job) or None)
BLOCKED_BY = Column(
    "BLOCKED BY", 10, lambda job, _: display.blockers(job), lambda job, _: display.blockers(job) or None
)
ROWS = Column("ROWS", 6, lambda job, _: display.rows(job), lambda job, _: job.row_count, is_number=True)
SPILLED = Column(
    "SPILLED", 7, lambda job, _: display.size(job.temp_bytes), lambda job, _: job.temp_bytes, is_number=True
)
LABEL = Column("LABEL", 16, lambda job, _: display.label(job), lambda job, _: job.label)
SQL = Column("SQL", 0, lambda job, _: display.sql(job), lambda job, _: job.sql_preview)
MESSAGE = Column("MESSAGE", 40, lambda job, _: display.note(job), lambda job, _: display.note(job) or None)

#: Where there is little room: what holds it up, and what it is.
HELD_UP = Column("WAIT", 12, lambda job, _: display.held_up(job), lambda job, _: display.held_up(job) or None)
JOB = Column("JOB", 0, lambda job, _: display.title(job), lambda job, _: job.label)

_LAYOUTS: tuple[tuple[int, Sequence[Column]], ...] = (
    (
        180,
        (
            *(PID, STATE, ROLE, DATABASE, TIME, PROGRESS, WAIT, BLOCKED_BY),
            *(ROWS, SPILLED, LABEL, SQL, MESSAGE),
        ),
    ),
    (120, (PID, STATE, TIME, PROGRESS, WAIT, BLOCKED_BY, ROWS, SPILLED, LABEL, SQL)),
    (0, (PID, STATE, TIME, PROGRESS, HELD_UP, ROWS, SPILLED, JOB)),
)

#: What the last column has at least; on a narrower terminal the table scrolls.
_LEAST = 12


def layout(width: int) -> list[tuple[Column, int]]:
    """Return the columns for a terminal so wide, and the width of each."""
    columns = next(columns for least, columns in _LAYOUTS if width >= least)
    left = width - sum(column.width + 1 for column in columns)
    return [(column, column.width or max(left, _LEAST)) for column in columns]


def in_order(jobs: Sequence[JobInfo], now: datetime, by: Column, *, backwards: bool) -> list[JobInfo]:
    """Return jobs sorted by a column, those with nothing in it last; equal ones by age, live ones first."""
    rest = sorted(jobs, key=lambda job: _recent(job, now))
    filled = [job for job in rest if by.sort(job, now) is not None]
    empty = [job for job in rest if by.sort(job, now) is None]
    return sorted(filled, key=lambda job: by.sort(job, now), reverse=backwards) + empty


def _recent(job: JobInfo, now: datetime) -> Any:
    """Order by the state; live ones with the oldest first, those that ended with the last one first."""
    if display.is_live(job) or job.finished_at is None:
        return False, job.queued_at or now, job.pid
    return True, now - job.finished_at, job.pid
