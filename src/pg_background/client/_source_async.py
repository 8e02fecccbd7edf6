"""Where a client's connections come from: a DSN, a connection, a pool or an engine."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import psycopg
from psycopg.pq import TransactionStatus

from .acompat import ALock
from .statements import NOTIFY_ENDS, NOTIFY_NO_ENDS

if TYPE_CHECKING:
    from psycopg_pool import AsyncConnectionPool
    from sqlalchemy.ext.asyncio import AsyncEngine

AsyncConnection = psycopg.AsyncConnection[Any]

AsyncLending = AbstractAsyncContextManager[AsyncConnection]

#: What a client is made from.
AsyncOrigin: TypeAlias = "str | AsyncConnection | AsyncConnectionPool[Any] | AsyncEngine"


class AsyncSource(Protocol):
    """Lends connections."""

    #: whether it can open one when another broke
    reconnects: bool

    #: whether a connection can be had that nobody else uses meanwhile
    has_private: bool

    #: whether one may be kept that only listens, and jobs tell it when they end
    can_listen: bool

    @property
    def is_closed_here(self) -> bool:
        """Whether what it lends was closed on this side, which has nothing to do with the server's state."""
        ...

    def shared(self) -> AsyncLending:
        """Lend a connection for a few short statements."""
        ...

    def private(self) -> AsyncLending:
        """Lend one for as long as the block takes, beside which the client goes on working."""
        ...

    @property
    def is_in_transaction(self) -> bool:
        """Whether there is an open transaction, somebody's own, whose locks may hold up jobs."""
        ...

    async def found(self, *, through_pooler: bool) -> None:
        """Learn that there is the extension, and whether a pooler changes sessions between transactions."""

    async def tell_ends(self, connection: AsyncConnection, wanted: bool) -> bool:
        """Have the jobs that are launched over a connection from now on tell their ends, or not.

        Returns:
            whether they do.
        """
        ...

    def move(self, *, forked: bool) -> None:
        """Go on in a forked process, or else in another event loop, the one before being closed.

        Raises:
            RuntimeError: what it lends can't.
        """

    async def close(self) -> None:
        """Close what this opened, and nothing else."""


#: Connections of the processes that this one was forked from. They stay, as closing one ends a session there.
_of_parents: list[AsyncConnection] = []


class AsyncDsnSource:
    """Opens connections: one for statements, and others beside it for a while."""

    reconnects = True
    is_in_transaction = False
    is_closed_here = False
    has_private = True

    def __init__(self, dsn: str, **parameters: Any) -> None:
        self._dsn = dsn
        self._parameters = {"fallback_application_name": "pg_background", **parameters, "autocommit": True}
        self._connection: AsyncConnection | None = None
        self._lock = ALock()
        self._closed = False
        self.can_listen = False
        self._tells_ends = False

    async def found(self, *, through_pooler: bool) -> None:
        """See `AsyncSource`."""
        assert self._connection is not None
        if through_pooler:
            # The session that has the statement prepared may be another one the next time.
            self._parameters["prepare_threshold"] = None
            self._connection.prepare_threshold = None
        else:
            self.can_listen = True
            await self.tell_ends(self._connection, True)

    async def tell_ends(self, connection: AsyncConnection, wanted: bool) -> bool:
        """See `AsyncSource`."""
        if self.can_listen and self._tells_ends != wanted:
            await connection.execute(NOTIFY_ENDS if wanted else NOTIFY_NO_ENDS)
            self._tells_ends = wanted
        return self._tells_ends

    @asynccontextmanager
    async def shared(self) -> AsyncIterator[AsyncConnection]:
        """See `AsyncSource`."""
        async with self._lock:
            if self._connection is not None and _is_stuck(self._connection):
                await self._connection.close()
            if self._connection is None or self._connection.closed:
                self._connection = await self._opened()
            yield self._connection

    async def _opened(self) -> AsyncConnection:
        """Return a new connection that is ready for use."""
        connection = await self._open()
        self._tells_ends = False
        try:
            await self.tell_ends(connection, True)
        except BaseException:
            # Interrupted here, it would not tell of the jobs that it launches.
            await connection.close()
            raise
        return connection

    @asynccontextmanager
    async def private(self) -> AsyncIterator[AsyncConnection]:
        """See `AsyncSource`."""
        connection = await self._open()
        process = os.getpid()
        try:
            yield connection
        finally:
            # In a forked child this would end the parent's session.
            if process == os.getpid():
                await connection.close()

    async def close(self) -> None:
        """See `AsyncSource`."""
        self._closed = True
        if self._connection is not None:
            await self._connection.close()

    def move(self, *, forked: bool) -> None:
        """See `AsyncSource`."""
        if self._connection is not None:
            if forked:
                _of_parents.append(self._connection)
            else:
                self._connection.pgconn.finish()
        self._connection = None
        self._lock = ALock()

    async def _open(self) -> AsyncConnection:
        self._require_open()
        connection: AsyncConnection = await psycopg.AsyncConnection.connect(self._dsn, **self._parameters)
        try:
            self._require_open()
        except psycopg.InterfaceError:
            # It was closed meanwhile, and nobody would close this one.
            await connection.close()
            raise
        return connection

    def _require_open(self) -> None:
        if self._closed:
            raise psycopg.InterfaceError("the client is closed")


