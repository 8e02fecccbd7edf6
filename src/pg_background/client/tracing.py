"""Who follows jobs from their launch to their end, if anybody does: `pg_background.ext.otel`."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import psycopg

    from .model import Handle, Outcome, Times


class JobTrace(Protocol):
    """Follows one job; may be called by any thread."""

    def ended(self, outcome: Outcome, times: Times) -> None:
        """Say how and when the job has ended; what is said again counts for nothing."""


class LaunchTrace(Protocol):
    """Follows one launch."""

    def sends(self, connection: psycopg.BaseConnection[Any], query: str) -> str | None:
        """Say that it is sent now, and return the traceparent that the job is to have, if any."""
        ...

    def answered(self, handle: Handle) -> JobTrace:
        """Say that there is a job, and return what follows that."""
        ...


class Tracer(Protocol):
    """Follows launches."""

    def launch(
        self, *, label: str | None, database: str | None, has_params: bool, has_rows: bool
    ) -> AbstractContextManager[LaunchTrace]:
        """Return a block for a launch, which knows an error that leaves it."""
        ...


#: None: nobody does, and nothing is done for it.
tracer: Tracer | None = None
