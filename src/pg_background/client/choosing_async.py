"""The choice of a standby for a job that can only read."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from time import monotonic
from typing import Any

import psycopg

from ._asking_async import asking
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
    FIRST_TRIES,
    LAG,
    LAG_SECONDS,
    Standbys,
    each_host,
    without_hosts,
)


class AsyncStandby:
    """A host that may be a standby. Its connection is opened when it is asked the first time."""

    def __init__(self, name: str, session: AsyncSession) -> None:
        self.name = name
        self.session = session
        #: seconds that it is behind; infinite for one that is not to be used
        self.lag = inf
        #: why it is not
        self.reason = ""
        self._ask_at = 0.0
        # What it had received when it was asked some time, and when that was: once it has replayed that, it
        # is behind by no more than the time since.
        self._received: str | None = None
        self._received_at = -inf

    async def look(self, max_lag: float) -> bool:
        """Tell whether it can be used; it is asked unless that was a moment ago."""
        if monotonic() >= self._ask_at:
            tries = FIRST_TRIES if self._received is None else 1
            await self._ask()
            while max_lag < self.lag and not self.reason and (tries := tries - 1):
                await await_event(AEvent(), AGAIN_SECONDS)
                await self._ask()
            self._ask_at = monotonic() + (LAG_SECONDS if self.lag < inf else DOWN_SECONDS)
        if self.lag <= max_lag and not self.reason:
            return True
        self.reason = self.reason or (
            f"{self.lag:.1f} s behind" if self.lag < inf else "it has not caught up yet"
        )
        return False

    def has_gone(self, error: psycopg.Error) -> None:
        """Note that it did not answer since it was asked."""
        self.lag, self.reason = inf, str(error).strip()
        self._ask_at = monotonic() + DOWN_SECONDS

    async def _ask(self) -> None:
        self.lag, self.reason = inf, ""
        now = monotonic()
        try:
            async with self.session.connection() as connection:
                cursor = asking(connection)
                await cursor.execute(LAG, (self._received,))
                row = await cursor.fetchone()
        except psycopg.OperationalError as error:
            self.reason = str(error).strip()
            return
        assert row is not None
        is_standby, lag, received, has_replayed = row
        if is_standby:
            self.lag = min(float(lag), monotonic() - self._received_at if has_replayed else inf)
            if has_replayed or self._received is None:
                self._received, self._received_at = received, now
        else:
            self.reason = "it is a primary"


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
        while found := [standby for standby in self._standbys if await standby.look(most)]:
            chosen = min(found, key=lambda standby: standby.lag)
            try:
                return await start(chosen.session, *query, **options)
            except psycopg.OperationalError as error:
                if isinstance(error, ConnectionLost) or error.sqlstate is None:
                    chosen.has_gone(error)
                if isinstance(error, ConnectionLost) or error.sqlstate is not None:
                    raise
        if self.wanted.otherwise == "primary":
            return await start(primary, *query, **options)
        reasons = "; ".join(f"{standby.name}: {standby.reason}" for standby in self._standbys)
        raise psycopg.OperationalError(f"no standby can be used: {reasons}")

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
