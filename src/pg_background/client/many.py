# Made from many_async.py by tools/async_to_sync.py: edit that one.
"""What is done with many jobs at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from ._deadline import Deadline
from .acompat import Event, Yields, shielded, wait_event
from .bars import BAR_SECONDS, Display, ProgressDisplay, bars
from .job import Job
from .model import Handle, Progress
from .query import Params, params_of
from .result import Result
from .variables import Row

#: Jobs that `map` has under way at once; the server's own default limit for a session is 16.
CONCURRENCY = 8

AnyJob = TypeVar("AnyJob", bound=Job[Any])


class TellsProgress(Protocol):
    """What a session does, for one server or for several."""

    def progress(self, handles: Sequence[Handle]) -> list[Progress]:
        """Return what each of the jobs has reported."""
        ...


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


def results_in_order(
    launch: Callable[[Params], Job[Row]], params: Iterable[Any], concurrency: int
) -> Yields[Result[Row]]:
    """Launch a job for each params, so many at a time, and yield the results in the order of the params.

    The first error is raised in its turn; it, and leaving the iteration, cancels those that still run.
    """
    under_way = _UnderWay()
    ahead: deque[Job[Row]] = deque()
    try:
        for values in params:
            if len(under_way) == concurrency:
                under_way.wait_for_one()
            job = launch(params_of(values))
            ahead.append(job)
            under_way.add(job)
            while ahead and ahead[0].is_over:
                yield ahead[0].result()
                ahead.popleft()
        while ahead:
            yield ahead[0].result()
            ahead.popleft()
    finally:
        shielded(lambda: _discard_all(ahead))


class _UnderWay:
    """Jobs that are not known to have ended. The oldest is looked for first: quick ones need no more."""

    def __init__(self) -> None:
        self._jobs: dict[Job[Any], None] = {}
        self._ends: Ends[Job[Any]] = Ends()

    def __len__(self) -> int:
        return len(self._jobs)

    def add(self, job: Job[Any]) -> None:
        self._jobs[job] = None

    def wait_for_one(self) -> None:
        """Wait until one has ended, and leave it out."""
        oldest = next(iter(self._jobs))
        if not oldest.is_watched and oldest.is_over_soon():
            del self._jobs[oldest]
            return
        for job in self._jobs:
            if not job.is_watched:
                self._ends.add(job)
        ended = self._ends.next()
        assert ended is not None
        del self._jobs[ended]


def _discard_all(jobs: Iterable[Job[Any]]) -> None:
    for job in jobs:
        job.discard()


def as_they_end(jobs: Iterable[AnyJob], timeout: float | None) -> Yields[AnyJob]:
    """Yield jobs as they end.

    Raises:
        TimeoutError: some have not ended in time.
    """
    awaited = list(jobs)
    ends = Ends(awaited)
    deadline = Deadline(timeout)
    for left in range(len(awaited), 0, -1):
        job = ends.next(deadline.left())
        if job is None:
            raise TimeoutError(f"{left} of {len(awaited)} jobs have not ended in {timeout} s, and go on")
        yield job


def first_of(jobs: Iterable[AnyJob], timeout: float | None) -> AnyJob | None:
    """Return the first job that ends; None if none has in time.

    Raises:
        ValueError: there are no jobs.
    """
    awaited = list(jobs)
    if not awaited:
        raise ValueError("there are no jobs to wait for")
    return Ends(awaited).next(timeout)


def have_ended(
    session: TellsProgress,
    jobs: Iterable[Job[Any]],
    timeout: float | None,
    progress: ProgressDisplay,
) -> bool:
    """Wait until all of the jobs have ended, and tell whether they have in time.

    Args:
        session: tells how far they are.
    """
    awaited = list(jobs)
    ends = Ends(awaited)
    left = len(awaited)
    with bars(progress, awaited) as display:
        for pause in Deadline(timeout).pauses(BAR_SECONDS if display else None):
            if display:
                _show(session, display, awaited)
            wait = Deadline(pause)
            while left and ends.next(wait.left()) is not None:
                left -= 1
            if not left:
                break
        if display:
            _show(session, display, awaited)
    return not left


def _show(session: TellsProgress, display: Display, jobs: Sequence[Job[Any]]) -> None:
    reported = session.progress([job.handle for job in jobs])
    for job, progress in zip(jobs, reported, strict=True):
        display.show(job, progress, over=job.is_over)
