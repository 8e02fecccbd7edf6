"""A server as the source: one connection for polls, opened anew when it broke, and one for each cancel."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg

from ..client.client_async import AsyncClient
from ..client.encodings import UNKNOWN, load_as_str
from ..client.errors import JobLost
from ..client.model import Handle, Inspection
from .source import Snapshot, SourceError, SourceLost

#: Seconds after which a server that does not answer is taken for lost.
PATIENCE = 10.0

Answer = TypeVar("Answer")

AsyncConnection = psycopg.AsyncConnection[tuple[Any, ...]]


class ServerSource:
    """See `Source`."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._connection: AsyncConnection | None = None
        # A poll and an inspection may be wanted at once.
        self._lock = asyncio.Lock()

    async def poll(self) -> Snapshot:
        """See `Source`."""
        return await self.ask(self._poll)

    async def inspect(self, handle: Handle) -> Inspection:
        """See `Source`."""
        return await self.ask(lambda connection: AsyncClient(connection).session.inspect(handle))

    async def cancel(self, handle: Handle, grace: float) -> None:
        """See `Source`."""
        with told():
            # The server answers only after the grace period, and meanwhile the screen is to go on.
            async with await connected(self._conninfo) as connection:
                await AsyncClient(connection).attach(handle).cancel(grace)

    async def close(self) -> None:
        """See `Source`."""
        if self._connection is not None:
            await self._connection.close()

    async def ask(self, question: Callable[[AsyncConnection], Awaitable[Answer]]) -> Answer:
        """Put a question over the connection for polls, one at a time.

        Raises:
            SourceError: the server does not answer, or refuses.
        """

        async def ask() -> Answer:
            if self._connection is None or self._connection.closed:
                self._connection = await connected(self._conninfo)
            return await question(self._connection)

        async with self._lock:
            try:
                with told():
                    # Not wait_for, which in Python 3.11 swallows a cancellation that meets the answer.
                    async with asyncio.timeout(PATIENCE):
                        return await ask()
            except TimeoutError:
                # Whatever may still come on this connection is no answer to the next question.
                await self.close()
                raise SourceLost(f"no answer for {PATIENCE:g} s") from None

    async def _poll(self, connection: AsyncConnection) -> Snapshot:
        jobs = await AsyncClient(connection).jobs()
        row = await (await connection.execute("SELECT pg_catalog.clock_timestamp()")).fetchone()
        assert row is not None
        info = connection.info
        return Snapshot(jobs, row[0], f"{info.dbname} on {info.host}:{info.port} as {info.user}")


async def connected(conninfo: str) -> AsyncConnection:
    """Open a session in autocommit mode; text of a database without an encoding comes as a str too."""
    connection = await psycopg.AsyncConnection.connect(conninfo, autocommit=True)
    if connection.info.encoding == UNKNOWN:
        load_as_str(connection.adapters)
    return connection


@contextmanager
def told() -> Iterator[None]:
    """Raise what a server refused, or that it is not to be reached, as a `SourceError`."""
    try:
        yield
    except JobLost as error:
        # The job is gone, not the server.
        raise SourceError(str(error)) from error
    except psycopg.Error as error:
        said = " ".join((error.diag.message_primary or str(error)).split())
        if isinstance(error, psycopg.OperationalError) and (error.sqlstate or "57P")[:3] == "57P":
            # What libpq has to say begins with the address, which the screen shows already.
            raise SourceLost(said.rpartition("failed: ")[2]) from error
        raise SourceError(said) from error
