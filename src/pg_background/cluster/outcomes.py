# Made from outcomes_async.py by tools/async_to_sync.py: edit that one.
"""What becomes of jobs that run on several nodes, while they run and as they end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import psycopg

from ..client.acompat import Yields
from ..client.many import as_they_end
from ..client.model import Handle, Progress
from .job import AnyClusterJob


def outcomes_of(launched: dict[Any, AnyClusterJob | psycopg.Error]) -> Yields[tuple[Any, Any]]:
    """Yield what has become of each; leaving the iteration cancels those that still run."""
    names = {id(job): name for name, job in launched.items()}
    jobs: list[AnyClusterJob] = []
    for name, job in launched.items():
        if isinstance(job, psycopg.Error):
            yield name, job
        else:
            jobs.append(job)
    left = {id(job): job for job in jobs}
    try:
        for job in as_they_end(jobs, None):
            try:
                outcome: Any = job.result()
            except psycopg.Error as error:
                outcome = error
            del left[id(job)]
            yield names[id(job)], outcome
    finally:
        for job in left.values():
            job.discard()


class Progresses:
    """How far jobs of several nodes are."""

    def __init__(self, jobs: Iterable[AnyClusterJob]) -> None:
        self._jobs = {job.handle: job for job in jobs}

    def progress(self, handles: Sequence[Handle]) -> list[Progress]:
        """Return what each of the jobs has reported; nothing for one whose node does not answer."""
        return [self._of(self._jobs[handle]) for handle in handles]

    def _of(self, job: AnyClusterJob) -> Progress:
        try:
            return job.progress
        except psycopg.Error:
            return Progress(None, None)
