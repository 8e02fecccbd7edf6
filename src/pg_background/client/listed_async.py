"""A job of the server's list that can be dealt with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import psycopg

from .bars import ProgressDisplay
from .job_async import AsyncJob
from .model import Handle, JobInfo
from .result import Result

if TYPE_CHECKING:
    from typing import Self


class AsyncListedJob(JobInfo):
    """A job as `jobs()` found it: its fields are of that moment, its methods act on the job itself.

    They raise InsufficientPrivilege for a job of which this role may see that it is there, and no more.
    """

    _attach: Callable[[Handle], AsyncJob[Any]]

    @cached_property
    def job(self) -> AsyncJob[Any]:
        """The job itself, as `AsyncClient.attach` returns it."""
        if self.handle is None:
            raise psycopg.errors.InsufficientPrivilege(
                f"the job with PID {self.pid} is another role's\n"
                f"HINT:  Roles that may: members of {self.role or 'its role'}, and superusers."
            )
        job = self._attach(self.handle)
        job.label = self.label
        return job

    async def wait(self, timeout: float | None = None, *, progress: ProgressDisplay = None) -> bool:
        """See `AsyncJob.wait`."""
        return await self.job.wait(timeout, progress=progress)

    async def result(self, timeout: float | None = None, *, progress: ProgressDisplay = None) -> Result[Any]:
        """See `AsyncJob.result`."""
        return await self.job.result(timeout, progress=progress)

    async def exception(self, timeout: float | None = None) -> Exception | None:
        """See `AsyncJob.exception`."""
        return await self.job.exception(timeout)

    async def cancel(self, grace: float = 0) -> None:
        """See `AsyncJob.cancel`."""
        await self.job.cancel(grace)

    async def detach(self) -> None:
        """See `AsyncJob.detach`."""
        await self.job.detach()

    @classmethod
    def of(cls, info: JobInfo, attach: Callable[[Handle], AsyncJob[Any]]) -> Self:
        """Return the job of the list, which `attach` makes one to be dealt with when that is wanted."""
        made = cls(*_values(info))
        # No field: it is nothing that the list tells.
        object.__setattr__(made, "_attach", attach)
        return made

    def __reduce__(self) -> tuple[type[JobInfo], tuple[Any, ...]]:
        return JobInfo, _values(self)


def _values(info: JobInfo) -> tuple[Any, ...]:
    return tuple(getattr(info, field.name) for field in fields(JobInfo))
