"""A job's fields for people, each with its name, for `show` and the details of `top`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime

from . import display
from .client.model import JobError, JobInfo

#: As wide as the longest name.
NAME_WIDTH = 10

_BAR = 25


def job_fields(job: JobInfo, now: datetime) -> Iterator[tuple[str, str]]:
    """Yield what there is to say, but for the error and the SQL."""
    values = {
        "node": display.node(job),
        "handle": display.handle(job),
        "state": display.state(job),
        "time": display.duration(display.time_of(job, now)),
        "label": job.label,
        "role": job.role,
        "database": job.database,
        "process": job.worker_pid,
        "queued": _time(job.queued_at),
        "started": _time(job.started_at),
        "finished": _time(job.finished_at),
        "progress": " ".join(filter(None, [display.bar(job.progress_pct, _BAR), job.progress_msg])),
        "waits for": display.wait(job),
        "blocked by": display.blockers(job),
        "rows": None if job.command_tag is None else job.row_count,
        "tag": job.command_tag,
        "unread": display.size(job.result_bytes),
        "spilled": display.size(job.temp_bytes),
    }
    yield from ((name, str(value)) for name, value in values.items() if value not in (None, ""))


def error_fields(job: JobInfo, error: JobError | None) -> Iterator[tuple[str, str]]:
    """Yield the fields of the job's error, those of the list if there are no more; nothing if it has none."""
    known = asdict(error or JobError(job.sqlstate, job.error_message))
    yield from ((name.removesuffix("_name"), value) for name, value in known.items() if value)


def _time(value: datetime | None) -> str | None:
    return None if value is None else value.isoformat(" ", "seconds")
