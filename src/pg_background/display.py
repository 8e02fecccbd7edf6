"""A job in the words and lengths that fit into a line, for `ps` and `top`.

The text of others is as it is: who sends it to a terminal makes it `visible`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from .client.model import FINAL, JobInfo, JobState, in_words
from .cluster.node_job import NodeJob

#: Colours of states, on terminals.
STYLES: dict[JobState, str] = {
    "queued": "cyan",
    "starting": "cyan",
    "running": "green",
    "stopped": "dim",
    "error": "red",
    "canceled": "yellow",
    "timed_out": "yellow",
    "lost": "bold red",
}

#: The same for those who write to the terminal themselves.
COLOURS: dict[JobState, str] = {
    "queued": "\x1b[36m",
    "starting": "\x1b[36m",
    "running": "\x1b[32m",
    "stopped": "\x1b[2m",
    "error": "\x1b[31m",
    "canceled": "\x1b[33m",
    "timed_out": "\x1b[33m",
    "lost": "\x1b[1;31m",
}

#: So many characters of its SQL does the server show in its views.
_PREVIEW = 120

_UNITS = ("B", "kB", "MB", "GB", "TB")

_BAR = "█"
_HALF = "▌"
_REST = "─"


def is_live(job: JobInfo) -> bool:
    """Tell whether it has not ended."""
    return job.state not in FINAL


def handle(job: JobInfo) -> str:
    """Return the handle as commands take it; of a job that this role may not cancel only the pid."""
    return f"{job.pid}:{'?' if job.cookie is None else job.cookie}"


def node(job: JobInfo) -> str:
    """Return which of several servers it is on; of the jobs of one server nothing."""
    return job.node if isinstance(job, NodeJob) else ""


def state(job: JobInfo) -> str:
    """Return its state as people call it; of one that this role may not look at nothing."""
    return "" if job.state is None else in_words(job.state)


def style(job: JobInfo) -> str:
    """Return the colour of its state."""
    return "" if job.state is None else STYLES[job.state]


def colour(job: JobInfo) -> str:
    """Return the same for those who write to the terminal themselves."""
    return "" if job.state is None else COLOURS[job.state]


def time_of(job: JobInfo, now: datetime) -> timedelta | None:
    """Return how long it has run, or while it waits for a worker, how long that has lasted."""
    began = job.started_at or job.queued_at
    if began is None:
        return None
    return max((job.finished_at or now) - began, timedelta())


def duration(value: timedelta | None) -> str:
    """Return a duration in two units at most: `0.4s`, `42s`, `3m07s`, `2h05m`, `4d06h`; of none nothing."""
    if value is None:
        return ""
    seconds = value.total_seconds()
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02}h"


def size(value: int | None) -> str:
    """Return an amount of bytes, as `37 kB`; of none nothing."""
    if not value:
        return ""
    amount, unit = _scaled(value, 1024, _UNITS)
    return f"{amount:.0f} {unit}" if unit == "B" or amount >= 9.95 else f"{amount:.1f} {unit}"


def count(value: int | None) -> str:
    """Return a number of rows in at most five characters, as `12.3k`; of none nothing."""
    if value is None:
        return ""
    if value < 99999.5:
        return f"{value}"
    amount, unit = _scaled(value / 1000, 1000, "kMGT")
    return f"{amount:.0f}{unit}" if amount >= 99.5 else f"{amount:.1f}{unit}"


def _scaled(amount: float, step: int, units: Sequence[str]) -> tuple[float, str]:
    """Return it in the first unit that leaves at most three digits before the point, or in the last."""
    *smaller, last = units
    for unit in smaller:
        if amount < 999.5:
            return amount, unit
        amount /= step
    return amount, last


def rows(job: JobInfo) -> str:
    """Return how many rows its last statement had, once that is known."""
    return "" if job.command_tag is None else count(job.row_count)


def bar(percent: int | None, width: int) -> str:
    """Return a progress bar with its percentage, so wide; nothing if the job has reported nothing."""
    if percent is None:
        return ""
    cells = width - 5
    halves = round(percent / 100 * cells * 2)
    drawn = _BAR * (halves // 2) + _HALF * (halves % 2)
    return f"{drawn:{_REST}<{cells}} {percent:3}%"


def wait(job: JobInfo) -> str:
    """Return what its process waits for, as `Lock: relation`; nothing while it works."""
    if not is_live(job) or job.wait_event_type is None:
        return ""
    return f"{job.wait_event_type}: {job.wait_event}"


def blockers(job: JobInfo) -> str:
    """Return the processes that hold it up."""
    return ", ".join(str(pid) for pid in job.blocked_by or ())


def held_up(job: JobInfo) -> str:
    """Return in a few characters who or what holds it up."""
    found = blockers(job)
    return f"by {found}" if found else wait(job).partition(": ")[2]


def percent(job: JobInfo) -> str:
    """Return how far it says that it is."""
    return "" if job.progress_pct is None else f"{job.progress_pct}%"


def title(job: JobInfo) -> str:
    """Return what it is: its label, and its SQL."""
    return f"{label(job)}: {sql(job)}" if job.label else sql(job)


def label(job: JobInfo) -> str:
    """Return its label, or nothing."""
    return job.label or ""


def sql(job: JobInfo) -> str:
    """Return the beginning of its SQL on one line, with a mark where there is more."""
    more = "…" if len(job.sql_preview or "") >= _PREVIEW else ""
    return _line(job.sql_preview) + more


def error(job: JobInfo) -> str:
    """Return its error on one line; nothing if it has none, or it is hidden from this role."""
    return "" if is_live(job) or job.state == "stopped" else _line(job.error_message or job.sqlstate)


def moment(time: datetime | None, now: datetime, *, short: bool = False) -> str:
    """Return a time of day, in the zone of the session; of another day its date, `short` without the time."""
    if time is None:
        return ""
    if time.date() == now.date():
        return time.strftime("%H:%M:%S")
    return time.strftime("%b %d" if short else "%b %d %H:%M")


def note(job: JobInfo) -> str:
    """Return what is most worth saying of it: its error, its own message, or nothing."""
    if job.error_message and not is_live(job):
        return _line(job.error_message)
    return _line(job.progress_msg)


def _line(text: str | None) -> str:
    return " ".join((text or "").split())
