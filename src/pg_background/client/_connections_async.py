"""Connections to a database that has the extension, as a client's calls borrow them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg.errors import Diagnostic
from psycopg.rows import TupleRow

from ._asking_async import asking
from ._home import Home
from ._source_async import AsyncConnection, AsyncSource
from .acompat import aloop
from .errors import ConnectionLost
from .handles import arrays_of, is_about_handle
from .model import Handle, Outcome, Times
from .statements import FIND_EXTENSION, StatementName, Statements

#: The server has ended the session for what the session did, or did not do: no other is concerned.
_SESSION_ENDS = ("25P03", "25P04", "57P05")

NoticeHandler = Callable[[Diagnostic], None]


class AsyncConnections:
    """Lends the connections of a source, and finds the extension over the first one.

    Attributes:
        source: where they come from.
    """

    def __init__(self, source: AsyncSource) -> None:
        self.source = source
        self._found: Statements | None = None
        self._home = Home()
        self._notice_handlers: list[NoticeHandler] = []
        self._when_moved: list[Callable[[], object]] = []

    async def close(self) -> None:
        """Close what the source opened."""
        await self.source.close()

    @property
    def are_parents(self) -> bool:
        """Whether they belong to the process that this one was forked from."""
        return self._home.is_left

    def when_moved(self, callback: Callable[[], object]) -> None:
        """Call it each time that what belongs to another process or event loop was left behind."""
        self._when_moved.append(callback)

    def move_here(self) -> None:
        """Leave behind what belongs to the parent of this process, or to an event loop that is closed.

        Raises:
            RuntimeError: the connections can be used only there.
        """
        here = aloop()
        if self._home.is_here(here):
            return
        with self._home.move(here) as forked:
            if forked is not None:
                self.source.move(forked=forked)
                for callback in self._when_moved:
                    callback()

    def add_notice_handler(self, callback: NoticeHandler) -> None:
        """Call it with each notice that comes over a connection while that is lent."""
        self._notice_handlers.append(callback)

    def remove_notice_handler(self, callback: NoticeHandler) -> None:
        """Call it no more.

        Raises:
            ValueError: it was not added.
        """
        self._notice_handlers.remove(callback)

    @property
    def statements(self) -> Statements:
        """The statements for the schema that the extension is in; known once a connection was lent."""
        assert self._found is not None, "no connection was lent yet"
        return self._found

    @asynccontextmanager
    async def lend(
        self, *, private: bool = False, job_continues: bool | None = True
    ) -> AsyncIterator[AsyncConnection]:
        """Lend a connection that has the extension.

        Args:
            private: one that nobody else uses meanwhile; only where the source has such.
            job_continues: what `ConnectionLost` tells if it breaks, and it is not the server that ends.

        Raises:
            ConnectionLost: it broke.
            psycopg.ProgrammingError: the database does not have the extension.
        """
        self.move_here()
        lending = self.source.private() if private else self.source.shared()
        borrowed: AsyncConnection | None = None
        try:
            async with lending as borrowed:
                if self._found is None:
                    self._found = await self._find_extension(borrowed)
                if not self._notice_handlers:
                    yield borrowed
                    return
                handlers = tuple(self._notice_handlers)
                for handler in handlers:
                    borrowed.add_notice_handler(handler)
                try:
                    yield borrowed
                finally:
                    for handler in handlers:
                        borrowed.remove_notice_handler(handler)
        except psycopg.Error as error:
            if not self._is_lost(borrowed, error):
                raise
            if not (self.source.is_closed_here or error.sqlstate in _SESSION_ENDS):
                # It may have been the end of the server, which takes its jobs with it.
                job_continues = None
            said = (
                "the job goes on in the server" if job_continues else "whether the job goes on is not known"
            )
            raise ConnectionLost(f"{str(error).strip()}; {said}", job_continues=job_continues) from error

    async def rows(self, statement: StatementName, *parameters: Any) -> list[TupleRow]:
        """Ask what can be asked again, and do so once if the connection breaks and there is another."""
        try:
            return await self.rows_once(statement, *parameters)
        except ConnectionLost:
            if not self.source.reconnects:
                raise
        return await self.rows_once(statement, *parameters)

    async def ended(self, handles: Sequence[Handle], patience: int) -> list[Outcome]:
        """Return how and when jobs ended, of those that have or do in so many milliseconds.

        Of none if that can't be told: one is read or detached meanwhile, or the role may not look.
        """
        try:
            rows = await self.rows("ended", patience, *arrays_of(handles))
        except psycopg.Error as error:
            if is_about_handle(error) or isinstance(error, psycopg.errors.InsufficientPrivilege):
                return []
            raise
        return [Outcome.of((*row[:-3], Times.of(row[-3:]))) for row in rows]

    async def rows_once(self, statement: StatementName, *parameters: Any) -> list[TupleRow]:
        """Run a statement, and return its rows."""
        async with self.lend() as connection:
            cursor = asking(connection)
            await cursor.execute(getattr(self.statements, statement), parameters)
            return await cursor.fetchall()

    def _is_lost(self, borrowed: AsyncConnection | None, error: psycopg.Error) -> bool:
        """Tell a connection that broke, or can't be had any more, from other errors, such as the job's."""
        if isinstance(error, ConnectionLost):
            return False
        if not isinstance(error, psycopg.OperationalError) and error.sqlstate not in _SESSION_ENDS:
            return False
        if borrowed is not None:
            return borrowed.closed
        # A pool that has none to lend has its own words for it, and so has the first attempt to connect.
        return self._found is not None and not type(error).__module__.startswith("psycopg_pool")

    async def _find_extension(self, connection: AsyncConnection) -> Statements:
        """Find its schema, and whether a pooler is between: the source then must not count on its session."""
        async with asking(connection) as cursor:
            await cursor.execute(FIND_EXTENSION, prepare=False)
            row = await cursor.fetchone()
        assert row is not None
        schema, server_pid = row
        if schema is None:
            raise psycopg.ProgrammingError(
                f'the database "{connection.info.dbname}" does not have the extension pg_background\n'
                "HINT:  Run CREATE EXTENSION pg_background there, or name a database that has it."
            )
        await self.source.found(through_pooler=server_pid != connection.info.backend_pid)
        return Statements(schema)
