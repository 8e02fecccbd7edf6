"""What becomes of jobs that run on several nodes, while they run and as they end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import psycopg

from ..client.acompat import AYields
from ..client.many_async import as_they_end
from ..client.model import Handle, Progress
from .job_async import AnyClusterJob


async def outcomes_of(launched: dict[Any, AnyClusterJob | psycopg.Error]) -> AYields[tuple[Any, Any]]:
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
        async for job in as_they_end(jobs, None):
            try:
                outcome: Any = await job.result()
            except psycopg.Error as error:
                outcome = error
            del left[id(job)]
            yield names[id(job)], outcome
    finally:
        for job in left.values():
            await job.discard()


class AsyncProgresses:
    """How far jobs of several nodes are."""

    def __init__(self, jobs: Iterable[AnyClusterJob]) -> None:
        self._jobs = {job.handle: job for job in jobs}

    async def progress(self, handles: Sequence[Handle]) -> list[Progress]:
        """Return what each of the jobs has reported; nothing for one whose node does not answer."""
        return [await self._of(self._jobs[handle]) for handle in handles]

    async def _of(self, job: AnyClusterJob) -> Progress:
        try:
            return await job.progress
        except psycopg.Error:
            return Progress(None, None)
