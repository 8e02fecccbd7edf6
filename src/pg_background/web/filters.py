"""Which jobs of a list are shown, in which order, and which page of them; all of it is in the address."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, get_args

from .. import display
from ..client.model import JobInfo, JobState
from ..watching import matches
from .links import query_of

STATES: tuple[str, ...] = get_args(JobState)

SIZES = (25, 50, 100, 250)

#: Those that need attention first, first.
_RANKS = {
    state: rank
    for rank, state in enumerate(
        ("running", "starting", "queued", "error", "lost", "timed_out", "canceled", "stopped", None)
    )
}

#: None comes last in any direction.
_SORTS: Mapping[str, Callable[[JobInfo, datetime], Any]] = {
    "state": lambda job, _: _RANKS[job.state],
    "job": lambda job, _: (job.label or job.sql_preview or "").casefold() or None,
    "role": lambda job, _: job.role,
    "database": lambda job, _: job.database,
    "queued": lambda job, _: job.queued_at,
    "waited": lambda job, now: waited(job, now),
    "time": lambda job, now: ran(job, now),
    "rows": lambda job, _: job.row_count if job.command_tag else None,
}

#: No one looks for a longer text, and no address is to have one.
_LONGEST = 200


@dataclass(frozen=True)
class Filter:
    """What is asked for."""

    #: of them any; `live` stands for all that have not ended, `ended` for the others
    state: str = ""
    role: str = ""
    database: str = ""
    #: a part of it
    label: str = ""
    #: words that are somewhere in the job
    q: str = ""
    #: empty: live ones first, the oldest of them first; then the one that ended last
    sort: str = ""
    backwards: bool = False
    page: int = 1
    size: int = 50

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Filter:
        """Return what an address asks for; what makes no sense is not asked for."""
        state, sort = given.get("state", ""), given.get("sort", "")
        size = _number(given.get("size", ""), 50)
        return cls(
            state=state if state in (*STATES, "live", "ended") else "",
            **{name: given.get(name, "")[:_LONGEST] for name in ("role", "database", "label", "q")},
            sort=sort if sort in _SORTS else "",
            backwards=given.get("dir") == "desc",
            page=max(1, _number(given.get("page", ""), 1)),
            size=size if size in SIZES else 50,
        )

    def query(self, **changes: Any) -> str:
        """Return what the address ends with, for this with changes; a change begins on the first page."""
        made = replace(self, **({"page": 1} | changes))
        return query_of(
            state=made.state,
            role=made.role,
            database=made.database,
            label=made.label,
            q=made.q,
            sort=made.sort,
            dir="desc" if made.backwards else "",
            size="" if made.size == 50 else made.size,
            page="" if made.page == 1 else made.page,
        )

    @property
    def is_narrow(self) -> bool:
        """Whether it leaves anything out."""
        return any((self.state, self.role, self.database, self.label, self.q))

    def takes_state(self, state: str | None) -> bool:
        """Tell whether jobs of this state are shown."""
        if not self.state:
            return True
        if self.state in ("live", "ended"):
            is_final = state in ("stopped", "error", "canceled", "timed_out", "lost")
            return is_final == (self.state == "ended") and state is not None
        return state == self.state

    def takes_rest(self, job: JobInfo) -> bool:
        """Tell whether it is shown, as far as it is not for its state."""
        return (
            (not self.role or job.role == self.role)
            and (not self.database or job.database == self.database)
            and (not self.label or self.label.casefold() in (job.label or "").casefold())
            and (not self.q or matches(job, self.q))
        )


@dataclass(frozen=True)
class Listed:
    """A page of jobs, and what to say of the others."""

    jobs: Sequence[JobInfo]
    #: of all pages
    total: int
    #: by state, whatever states are asked for
    counts: Mapping[str | None, int]
    roles: Sequence[str]
    databases: Sequence[str]
    page: int
    pages: int


def listed(jobs: Sequence[JobInfo], now: datetime, wanted: Filter) -> Listed:
    """Return the page that is asked for, or the last one if there are not so many."""
    rest = [job for job in jobs if wanted.takes_rest(job)]
    chosen = [job for job in rest if wanted.takes_state(job.state)]
    pages = max(1, -(-len(chosen) // wanted.size))
    page = min(wanted.page, pages)
    first = (page - 1) * wanted.size
    return Listed(
        jobs=_in_order(chosen, now, wanted)[first : first + wanted.size],
        total=len(chosen),
        counts=Counter(job.state for job in rest),
        roles=sorted({job.role for job in jobs if job.role} | ({wanted.role} - {""})),
        databases=sorted({job.database for job in jobs if job.database} | ({wanted.database} - {""})),
        page=page,
        pages=pages,
    )


def _in_order(jobs: Sequence[JobInfo], now: datetime, wanted: Filter) -> list[JobInfo]:
    rest = sorted(jobs, key=lambda job: _recent(job, now))
    if not wanted.sort:
        return rest
    value = _SORTS[wanted.sort]
    pairs = [(value(job, now), job) for job in rest]
    filled = [pair for pair in pairs if pair[0] is not None]
    filled.sort(key=lambda pair: pair[0], reverse=wanted.backwards)
    return [job for _, job in filled] + [job for found, job in pairs if found is None]


def _recent(job: JobInfo, now: datetime) -> Any:
    if display.is_live(job) or job.finished_at is None:
        return False, 0 if job.state else 1, job.queued_at or now, job.pid
    return True, 0, now - job.finished_at, job.pid


def waited(job: JobInfo, now: datetime) -> float | None:
    """Return the seconds for which it waited to be run, or does."""
    if job.queued_at is None:
        return None
    until = job.started_at or job.finished_at or now
    return max((until - job.queued_at).total_seconds(), 0)


def ran(job: JobInfo, now: datetime) -> float | None:
    """Return the seconds for which it ran, or does; None if it has not begun."""
    if job.started_at is None:
        return None
    return max(((job.finished_at or now) - job.started_at).total_seconds(), 0)


def _number(text: str, default: int) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else default
