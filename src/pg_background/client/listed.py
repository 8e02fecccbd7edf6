# Made from listed_async.py by tools/async_to_sync.py: edit that one.
"""A job of the server's list that can be dealt with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import psycopg

from .bars import ProgressDisplay
from .job import Job
from .model import Handle, JobInfo
from .result import Result

if TYPE_CHECKING:
    from typing import Self


class ListedJob(JobInfo):
    """A job as `jobs()` found it: its fields are of that moment, its methods act on the job itself.

    They raise InsufficientPrivilege for a job of which this role may see that it is there, and no more.
    """

    _attach: Callable[[Handle], Job[Any]]

    @cached_property
    def job(self) -> Job[Any]:
        """The job itself, as `Client.attach` returns it."""
        if self.handle is None:
            raise psycopg.errors.InsufficientPrivilege(
                f"the job with PID {self.pid} is another role's\n"
                f"HINT:  Roles that may: members of {self.role or 'its role'}, and superusers."
            )
        job = self._attach(self.handle)
        job.label = self.label
        return job

    def wait(self, timeout: float | None = None, *, progress: ProgressDisplay = None) -> bool:
        """See `Job.wait`."""
        return self.job.wait(timeout, progress=progress)

    def result(self, timeout: float | None = None, *, progress: ProgressDisplay = None) -> Result[Any]:
        """See `Job.result`."""
        return self.job.result(timeout, progress=progress)

    def exception(self, timeout: float | None = None) -> Exception | None:
        """See `Job.exception`."""
        return self.job.exception(timeout)

    def cancel(self, grace: float = 0) -> None:
        """See `Job.cancel`."""
        self.job.cancel(grace)

    def detach(self) -> None:
        """See `Job.detach`."""
        self.job.detach()

    @classmethod
    def of(cls, info: JobInfo, attach: Callable[[Handle], Job[Any]]) -> Self:
        """Return the job of the list, which `attach` makes one to be dealt with when that is wanted."""
        made = cls(*_values(info))
        # No field: it is nothing that the list tells.
        object.__setattr__(made, "_attach", attach)
        return made

    def __reduce__(self) -> tuple[type[JobInfo], tuple[Any, ...]]:
        return JobInfo, _values(self)


def _values(info: JobInfo) -> tuple[Any, ...]:
    return tuple(getattr(info, field.name) for field in fields(JobInfo))
