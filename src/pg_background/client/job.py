# Made from job_async.py by tools/async_to_sync.py: edit that one.
"""A job, as the session that launched it, or any other of the same role, holds it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Generic

import psycopg

from . import reading
from ._looking import is_over_in_time, look, look_for_times
from ._watch import Watch
from .acompat import Interrupted, Yields, shielded
from .bars import ProgressDisplay
from .errors import JobLost
from .handles import known
from .model import FINAL, Handle, JobColumn, JobState, Outcome, Progress
from .notebook import card_of
from .result import Result
from .variables import Row

if TYPE_CHECKING:
    from typing import Self

    import pandas
    import polars
    import pyarrow
    from psycopg.rows import RowFactory

    from ._session import Session
    from .tracing import JobTrace


#: How long the end of a job is waited for that was cancelled at the end of its block, in seconds.
_END_SECONDS = 1.0


class Job(Generic[Row]):
    """A job. Made by `Client.launch` and its like; `await job` is `await job.result()`.

    As a context manager: an exception in the block, or its cancellation, cancels the job; otherwise it is
    forgotten at the block's end, finished or not, unless its result was read.

    It pickles to its handle, which `Client.attach` takes in another process.

    Attributes:
        handle: pid and cookie.
        label: as given at the launch; None if there was none or it is not known here.
        query: the SQL; None if it is not known here.
        trace: what is told of its end; None where nobody follows jobs.
    """

    def __init__(
        self,
        session: Session,
        handle: Handle,
        row_factory: RowFactory[Row],
        *,
        label: str | None = None,
        query: str | None = None,
        has_rows: bool = True,
        key: Hashable = None,
        is_notified: bool = False,
        trace: JobTrace | None = None,
    ) -> None:
        self.handle = handle
        self.label = label
        self.query = query
        self.trace = trace
        self._session = session
        self._row_factory = row_factory
        self._has_rows = has_rows
        self._key = key
        self._is_notified = is_notified
        self._watch: Watch | None = None
        self._is_detached = False
        self._state: JobState | None = None
        self._progress = Progress(None, None)
        self._result: Result[Row] | None = None
        self._error: Exception | None = None

    @property
    def pid(self) -> int:
        """Of the worker that took the job at its launch; negative if it was queued."""
        return self.handle.pid

    @property
    def cookie(self) -> int:
        """What tells the job from all others that ever had this pid."""
        return self.handle.cookie

    @property
    def name(self) -> str:
        """Its label, or else its pid."""
        return self.label or f"job {self.pid}"

    @property
    def is_over(self) -> bool:
        """Whether it is known here that it has ended; the server is not asked."""
        return self._is_read() or self._state in FINAL or (self._watch is not None and self._watch.is_over)

    @property
    def last_state(self) -> str:
        """Its state as far as it is known here; the server is not asked."""
        if self._watch is not None and self._watch.outcome is not None:
            return self._watch.outcome.state or "unknown"
        return self._state or "launched"

    @property
    def state(self) -> JobState:
        """Its state now, asked from the server until it is final.

        Raises:
            JobLost: the server does not know the handle.
        """
        if self._state not in FINAL:
            self._require_attached()
            outcome = self._session.outcome(self.handle)
            self._state = known(outcome).state
            if self.trace is not None and self._state in FINAL:
                self._tell(self._session.ended(self.handle, 1))
        assert self._state is not None
        return self._state

    @property
    def progress(self) -> Progress:
        """What it has reported by pg_background_progress(), asked from the server."""
        (self._progress,) = self._session.progress([self.handle])
        return self._progress

    def done(self) -> bool:
        """Tell whether it has ended, in whatever way.

        Raises:
            JobLost: the server does not know the handle.
        """
        return self._is_read() or self.state in FINAL

    def wait(self, timeout: float | None = None, *, progress: ProgressDisplay = None) -> bool:
        """Wait until it has ended, and tell whether it has.

        Takes up neither the client nor a session in the server.

        Args:
            timeout: in seconds; None waits for ever.
            progress: a bar, see `bars`.

        Raises:
            JobLost: the server does not know the handle.
            ConnectionLost: the end can't be learned.
            RuntimeError: the client was closed, or what asks for its jobs was cancelled.
        """
        return self._is_read() or self._await_end(timeout, progress) is not None

    def result(self, timeout: float | None = None, *, progress: ProgressDisplay = None) -> Result[Row]:
        """Wait for the end, and return the rows of the last statement, the same at each call.

        The server forgets them once they are read. If the call is cancelled or interrupted, so is the job.

        Args:
            timeout: how long to wait for the end, in seconds; None waits for ever.
            progress: a bar, see `bars`.

        Raises:
            TimeoutError: the job goes on.
            JobCancelled: it was cancelled.
            JobTimeout: it ran into its own time limit.
            JobLost: there is nothing to be had of it any more.
            psycopg.Error: any other error in it, as the class of its SQLSTATE.
        """
        try:
            self._finish(timeout, progress)
        except Interrupted:
            shielded(self.cancel_quietly)
            raise
        if self._error is not None:
            raise self._error
        assert self._result is not None
        self._result.rewind()
        return self._result

    def exception(self, timeout: float | None = None) -> Exception | None:
        """Wait for the end, and return what `result` would raise; None if it has rows for us.

        Raises:
            TimeoutError: the job goes on.
        """
        self._finish(timeout, None)
        return self._error

    def fetch(self, size: int = 1000) -> Yields[list[Row]]:
        """Wait for the end, and iterate over the rows in lists of so many, without having all in memory.

        They can be read once. A client made from a connection has no second one to read from: there libpq has
        all in memory.

        Raises:
            ValueError: size is not positive.
            psycopg.Error: as `result`.
        """
        if size < 1:
            raise ValueError("size must be at least 1")
        return self._pages(size)

    def cancel(self, grace: float = 0) -> None:
        """Cancel it, and return at once; cancelling a finished job changes nothing.

        Args:
            grace: seconds after which its process is ended too, if it has not stopped; this waits for it.

        Raises:
            JobLost: the server does not know the handle.
        """
        self._session.cancel(self.handle, grace)

    def detach(self) -> None:
        """Forget it: it goes on and commits, but nothing more can be learned of it.

        Raises:
            JobLost: the server does not know the handle.
        """
        self._session.detach(self.handle)
        self._is_detached = True

    def describe(self) -> tuple[JobColumn, ...]:
        """Return the result's columns, as soon as they are known; empty before, and for a job without rows.

        Raises:
            JobLost: the server does not know the handle.
        """
        return self._session.describe(self.handle)

    def add_done_callback(self, callback: Callable[[Job[Row]], object]) -> None:
        """Call it with this job when the job has ended, or at once if it has; what it returns is ignored.

        It is called once, also if the end can't be learned any more: the connection broke, or the client was
        closed. It must not block: other jobs' ends wait meanwhile.
        """
        if self._is_read():
            callback(self)
        else:
            self._session.begin(self.handle, self._watched()).when_over(lambda: callback(self))

    def to_arrow(self) -> pyarrow.Table:
        """Return `result()` as an Arrow table; needs the extra `arrow`."""
        return (self.result()).to_arrow()

    def to_polars(self) -> polars.DataFrame:
        """Return `result()` as a polars DataFrame; needs the extra `polars`."""
        return (self.result()).to_polars()

    def to_pandas(self) -> pandas.DataFrame:
        """Return `result()` as a pandas DataFrame; needs the extra `pandas`."""
        return (self.result()).to_pandas()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            shielded(self._detach_quietly)
        else:
            shielded(self._end)

    def __reduce__(self) -> tuple[type[Handle], tuple[int, int]]:
        return Handle, (self.pid, self.cookie)

    def __repr__(self) -> str:
        name = "" if self.label is None else f" {self.label!r}"
        return f"<{type(self).__name__}{name} pid={self.pid} cookie={self.cookie} {self.last_state}>"

    def _repr_html_(self) -> str:
        return card_of(self.name, self.last_state, self.query, self._progress)

    # ---- inside

    @property
    def is_watched(self) -> bool:
        """Whether it is watched, and tells its end to whoever waits."""
        return self._watch is not None and self._watch.begun

    def is_over_soon(self) -> bool:
        """Tell whether it has ended or does at once, if nobody watches it; what there is may be read then."""
        self._look(None, take=True)
        return self.is_over

    def _is_read(self) -> bool:
        return self._result is not None or self._error is not None

    def _require_attached(self) -> None:
        # The server may still know how it goes, but not for long.
        if self._is_detached:
            raise JobLost(f"{self.name} was detached")

    def _watched(self) -> Watch:
        self._require_attached()
        watch = self._session.watch(is_notified=self._is_notified, earlier=self._watch)
        if watch is not self._watch:
            self._watch = watch
            if self.trace is not None:
                watch.when_over(lambda: self._tell(watch.outcome))
        return watch

    def _tell(self, outcome: Outcome | None) -> None:
        if self.trace is not None and outcome is not None and outcome.times is not None:
            self.trace.ended(outcome, outcome.times)

    def _look(self, timeout: float | None, *, take: bool) -> None:
        """See whether it has ended, or does at once; if it is to be taken, so is what comes with the news."""
        watch = self._watched()
        if watch.begun or watch.is_over or watch.watcher.closed:
            return
        with watch.reading:
            if self._is_read() or watch.begun or watch.is_over:
                return
            shape = self._session.shapes.get(self._key) if take else None
            if self.trace is not None:
                # The server tells the times only as long as the result is not read.
                self._tell(ended := look_for_times(self._session, self.handle, timeout))
                if ended is None:
                    return
            outcome, result = look(self._session, self.handle, shape, self._row_factory, timeout)
            if result is not None:
                self._result, self._state = result, "stopped"
            if outcome is not None:
                watch.watcher.wants_notices = False
                watch.settle(outcome)

    def _await_end(
        self, timeout: float | None, progress: ProgressDisplay, *, take: bool = False
    ) -> Watch | None:
        """Return what is known of the end once it has come; None if the time is up. `take` as for `_look`."""
        if progress is None:
            self._look(timeout, take=take)
            if self._is_read():
                return self._watch
        watch = self._session.begin(self.handle, self._watched())
        if not is_over_in_time(self, watch, timeout, progress):
            return None
        if watch.error is not None:
            # The next wait asks again; another one, which has the same error, may have begun to.
            if self._watch is watch:
                self._watch = None
            raise watch.error
        assert watch.outcome is not None
        if watch.outcome.state is None:
            # Another caller, who has found it ended, may be about to have all that there was.
            with watch.reading:
                if self._is_read():
                    return watch
        self._state = known(watch.outcome).state
        return watch

    def _finish(self, timeout: float | None, progress: ProgressDisplay) -> None:
        """Wait for the end and read what there is, once."""
        if self._is_read():
            return
        watch = self._await_end(timeout, progress, take=True)
        if watch is None:
            raise TimeoutError(f"{self.name} has not ended in {timeout} s, and goes on")
        with watch.reading:
            if self._is_read():
                return
            assert watch.outcome is not None
            how = (self._row_factory, self._has_rows, self._key)
            read = reading.read(self._session, watch.outcome, *how)
            if isinstance(read, Exception):
                self._error = read
            else:
                self._result = read

    def _pages(self, size: int) -> Yields[list[Row]]:
        watch = None if self._is_read() else self._await_end(None, None)
        if self._error is not None:
            raise self._error
        if self._result is not None:
            for start in range(0, len(self._result), size):
                yield list(self._result[start : start + size])
            return
        assert watch is not None
        assert watch.outcome is not None
        yield from reading.pages(self._session, watch.outcome, self._row_factory, size)

    def cancel_quietly(self) -> None:
        """Cancel it if that can be done; nothing is raised."""
        with suppress(psycopg.Error):
            self.cancel()

    def discard(self) -> None:
        """Cancel and forget it, whatever its state; nothing is raised."""
        if not self._is_read():
            self.cancel_quietly()
            self._detach_quietly()

    def _end(self) -> None:
        """Cancel and forget it likewise, and learn how it ended, if that does not take long."""
        if self._is_read() or self._is_detached:
            return
        self.cancel_quietly()
        with suppress(psycopg.Error, RuntimeError):
            self.wait(_END_SECONDS)
        # Not as by `detach`: `state` goes on telling what is known.
        with suppress(psycopg.Error, RuntimeError):
            self._session.detach(self.handle)

    def _detach_quietly(self) -> None:
        if self._is_read():
            return
        with suppress(psycopg.Error):
            self.detach()
