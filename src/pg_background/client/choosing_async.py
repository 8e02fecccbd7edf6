"""The choice of a standby for a job that can only read."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from time import monotonic
from typing import Any, NamedTuple

import psycopg

from ._asking_async import asking
from ._connections_async import NoticeHandler
from ._session_async import AsyncSession
from ._source_async import AsyncDsnSource
from .acompat import AEvent, await_event
from .errors import ConnectionLost
from .job_async import AsyncJob
from .launching_async import start
from .model import Handle, Progress
from .standbys import (
    AGAIN_SECONDS,
    DOWN_SECONDS,
    FIRST_SECONDS,
    LAG,
    LAG_SECONDS,
    UNKNOWN_SECONDS,
    Standbys,
    each_host,
    without_hosts,
)


class Found(NamedTuple):
    """What was learned about a host."""

    #: seconds that it is behind; infinite for one that is not to be used
    lag: float
    #: why it is not
    reason: str = ""
    #: from when on it is asked again
    ask_at: float = -inf


class AsyncStandby:
    """A host that may be a standby. Its connection is opened when it is asked the first time."""

    def __init__(self, name: str, session: AsyncSession) -> None:
        self.name = name
        self.session = session
        # Replaced as a whole: others who share the client look at it while it is asked.
        self._found = Found(inf)
        # What it had received when it was asked some time, and when that was: once it has replayed that, it
        # is behind by no more than the time since.
        self._received: tuple[str | None, float] = (None, -inf)

    async def look(self, max_lag: float) -> Found:
        """Return how far it is behind; it is asked unless that was a moment ago."""
        if monotonic() >= self._found.ask_at:
            began = monotonic()
            is_first = self._received[0] is None
            found = await self._ask()
            while (
                is_first
                and max_lag < found.lag
                and not found.reason
                and monotonic() < began + (FIRST_SECONDS if found.lag < inf else UNKNOWN_SECONDS)
            ):
                await await_event(AEvent(), AGAIN_SECONDS)
                found = await self._ask()
            now = monotonic()
            # One that does not even refuse is not to hold up every other launch.
            pause = LAG_SECONDS if found.lag < inf else max(DOWN_SECONDS, 10 * (now - began))
            self._found = found._replace(ask_at=now + pause)
        found = self._found
        if found.lag <= max_lag and not found.reason:
            return found
        reason = f"{found.lag:.1f} s behind" if found.lag < inf else "it has not caught up yet"
        return found._replace(reason=found.reason or reason)

    def has_gone(self, error: psycopg.Error) -> None:
        """Note that it did not answer since it was asked."""
        self._found = Found(inf, str(error).strip(), monotonic() + DOWN_SECONDS)

    async def _ask(self) -> Found:
        now = monotonic()
        received_before, received_at = self._received
        try:
            async with self.session.connection() as connection:
                cursor = asking(connection)
                await cursor.execute(LAG, (received_before,))
                row = await cursor.fetchone()
        except psycopg.Error as error:
            # It may as well not have replayed yet what makes the database and the extension.
            return Found(inf, str(error).strip())
        assert row is not None
        is_standby, lag, received, has_replayed = row
        if not is_standby:
            return Found(inf, "it is a primary")
        if has_replayed or received_before is None:
            self._received = received, now
        return Found(min(float(lag), now - received_at if has_replayed else inf))


class AsyncStandbyChoice:
    """The hosts of a client among which there are standbys."""

    def __init__(self, dsn: str, wanted: Standbys, **parameters: Any) -> None:
        """
        Args:
            dsn: of the client, used unless `wanted` has one.
            parameters: more of libpq's and of psycopg's connect().
        """
        self.wanted = wanted
        hosts = each_host(dsn, parameters) if wanted.dsn is None else each_host(wanted.dsn, {})
        same = without_hosts(parameters)
        self._standbys = [
            AsyncStandby(name, AsyncSession(AsyncDsnSource(one, **same))) for name, one in hosts.items()
        ]

    async def start(self, primary: AsyncSession, *query: Any, **options: Any) -> AsyncJob[Any]:
        """Start a job on the standby that is the least behind; on the primary if that may be used instead.

        Args:
            primary: the client's session.
            query: and `options`, what the other `start` takes.

        Raises:
            psycopg.OperationalError: no standby can be used, and the primary is not to be. `ConnectionLost`:
                the connection broke during the launch.
            psycopg.Error: the server refused it.
        """
        most = inf if self.wanted.max_lag is None else self.wanted.max_lag
        while True:
            looks = [(await standby.look(most), standby) for standby in self._standbys]
            usable = [(found.lag, standby) for found, standby in looks if not found.reason]
            if not usable:
                break
            _, chosen = min(usable, key=lambda each: each[0])
            try:
                return await start(chosen.session, *query, **options)
            except psycopg.OperationalError as error:
                if isinstance(error, ConnectionLost) or error.sqlstate is None:
                    chosen.has_gone(error)
                if isinstance(error, ConnectionLost) or error.sqlstate is not None:
                    raise
        if self.wanted.otherwise == "primary":
            return await start(primary, *query, **options)
        reasons = "; ".join(f"{standby.name}: {found.reason}" for found, standby in looks)
        raise psycopg.OperationalError(f"no standby can be used: {reasons}")

    def add_notice_handler(self, callback: NoticeHandler) -> None:
        """Call it with each notice of a job on one of them."""
        for standby in self._standbys:
            standby.session.add_notice_handler(callback)

    def remove_notice_handler(self, callback: NoticeHandler) -> None:
        """Call it no more."""
        for standby in self._standbys:
            standby.session.remove_notice_handler(callback)

    async def close(self) -> None:
        """Close the connections; jobs go on."""
        for standby in self._standbys:
            await standby.session.close()


class AsyncEachProgress:
    """How far jobs of several servers are."""

    def __init__(self, jobs: Sequence[AsyncJob[Any]]) -> None:
        self._jobs = {job.handle: job for job in jobs}

    async def progress(self, handles: Sequence[Handle]) -> list[Progress]:
        """Return what each of the jobs has reported."""
        return [await self._jobs[handle].progress for handle in handles]
