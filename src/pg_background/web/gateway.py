"""The way to one server as one role: connections with that role's own credentials."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from psycopg.conninfo import make_conninfo

from ..watching import ServerSource, SourceError
from ..watching.server_source import AsyncConnection, connected, told
from .surface import Surface, surface_of
from .targets import Target
from .watcher import Watcher

#: Answers that several tabs may want, kept for a moment.
_CACHED = 200

#: Connections beside the two for polls and pages: of actions, which may take long, and to other databases.
_MORE = 4

#: A page's question is not to load a server for longer.
_READING = """
SET TRANSACTION READ ONLY;
SET LOCAL search_path = pg_catalog, pg_temp;
SET LOCAL statement_timeout = '10s'
"""

Answer = TypeVar("Answer")

Question = Callable[[AsyncConnection, Surface], Awaitable[Answer]]


class Gateway:
    """Asks the server, as the role."""

    def __init__(self, target: Target, conninfo: str, role: str) -> None:
        """
        Args:
            conninfo: with the role's credentials; kept in memory, and shown nowhere.
            role: who that is, for people.
        """
        self.target = target
        self.role = role
        self.conninfo = conninfo
        self.holders = 0
        self.watcher = Watcher(self.poll)
        self._polls = ServerSource(conninfo)
        self._pages = ServerSource(conninfo)
        self._more = asyncio.Semaphore(_MORE)
        self._answers: OrderedDict[Hashable, tuple[float, asyncio.Future[Any]]] = OrderedDict()

    # ---- questions

    async def poll(self, question: Question[Answer]) -> Answer:
        """Ask over the connection for polls.

        Raises:
            SourceError: the server does not answer, or refuses.
        """
        return await self._polls.ask(lambda connection: reading(connection, question))

    async def ask(self, question: Question[Answer], database: str = "") -> Answer:
        """Ask for a page.

        Args:
            database: another one on that server, whose connection is closed again.

        Raises:
            SourceError: the server does not answer, or refuses.
        """
        if not database:
            return await self._pages.ask(lambda connection: reading(connection, question))
        async with self.connection(database) as connection:
            return await reading(connection, question)

    async def cached(self, key: Hashable, seconds: float, make: Callable[[], Awaitable[Answer]]) -> Answer:
        """Return what `make` returns, or returned so many seconds ago: tabs that want the same ask once."""
        known = self._answers.get(key)
        now = time.monotonic()
        if known is not None and (
            not known[1].done() or (now - known[0] < seconds and not _failed(known[1]))
        ):
            return await asyncio.shield(known[1])
        # A task, as whoever was first may leave before the answer is there.
        made: asyncio.Future[Answer] = asyncio.ensure_future(make())
        made.add_done_callback(lambda done: None if done.cancelled() else done.exception())
        self._answers[key] = now, made
        self._answers.move_to_end(key)
        while len(self._answers) > _CACHED:
            self._answers.popitem(last=False)
        return await asyncio.shield(made)

    def forget_answers(self) -> None:
        """Ask anew, as something was changed."""
        self._answers.clear()

    @asynccontextmanager
    async def connection(self, database: str = "") -> AsyncIterator[AsyncConnection]:
        """Open a connection, for the block; in autocommit mode, and not limited to reading.

        Raises:
            SourceError: it can't be opened, or what the block asks is refused.
        """
        if self._more.locked():
            raise SourceError(f"{_MORE} actions of this role are under way: wait for one of them to end")
        async with self._more:
            with told():
                async with await connected(make_conninfo(self.conninfo, **_db(database))) as made:
                    yield made

    # ---- life

    async def close(self) -> None:
        """Close all connections."""
        await self.watcher.close()
        await self._polls.close()
        await self._pages.close()


def _failed(done: asyncio.Future[Any]) -> bool:
    return done.cancelled() or done.exception() is not None


def _db(database: str) -> dict[str, str]:
    return {"dbname": database} if database else {}


async def reading(connection: AsyncConnection, question: Question[Answer]) -> Answer:
    """Ask in a transaction that can't write, and finds nobody's objects in place of the server's own."""
    async with connection.transaction():
        await connection.execute(_READING)
        return await question(connection, await surface_of(connection))


class Gateways:
    """Those in use: sessions of the same role and password share one."""

    def __init__(self) -> None:
        self._gateways: dict[tuple[str, str], Gateway] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def get(self, target: Target, conninfo: str, role: str) -> Gateway:
        """Return the gateway; whoever keeps it calls `hold`."""
        key = target.name, conninfo
        if key not in self._gateways:
            self._gateways[key] = Gateway(target, conninfo, role)
        return self._gateways[key]

    def hold(self, gateway: Gateway) -> None:
        """Keep it, and let it watch its server."""
        gateway.holders += 1
        gateway.watcher.start()

    def release(self, gateway: Gateway) -> None:
        """Keep it no longer; without anyone who does, it is closed."""
        gateway.holders -= 1
        if gateway.holders == 0:
            self._gateways.pop((gateway.target.name, gateway.conninfo), None)
            task = asyncio.ensure_future(gateway.close())
            # Nobody else refers to the task, which could be collected while it runs.
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def announce(self) -> None:
        """Have all live views see whether they should go on."""
        for gateway in list(self._gateways.values()):
            gateway.watcher.announce()

    async def closed(self) -> None:
        """Wait until those that were released are closed."""
        await asyncio.gather(*self._closing, return_exceptions=True)
