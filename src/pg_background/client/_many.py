# Made from _many_async.py by tools/async_to_sync.py: edit that one.
"""What is done with many jobs at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from psycopg.rows import RowFactory

from ._connections import Calls
from ._deadline import Deadline
from .acompat import Event, Yields, wait_event
from .bars import BAR_SECONDS, ProgressDisplay, bars
from .job import Job
from .query import Params, Query, params_of
from .result import Result
from .variables import Other, Row

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .options import LaunchOptions

#: Jobs that `map` has under way at once; the server's own default limit for a session is 16.
CONCURRENCY = 8

AnyJob = TypeVar("AnyJob", bound=Job[Any])


class Ends(Generic[AnyJob]):
    """Jobs in the order in which they end."""

    def __init__(self, jobs: Iterable[AnyJob] = ()) -> None:
        self._ended: deque[AnyJob] = deque()
        self._news = Event()
        for job in jobs:
            self.add(job)

    def add(self, job: AnyJob) -> None:
        """Expect the end of a job."""

        def note(_: object) -> None:
            self._ended.append(job)
            self._news.set()

        job.add_done_callback(note)

    def next(self, timeout: float | None = None) -> AnyJob | None:
        """Return the next one, waiting at most so many seconds; None if there was none."""
        deadline = Deadline(timeout)
        while not self._ended:
            self._news.clear()
            # Looked at again: it may have come just before.
            if not self._ended and not wait_event(self._news, deadline.left()):
                return None
        return self._ended.popleft()


class ManyJobs(Calls, ABC, Generic[Row]):
    """The part of a client that is about many jobs."""

    @abstractmethod
    def _launch(
        self,
        query: Query,
        params: Params | None,
        row_factory: RowFactory[Other] | None,
        **options: Unpack[LaunchOptions],
    ) -> Job[Any]:
        """Start a job."""

    @overload
    def map(
        self,
        query: Query,
        params: Iterable[Any],
        *,
        concurrency: int = CONCURRENCY,
        **options: Unpack[LaunchOptions],
    ) -> Yields[Result[Row]]: ...
    @overload
    def map(
        self,
        query: Query,
        params: Iterable[Any],
        *,
        concurrency: int = CONCURRENCY,
        row_factory: RowFactory[Other],
        **options: Unpack[LaunchOptions],
    ) -> Yields[Result[Other]]: ...
    def map(
        self,
        query: Query,
        params: Iterable[Any],
        *,
        concurrency: int = CONCURRENCY,
        row_factory: RowFactory[Any] | None = None,
        **options: Unpack[LaunchOptions],
    ) -> Yields[Result[Any]]:
        """Run a query once for each params, several at a time; yield the results in the order of the params.

        The first error is raised in its turn; it, and leaving the iteration, cancels those that still run.

        Args:
            params: of each job, as for `launch`; what is neither a sequence nor a mapping, or is a string,
                is the value of its only placeholder. Taken one by one, as there is room.
            concurrency: how many jobs run at once, at most; fewer while the server has no free worker.
            row_factory: as for `launch`.
            options: as for `launch`, but a job for which the server has no worker is queued there.

        Raises:
            ValueError: concurrency is not positive.
            psycopg.Error: as `launch` and `Job.result`.
        """
        if concurrency < 1:
            raise ValueError("concurrency must be at least 1")
        return self._map(query, params, concurrency, row_factory, **options)

    def _map(
        self,
        query: Query,
        params: Iterable[Any],
        free: int,
        row_factory: RowFactory[Any] | None,
        **options: Unpack[LaunchOptions],
    ) -> Yields[Result[Any]]:
        ends: Ends[Job[Any]] = Ends()
        ahead: deque[Job[Any]] = deque()
        options.setdefault("on_full", "queue")
        try:
            for values in params:
                while free == 0:
                    ends.next()
                    free += 1
                job = self._launch(query, params_of(values), row_factory, **options)
                ahead.append(job)
                ends.add(job)
                free -= 1
                while ahead and ahead[0].is_over:
                    yield ahead[0].result()
                    ahead.popleft()
            while ahead:
                yield ahead[0].result()
                ahead.popleft()
        finally:
            for job in ahead:
                job.discard()

    def as_completed(self, jobs: Iterable[AnyJob], timeout: float | None = None) -> Yields[AnyJob]:
        """Yield jobs as they end, in whatever way.

        Args:
            timeout: for all of them, in seconds.

        Raises:
            TimeoutError: some have not ended in time; they go on.
        """
        awaited = list(jobs)
        ends = Ends(awaited)
        deadline = Deadline(timeout)
        for left in range(len(awaited), 0, -1):
            job = ends.next(deadline.left())
            if job is None:
                raise TimeoutError(f"{left} of {len(awaited)} jobs have not ended in {timeout} s, and go on")
            yield job

    def wait_any(self, jobs: Iterable[AnyJob], timeout: float | None = None) -> AnyJob | None:
        """Wait until one of the jobs has ended, and return it; None if none has in `timeout` seconds.

        Raises:
            ValueError: there are no jobs.
        """
        awaited = list(jobs)
        if not awaited:
            raise ValueError("there are no jobs to wait for")
        return Ends(awaited).next(timeout)

    def wait_all(
        self,
        jobs: Iterable[Job[Any]],
        timeout: float | None = None,
        *,
        progress: ProgressDisplay = None,
    ) -> bool:
        """Wait until all of the jobs have ended, and tell whether they have.

        Args:
            timeout: for all of them, in seconds; None waits for ever.
            progress: a bar for each job, see `Job.wait`.
        """
        awaited = list(jobs)
        ends = Ends(awaited)
        left = len(awaited)
        with bars(progress, awaited) as display:
            for pause in Deadline(timeout).pauses(BAR_SECONDS if display else None):
                if display:
                    for job, reported in zip(
                        awaited, self._progress([job.handle for job in awaited]), strict=True
                    ):
                        display.show(job, reported, over=job.is_over)
                wait = Deadline(pause)
                while left and ends.next(wait.left()) is not None:
                    left -= 1
                if not left:
                    break
            if display:
                for job, reported in zip(
                    awaited, self._progress([job.handle for job in awaited]), strict=True
                ):
                    display.show(job, reported, over=job.is_over)
        return not left
