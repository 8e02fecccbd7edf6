"""One poller for a server and a role, however many tabs look on; it also keeps what charts are made of."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..client.acompat import await_event
from ..client.model import JobInfo
from ..watching import SourceError, SourceLost
from ..watching.server_source import AsyncConnection
from .asking import jobs_now, measured
from .samples import Measured, Samples
from .surface import Surface

#: Seconds between two polls while somebody looks on, and while nobody does.
INTERVAL = 1.0
SLOW = 5.0

#: A poll is not to take more of the server's time than this share.
_SHARE = 0.2

#: Seconds for which somebody counts who has asked for a page, and has no live view.
_LINGER = 10.0


@dataclass(frozen=True)
class Seen:
    """The jobs of a server at one moment."""

    jobs: list[JobInfo]
    #: on the server's clock
    now: datetime
    surface: Surface
    #: on ours
    at: float


class Watcher:
    """Polls, and tells those who wait for news."""

    def __init__(self, ask: Callable[[Callable[[AsyncConnection, Surface], Awaitable[Any]]], Awaitable[Any]]):
        self._ask = ask
        self.seen: Seen | None = None
        self.trouble: SourceError | None = None
        #: counts the polls, whatever came of them
        self.version = 0
        self.samples = Samples()
        self.onlookers = 0
        self._asked_for = 0.0
        # polls that have begun, and that have ended
        self._begun = self._ended = 0
        self._sampled = 0.0
        #: seconds that the last poll took
        self._took = 0.0
        self._news = asyncio.Event()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.is_closed = False

    def start(self) -> None:
        """Begin to poll, if that has not begun."""
        if self._task is None:
            self._task = asyncio.ensure_future(self._run())

    async def close(self) -> None:
        """End it; nobody waits for it any more."""
        self.is_closed = True
        self.announce()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def latest(self) -> Seen:
        """Return what was seen last, if that is recent, or else what is there now.

        Raises:
            SourceError: nothing was ever seen, and the server does not answer.
        """
        self._asked_for = time.monotonic()
        if self.seen is None or time.monotonic() - self.seen.at > 2 * max(INTERVAL, self._took / _SHARE):
            await self.refresh()
        if self.seen is None:
            raise self.trouble or SourceError("the server does not answer")
        return self.seen

    async def refresh(self) -> None:
        """Wait for a poll that has begun after this was called, for as long as a page may be waited for."""
        self._asked_for = time.monotonic()
        self._wake.set()
        wanted = self._begun + 1
        await self._until(lambda: self._ended >= wanted, 5)

    async def next(self, version: int, timeout: float) -> int:
        """Wait until there is a newer version than this; return the version that there is then."""
        await self._until(lambda: self.version > version, timeout)
        return self.version

    def announce(self) -> None:
        """Have those who wait see whether they still should."""
        self.version += 1
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def _until(self, is_so: Callable[[], bool], timeout: float) -> None:
        """Wait until it is so, or for that long."""
        deadline = time.monotonic() + timeout
        while not (is_so() or self.is_closed) and time.monotonic() < deadline:
            await await_event(self._news, deadline - time.monotonic())

    # ---- polling

    async def _run(self) -> None:
        # Not for ever, in case what it calls swallows the cancellation.
        while not self.is_closed:
            self._wake.clear()
            began = time.monotonic()
            self._begun += 1
            await self._poll(began)
            self._ended = self._begun
            self.announce()
            took = self._took = time.monotonic() - began
            is_watched = self.onlookers or began - self._asked_for < _LINGER
            pause = max(INTERVAL if is_watched and self.trouble is None else SLOW, took / _SHARE)
            if await await_event(self._wake, pause):
                # Asked for by hand it comes sooner, though not at once again and again.
                await asyncio.sleep(min(took, 1))

    async def _poll(self, began: float) -> None:
        wants_sample = began - self._sampled >= SLOW - INTERVAL / 2

        async def question(
            connection: AsyncConnection, surface: Surface
        ) -> tuple[list[JobInfo], datetime, Measured | None, Surface]:
            jobs, now = await jobs_now(connection, surface)
            return jobs, now, await measured(connection, surface) if wants_sample else None, surface

        try:
            jobs, now, measures, surface = await self._ask(question)
        except SourceError as error:
            self.trouble = error
        except Exception as error:
            # It has to go on, whatever a server says.
            self.trouble = SourceLost(f"{type(error).__name__}: {error}")
        else:
            self.trouble = None
            self.seen = Seen(jobs, now, surface, time.monotonic())
            if measures is not None:
                self._sampled = began
                self.samples.add(now.timestamp(), jobs, measures)
