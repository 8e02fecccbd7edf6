"""The work: ranges are cut, launched, watched and noted, until all are done or somebody says stop."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import tuple_row

from ..client.acompat import AEvent, ashielded, await_event
from ..client.errors import ConnectionLost, JobLost
from ..client.launching_async import start
from ..client.many_async import AsyncEnds
from .display import BackfillDisplay
from .options import BackfillOptions
from .pace import Rate, next_size
from .part import MOVED, Part
from .ranges import Range
from .state_async import AsyncState
from .throttle_async import AsyncThrottle

if TYPE_CHECKING:
    from ..client.job_async import AsyncJob

#: Seconds between two looks whether somebody has asked for the end, and the longest of any wait.
LOOK_SECONDS = 1.0
#: Seconds before a range is tried again: they double from the first up to the second.
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0

#: What may be different the next time: locks, deadlocks, conflicts, and resources that are used up.
_PASSING = ("55P03", "40P01", "40001", "57P01", "57P02", "57P03")
_PASSING_CLASSES = ("53",)

#: Finds out where a part has gone, and returns the work there; None if it is still where it was.
Move = Callable[["AsyncWork"], Awaitable["AsyncWork | None"]]


@dataclass
class AsyncWork:
    """A part with where its state is and its jobs run, and its ranges on the way."""

    part: Part
    state: AsyncState
    throttle: AsyncThrottle
    #: of the node; its jobs are counted together
    place: str = ""
    #: to be launched, the first ones first
    ready: deque[Range] = field(default_factory=deque)
    #: to be tried again, with the time from which on
    later: list[tuple[float, Range]] = field(default_factory=list)
    running: int = 0
    is_moved: bool = False

    @property
    def has_more(self) -> bool:
        """Whether ranges are to be launched, now or later."""
        return not self.is_moved and bool(self.ready or self.later or not self.part.is_cut)


class AsyncRunner:
    """Works at the parts of a backfill until they are done, or it is told to stop."""

    def __init__(
        self,
        works: Sequence[AsyncWork],
        options: BackfillOptions,
        rate: Rate,
        display: BackfillDisplay,
        move: Move | None = None,
    ) -> None:
        """
        Args:
            move: for parts that may be elsewhere after a while.
        """
        self._works = list(works)
        self._options = options
        self._rate = rate
        self._display = display
        self._move = move
        self._jobs: dict[AsyncJob[Any], tuple[AsyncWork, Range]] = {}
        self._ends: AsyncEnds[AsyncJob[Any]] = AsyncEnds()
        self._busy: dict[str, int] = defaultdict(int)
        self._waited: dict[str, float] = defaultdict(float)
        self._is_stopped = False
        self._look_at = 0.0

    async def run(self) -> None:
        """Do it. An interruption cancels the jobs that run, and leaves the rest to whoever goes on.

        Raises:
            psycopg.Error: the state can't be read or written.
        """
        try:
            await self._work()
        except BaseException as error:
            await ashielded(self._abandon)
            if not isinstance(error, ConnectionLost):
                with suppress(psycopg.Error):
                    await ashielded(self._end)
            raise
        await self._end()

    async def _work(self) -> None:
        while True:
            await self._look()
            held_up = await self._launch_all()
            if not self._jobs:
                if self._is_stopped:
                    return
                if not any(work.has_more for work in self._works) and not await self._find_more():
                    return
            began = monotonic()
            kind, pause = held_up or ("", LOOK_SECONDS)
            await self._take_ends(pause)
            if kind:
                self._waited[kind] += monotonic() - began

    async def _look(self) -> None:
        """See whether somebody has asked for the end."""
        if self._is_stopped or monotonic() < self._look_at:
            return
        self._look_at = monotonic() + LOOK_SECONDS
        for work in self._works:
            if not work.is_moved and await work.state.state(work.part) not in ("running", "done"):
                self._is_stopped = True

    async def _find_more(self) -> bool:
        """Take over ranges that others have cut and not done; tell whether there are some.

        If their jobs still run, ours wait for these and find the ranges done.
        """
        for work in self._works:
            if not work.is_moved:
                work.ready.extend(await work.state.left(work.part))
        return any(work.has_more for work in self._works)

    # ---- launching

    async def _launch_all(self) -> tuple[str, float] | None:
        """Launch what may run now; return what the next range has to wait for, and for how long at most."""
        held_up: tuple[str, float] | None = None
        for work in list(self._works):
            while not self._is_stopped and work.has_more and self._busy[work.place] < self._options.jobs:
                if (wait := await work.throttle.wait()) is not None:
                    held_up = wait
                    break
                piece = await self._next(work)
                if piece is None:
                    if work.later:
                        held_up = "retry", max(min(at for at, _ in work.later) - monotonic(), 0.001)
                    break
                if not await self._launch(work, piece):
                    held_up = "workers", LOOK_SECONDS
                    break
        return held_up if held_up is None else (held_up[0], min(held_up[1], LOOK_SECONDS))

    async def _next(self, work: AsyncWork) -> Range | None:
        """Return the range to be launched next; None if there is none now."""
        now = monotonic()
        for due in [each for each in work.later if each[0] <= now]:
            work.later.remove(due)
            work.ready.append(due[1])
        if work.ready:
            return work.ready.popleft()
        if work.part.is_cut:
            return None
        try:
            return await work.state.cut(work.part)
        except psycopg.errors.UndefinedTable:
            # The shard has moved away before a job could tell.
            if self._move is None or not await self._follow(work):
                raise
            return None

    async def _launch(self, work: AsyncWork, piece: Range) -> bool:
        """Launch a range, and tell whether the server took it."""
        part = work.part
        statement, before = part.work(piece)
        query = work.state.sql.job(
            part.run, part.part, piece.number, piece.tries, self._options.lock_timeout, statement, before
        )
        try:
            job = await start(
                work.state.client.session,
                query,
                None,
                tuple_row,
                discard_result=True,
                label=f"{part.name} {part.part + ' ' if part.part else ''}{piece.number}"[-64:],
                on_full="queue",
            )
        except psycopg.Error as error:
            if (error.sqlstate or "")[:2] not in _PASSING_CLASSES:
                work.ready.appendleft(piece)
                raise
            work.ready.appendleft(piece)
            return False
        self._rate.begin(piece.size)
        self._busy[work.place] += 1
        work.running += 1
        self._jobs[job] = work, piece
        self._ends.add(job)
        return True

    # ---- ends

    async def _take_ends(self, pause: float) -> None:
        """Wait for an end, at most so many seconds, and see to all that have come."""
        if not self._jobs:
            await await_event(AEvent(), pause)
            return
        job = await self._ends.next(pause)
        while job is not None:
            await self._take(job)
            job = await self._ends.next(0)

    async def _take(self, job: AsyncJob[Any]) -> None:
        error = await job.exception()
        work, piece = self._jobs.pop(job)
        work.running -= 1
        self._busy[work.place] -= 1
        found = await work.state.outcome(work.part, piece.number)
        state, rows, seconds = found or ("forgotten", 0, 0.0)
        self._rate.end(piece.size, rows)
        if state == "done":
            # Whatever became of the job: the range says what is committed.
            target = self._options.target_seconds
            if target is not None:
                work.part.batch_size = next_size(work.part.batch_size, piece.size, seconds, target)
            self._display.done(piece.size, rows)
        elif state == "open" and error is not None:
            await self._again(work, piece, error)
        elif state == "open":
            work.ready.append(piece)

    async def _again(self, work: AsyncWork, piece: Range, error: Exception) -> None:
        """Try a range again soon, or give it up."""
        sqlstate = getattr(error, "sqlstate", None) or ""
        has_gone = self._move is not None and sqlstate in (MOVED, "42P01")
        if work.is_moved or (has_gone and await self._follow(work)):
            # It is among the ranges that were taken along.
            return
        is_passing = isinstance(error, JobLost) or sqlstate in (MOVED, *_PASSING)
        is_passing = is_passing or sqlstate[:2] in _PASSING_CLASSES
        tries = piece.tries - piece.earlier_tries
        if is_passing and tries < self._options.retries:
            pause = min(FIRST_PAUSE * 2 ** min(tries, 10), LONGEST_PAUSE)
            work.later.append((monotonic() + pause, piece._replace(tries=piece.tries + 1)))
            self._display.again()
            return
        assert isinstance(error, psycopg.Error)
        if not await work.state.failed(work.part, piece, error):
            work.later.append((monotonic() + LOOK_SECONDS, piece))
            return
        self._display.failed(piece.size)
        if self._options.on_error == "stop":
            self._is_stopped = True

    async def _follow(self, work: AsyncWork) -> bool:
        """Go on with a part where it is now, and tell whether that is elsewhere."""
        assert self._move is not None
        moved = await self._move(work)
        if moved is None:
            return False
        work.is_moved = True
        self._works.append(moved)
        return True

    # ---- the end

    async def _abandon(self) -> None:
        """Cancel the jobs that run: their ranges stay open."""
        for job in self._jobs:
            await job.discard()

    async def _end(self) -> None:
        # What was waited for is the whole's, and kept once.
        waited: dict[str, float] = self._waited
        for work in self._works:
            if work.is_moved:
                continue
            await work.state.end(work.part, waited)
            waited = {}
