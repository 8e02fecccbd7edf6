"""The columns of the screen: what is in them, how they sort, and which of them fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.cells import cell_len, set_cell_size

from .. import display
from ..cli.output.terminal import visible
from ..client.model import JobInfo

#: The jobs that need attention first, first.
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

    def cell(self, job: JobInfo, now: datetime, width: int) -> tuple[str, str]:
        """Return what is shown, of just this width, and its style."""
        style = display.style(job) if self is STATE else "dim" if not display.is_live(job) else ""
        return fitted(visible(self.text(job, now)), width, is_number=self.is_number), style


def fitted(text: str, width: int, *, is_number: bool = False) -> str:
    """Return a text of just this width, with a mark where it was cut."""
    taken = cell_len(text)
    if taken > width:
        return set_cell_size(text, width - 1) + "…"
    blanks = " " * (width - taken)
    return f"{blanks}{text}" if is_number else f"{text}{blanks}"


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
LABEL = Column("LABEL", 24, lambda job, _: display.label(job), lambda job, _: job.label)
SQL = Column("SQL", 0, lambda job, _: display.sql(job), lambda job, _: job.sql_preview)
MESSAGE = Column("MESSAGE", 32, lambda job, _: display.note(job), lambda job, _: display.note(job) or None)

STARTED = Column(
    "STARTED",
    8,
    lambda job, now: display.moment(job.started_at, now, short=True),
    lambda job, _: job.started_at,
    is_number=True,
)

#: Where there is little room: what holds it up, and what it is.
HELD_UP = Column("WAIT", 12, lambda job, _: display.held_up(job), lambda job, _: display.held_up(job) or None)
JOB = Column("JOB", 0, lambda job, _: display.title(job), lambda job, _: job.label)

#: As wide as the longest name, but no wider than this.
_NODE_WIDTH = 20

#: What one can't do without, and then what is most often of use, as there is room for it.
_BY_USE = (PID, STATE, TIME, JOB, HELD_UP, PROGRESS, ROWS, STARTED, DATABASE, ROLE, SPILLED)
_FROM_LEFT = (PID, STATE, ROLE, DATABASE, STARTED, TIME, PROGRESS, HELD_UP, ROWS, SPILLED, JOB)

#: From this width on there is room for all, and for the label and the SQL beside each other.
_WIDE = 190
_ALL = (
    *(PID, STATE, ROLE, DATABASE, STARTED, TIME, PROGRESS, WAIT, BLOCKED_BY),
    *(ROWS, SPILLED, LABEL, SQL, MESSAGE),
)

#: What the job's name has at least, before a column comes that one can do without; and at all.
_READABLE = 28
_LEAST = 12


def layout(width: int, nodes: Sequence[str] = ()) -> list[tuple[Column, int]]:
    """Return the columns for a terminal so wide, and the width of each.

    Args:
        nodes: the names of several servers.
    """
    first = [_node_column(nodes)] if nodes else []
    columns: Sequence[Column] = [*first, *_ALL]
    if width < _WIDE:
        kept: list[Column] = []
        for column in _BY_USE:
            if len(kept) < 4 or _taken([*first, *kept, column]) + _READABLE <= width:
                kept.append(column)
        columns = [*first, *(column for column in _FROM_LEFT if column in kept)]
    left = width - _taken(columns)
    return [(column, column.width or max(left, _LEAST)) for column in columns]


def _node_column(nodes: Sequence[str]) -> Column:
    width = min(max(map(cell_len, ("NODE", *nodes))), _NODE_WIDTH)
    return Column("NODE", width, lambda job, _: display.node(job), lambda job, _: display.node(job))


def _taken(columns: Sequence[Column]) -> int:
    """Return the width of all but the one that takes what is left, with the blanks between them."""
    return sum(column.width + 1 for column in columns)


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
