"""What a job is called in addresses, and on what a page's lines are recognized from one poll to the next."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..client.model import Handle, JobInfo

_KEY = re.compile(r"(-?\d{1,10}):(-?\d{1,19})")


def key_of(job: JobInfo) -> str | None:
    """Return it: the handle as commands take it; of a job whose cookie is hidden its time; or nothing."""
    if job.cookie is not None:
        return f"{job.pid}:{job.cookie}"
    if job.queued_at is not None:
        return f"{job.pid}@{job.queued_at.timestamp():.6f}"
    return None


def job_of(key: str, jobs: Sequence[JobInfo]) -> JobInfo | None:
    """Return the job that is called so, if it is among these."""
    return next((job for job in jobs if key_of(job) == key), None)


def handle_of(key: str) -> Handle | None:
    """Return the handle that it is; None for what is none."""
    found = _KEY.fullmatch(key)
    if found is None:
        return None
    pid, cookie = map(int, found.groups())
    return Handle(pid, cookie) if abs(pid) < 2**31 and abs(cookie) < 2**63 else None