class AsyncConnectionSource:
    """Lends the one connection that it was given, and leaves it open."""

    reconnects = False
    has_private = False
    can_listen = False

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._lock = ALock()

    @asynccontextmanager
    async def shared(self) -> AsyncIterator[AsyncConnection]:
        """See `AsyncSource`."""
        async with self._lock, unharmed(self._connection):
            yield self._connection

    # Nobody asks: has_private is False.
    private = shared

    @property
    def is_closed_here(self) -> bool:
        """See `AsyncSource`."""
        return self._connection.closed and not self._connection.broken

    @property
    def is_in_transaction(self) -> bool:
        """See `AsyncSource`."""
        return self._connection.info.transaction_status == TransactionStatus.INTRANS

    async def found(self, *, through_pooler: bool) -> None:
        """See `AsyncSource`."""

    async def tell_ends(self, connection: AsyncConnection, wanted: bool) -> bool:
        """See `AsyncSource`."""
        return False

    def move(self, *, forked: bool) -> None:
        """See `AsyncSource`."""
        if forked:
            raise RuntimeError(
                "the client's connection belongs to the process that this one was forked from: "
                "make a new client here, from a DSN or a new connection"
            )
        self._lock = ALock()

    async def close(self) -> None:
        """See `AsyncSource`."""


class AsyncPoolSource:
    """Borrows from a psycopg_pool, for each call."""

    reconnects = True
    is_in_transaction = False
    is_closed_here = False
    has_private = True
    can_listen = False

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool

    @asynccontextmanager
    async def shared(self) -> AsyncIterator[AsyncConnection]:
        """See `AsyncSource`."""
        async with self._pool.connection() as connection, unharmed(connection):
            yield connection

    private = shared

    async def found(self, *, through_pooler: bool) -> None:
        """See `AsyncSource`."""

    async def tell_ends(self, connection: AsyncConnection, wanted: bool) -> bool:
        """See `AsyncSource`."""
        return False

    def move(self, *, forked: bool) -> None:
        """See `AsyncSource`."""
        # Its own threads or tasks, which open connections, are not here.
        where = "the process that this one was forked from" if forked else "an event loop that is closed"
        raise RuntimeError(f"the client's pool belongs to {where}: make a pool and a client here")

    async def close(self) -> None:
        """See `AsyncSource`."""


class AsyncEngineSource:
    """Borrows from an SQLAlchemy engine, for each call."""

    reconnects = True
    is_in_transaction = False
    is_closed_here = False
    has_private = True
    can_listen = False

    def __init__(self, engine: AsyncEngine) -> None:
        if engine.dialect.driver not in ("psycopg", "psycopg_async"):
            raise TypeError(
                f"the engine's driver is {engine.dialect.driver}: make one of postgresql+psycopg://…"
            )
        self._engine = engine

    @asynccontextmanager
    async def shared(self) -> AsyncIterator[AsyncConnection]:
        """See `AsyncSource`."""
        async with AsyncExitStack() as stack:
            with _errors_of_the_driver():
                borrowed = await stack.enter_async_context(self._engine.connect())
            raw = await borrowed.get_raw_connection()  # sync: raw = borrowed.connection
            connection = raw.driver_connection
            assert isinstance(connection, psycopg.AsyncConnection)
            async with unharmed(connection):
                yield connection

    private = shared

    async def found(self, *, through_pooler: bool) -> None:
        """See `AsyncSource`."""

    async def tell_ends(self, connection: AsyncConnection, wanted: bool) -> bool:
        """See `AsyncSource`."""
        return False

    def move(self, *, forked: bool) -> None:
        """See `AsyncSource`."""
        if forked:
            # What the engine has at hand is the parent's, and stays open there.
            self._engine.sync_engine.dispose(close=False)  # sync: self._engine.dispose(close=False)

    async def close(self) -> None:
        """See `AsyncSource`."""


@contextmanager
def _errors_of_the_driver() -> Iterator[None]:
    """Raise psycopg's errors as those that they are, without SQLAlchemy's around them."""
    from sqlalchemy.exc import DBAPIError

    try:
        yield
    except DBAPIError as error:
        if isinstance(error.orig, psycopg.Error):
            raise error.orig from error
        raise


def _is_stuck(connection: AsyncConnection) -> bool:
    """Whether it is busy with a statement that nobody awaits: its caller was interrupted twice."""
    return connection.pgconn.transaction_status == TransactionStatus.ACTIVE


@asynccontextmanager
async def unharmed(connection: AsyncConnection) -> AsyncIterator[None]:
    """Leave somebody's connection in the transaction in which it was, or in none, also after an error."""
    if connection.autocommit and connection.info.transaction_status == TransactionStatus.IDLE:
        yield
    else:
        async with connection.transaction():
            yield


def source_of(origin: Any, **parameters: Any) -> AsyncSource:
    """Return the source that fits.

    Args:
        origin: a DSN, a psycopg connection or pool, or an SQLAlchemy engine, asynchronous ones.
        parameters: for a DSN, libpq's and psycopg's.

    Raises:
        TypeError: it is none of them.
    """
    if isinstance(origin, str):
        return AsyncDsnSource(origin, **parameters)
    if parameters:
        raise TypeError("connection parameters can be given only beside a DSN")
    if isinstance(origin, psycopg.AsyncConnection):
        return AsyncConnectionSource(origin)
    # By their names, so that neither library has to be there.
    families = {f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in type(origin).__mro__}
    if "psycopg_pool.AsyncConnectionPool" in families:
        return AsyncPoolSource(origin)
    if "sqlalchemy.AsyncEngine" in families:
        return AsyncEngineSource(origin)
    raise TypeError(
        "a client is made from a DSN, a psycopg.AsyncConnection, a psycopg_pool.AsyncConnectionPool "
        f"or an sqlalchemy AsyncEngine, not from {type(origin).__name__}"
    )
