"""Where a screen has its jobs from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from ..client.model import Handle, Inspection, JobInfo


class SourceError(Exception):
    """What was asked for is not to be had; the text says why."""


class SourceLost(SourceError):
    """The server is not to be reached, or does not answer."""


@dataclass(frozen=True)
class Snapshot:
    """The jobs of a server, or of several, at one moment."""

    jobs: Sequence[JobInfo]
    #: on the server's clock
    now: datetime
    #: database, host and role, for people
    place: str
    #: the names of several servers; then each job is a `NodeJob`
    nodes: Sequence[str] = ()
    #: those of them of which nothing is known now, and why
    missing: Mapping[str, SourceError] = field(default_factory=dict)


class Source(Protocol):
    """Lists jobs, and ends them."""

    async def poll(self) -> Snapshot:
        """Return the jobs as they are.

        Raises:
            SourceError: the server does not answer, or refuses.
        """
        ...

    async def inspect(self, handle: Handle) -> Inspection:
        """Return all of a job's SQL and error.

        Raises:
            SourceError: the server does not know the job, does not answer, or refuses.
        """
        ...

    async def cancel(self, handle: Handle, grace: float) -> None:
        """Cancel a job; with a grace period, in seconds, end its process after that, and wait for it.

        Raises:
            SourceError: as `inspect`.
        """

    async def close(self) -> None:
        """Give back what was opened."""
