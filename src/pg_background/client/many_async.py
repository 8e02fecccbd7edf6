"""What is done with many jobs at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from ._deadline import Deadline
from .acompat import AEvent, AYields, ashielded, await_event
from .bars import BAR_SECONDS, Display, ProgressDisplay, bars
from .job_async import AsyncJob
from .model import Handle, Progress
from .query import Params, params_of
from .result import Result
from .variables import Row

#: Jobs that `map` has under way at once; the server's own default limit for a session is 16.
CONCURRENCY = 8

AnyJob = TypeVar("AnyJob", bound=AsyncJob[Any])


class TellsProgress(Protocol):
    """What a session does, for one server or for several."""

    async def progress(self, handles: Sequence[Handle]) -> list[Progress]:
        """Return what each of the jobs has reported."""
        ...


class AsyncEnds(Generic[AnyJob]):
    """Jobs in the order in which they end."""

    def __init__(self, jobs: Iterable[AnyJob] = ()) -> None:
        self._ended: deque[AnyJob] = deque()
        self._news = AEvent()
        for job in jobs:
            self.add(job)

    def add(self, job: AnyJob) -> None:
        """Expect the end of a job."""

        def note(_: object) -> None:
            self._ended.append(job)
            self._news.set()

        job.add_done_callback(note)

    async def next(self, timeout: float | None = None) -> AnyJob | None:
        """Return the next one, waiting at most so many seconds; None if there was none."""
        deadline = Deadline(timeout)
        while not self._ended:
            self._news.clear()
            # Looked at again: it may have come just before.
            if not self._ended and not await await_event(self._news, deadline.left()):
                return None
        return self._ended.popleft()


async def results_in_order(
    launch: Callable[[Params], Awaitable[AsyncJob[Row]]], params: Iterable[Any], concurrency: int
) -> AYields[Result[Row]]:
    """Launch a job for each params, so many at a time, and yield the results in the order of the params.

    The first error is raised in its turn; it, and leaving the iteration, cancels those that still run.
    """
    under_way = _UnderWay()
    ahead: deque[AsyncJob[Row]] = deque()
    try:
        for values in params:
            if len(under_way) == concurrency:
                await under_way.wait_for_one()
            job = await launch(params_of(values))
            ahead.append(job)
            under_way.add(job)
            while ahead and ahead[0].is_over:
                yield await ahead[0].result()
                ahead.popleft()
        while ahead:
            yield await ahead[0].result()
            ahead.popleft()
    finally:
        await ashielded(lambda: _discard_all(ahead))


class _UnderWay:
    """Jobs that are not known to have ended. The oldest is looked for first: quick ones need no more."""

    def __init__(self) -> None:
        self._jobs: dict[AsyncJob[Any], None] = {}
        self._ends: AsyncEnds[AsyncJob[Any]] = AsyncEnds()

    def __len__(self) -> int:
        return len(self._jobs)

    def add(self, job: AsyncJob[Any]) -> None:
        self._jobs[job] = None

    async def wait_for_one(self) -> None:
        """Wait until one has ended, and leave it out."""
        oldest = next(iter(self._jobs))
        if not oldest.is_watched and await oldest.is_over_soon():
            del self._jobs[oldest]
            return
        for job in self._jobs:
            if not job.is_watched:
                self._ends.add(job)
        ended = await self._ends.next()
        assert ended is not None
        del self._jobs[ended]


async def _discard_all(jobs: Iterable[AsyncJob[Any]]) -> None:
    for job in jobs:
        await job.discard()


async def as_they_end(jobs: Iterable[AnyJob], timeout: float | None) -> AYields[AnyJob]:
    """Yield jobs as they end.

    Raises:
        TimeoutError: some have not ended in time.
    """
    awaited = list(jobs)
    ends = AsyncEnds(awaited)
    deadline = Deadline(timeout)
    for left in range(len(awaited), 0, -1):
        job = await ends.next(deadline.left())
        if job is None:
            raise TimeoutError(f"{left} of {len(awaited)} jobs have not ended in {timeout} s, and go on")
        yield job


async def first_of(jobs: Iterable[AnyJob], timeout: float | None) -> AnyJob | None:
    """Return the first job that ends; None if none has in time.

    Raises:
        ValueError: there are no jobs.
    """
    awaited = list(jobs)
    if not awaited:
        raise ValueError("there are no jobs to wait for")
    return await AsyncEnds(awaited).next(timeout)


async def have_ended(
    session: TellsProgress,
    jobs: Iterable[AsyncJob[Any]],
    timeout: float | None,
    progress: ProgressDisplay,
) -> bool:
    """Wait until all of the jobs have ended, and tell whether they have in time.

    Args:
        session: tells how far they are.
    """
    awaited = list(jobs)
    ends = AsyncEnds(awaited)
    left = len(awaited)
    with bars(progress, awaited) as display:
        for pause in Deadline(timeout).pauses(BAR_SECONDS if display else None):
            if display:
                await _show(session, display, awaited)
            wait = Deadline(pause)
            while left and await ends.next(wait.left()) is not None:
                left -= 1
            if not left:
                break
        if display:
            await _show(session, display, awaited)
    return not left


async def _show(session: TellsProgress, display: Display, jobs: Sequence[AsyncJob[Any]]) -> None:
    reported = await session.progress([job.handle for job in jobs])
    for job, progress in zip(jobs, reported, strict=True):
        display.show(job, progress, over=job.is_over)
