"""A client: launches jobs over a connection, and waits for any number of them without taking it up."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast, overload

import psycopg
from psycopg.rows import AsyncRowFactory, TupleRow, class_row, tuple_row

from . import reading_async as reading
from .bars import ProgressDisplay
from .errors import ConnectionLost
from .job_async import AsyncJob
from .many_async import AsyncManyJobs
from .model import Handle, JobColumn, JobInfo, OnFull, Outcome, Progress, Stats
from .options import milliseconds
from .query import Params, Query, bind
from .result import Other, Result, Row
from .source_async import AsyncConnection, AsyncOrigin, source_of
from .statements import LOOK, Statements
from .watch_async import AsyncWatcher

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from .options import LaunchOptions

#: The server itself is stopping, or has crashed.
_SERVER_STOPS = ("57P01", "57P02", "57P03")


class AsyncClient(AsyncManyJobs[Row]):
    """Launches jobs, and finds those of others.

    Made from a DSN it has a connection of its own, which it opens anew when it broke. Made from a psycopg
    connection, a psycopg_pool pool or an SQLAlchemy engine it uses, and never closes, what it was given, and
    leaves open transactions as they are. Any number of tasks may share one.
    """

    @overload
    def __init__(
        self, origin: AsyncOrigin, *, row_factory: AsyncRowFactory[Row], **parameters: Any
    ) -> None: ...
    @overload
    def __init__(self: AsyncClient[TupleRow], origin: AsyncOrigin, **parameters: Any) -> None: ...
    def __init__(
        self, origin: AsyncOrigin, *, row_factory: AsyncRowFactory[Any] = tuple_row, **parameters: Any
    ) -> None:
        """
        Args:
            origin: a DSN, a psycopg connection or pool, or an SQLAlchemy engine, all of them asynchronous.
            row_factory: of psycopg; makes the rows of jobs that have no other.
            parameters: for a DSN, more of libpq's and of psycopg's connect().
        """
        self._source = source_of(origin, **parameters)
        self._row_factory = row_factory
        self._found: Statements | None = None
        self._watcher = AsyncWatcher(self._ask)

    @overload
    @classmethod
    async def connect(
        cls, origin: AsyncOrigin = "", *, row_factory: AsyncRowFactory[Other], **parameters: Any
    ) -> AsyncClient[Other]: ...
    @overload
    @classmethod
    async def connect(cls, origin: AsyncOrigin = "", **parameters: Any) -> AsyncClient[TupleRow]: ...
    @classmethod
    async def connect(cls, origin: AsyncOrigin = "", **parameters: Any) -> AsyncClient[Any]:
        """Make a client, and see that it works.

        Args:
            origin: a DSN, a psycopg connection or pool, or an SQLAlchemy engine; by default what libpq finds.
            parameters: as for the class.

        Raises:
            psycopg.OperationalError: there is no connection.
            psycopg.ProgrammingError: the database does not have the extension.
        """
        client: AsyncClient[Any] = cls(origin, **parameters)
        try:
            async with client._session():
                pass
        except BaseException:
            await client.close()
            raise
        return client

    async def close(self) -> None:
        """End all waits, and the connection if it is the client's own; jobs go on."""
        await self._watcher.close()
        await self._source.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    # ---- jobs

    @overload
    async def launch(
        self, query: Query, params: Params | None = None, **options: Unpack[LaunchOptions]
    ) -> AsyncJob[Row]: ...
    @overload
    async def launch(
        self,
        query: Query,
        params: Params | None = None,
        *,
        row_factory: AsyncRowFactory[Other],
        **options: Unpack[LaunchOptions],
    ) -> AsyncJob[Other]: ...
    async def launch(
        self,
        query: Query,
        params: Params | None = None,
        *,
        row_factory: AsyncRowFactory[Any] | None = None,
        **options: Unpack[LaunchOptions],
    ) -> AsyncJob[Any]:
        """Start a job, and return at once. It commits whatever becomes of the caller.

        Several statements are one transaction; with params there may be one only.

        Args:
            query: as for psycopg's execute(): placeholders are `%s` or `%(name)s`, and percent signs are
                doubled if there are params.
            params: a sequence or a mapping; bound in the server, never pasted into the SQL.
            row_factory: of psycopg; by default the client's.
            options: see `LaunchOptions`: `label`, `timeout`, `queue_size`, `database`, `on_full`,
                `wait_timeout`.

        Raises:
            psycopg.Error: the server refused it; such as ConfigurationLimitExceeded (53400) at a limit.
        """
        return await self._launch(query, params, row_factory, **options)

    async def submit(
        self, query: Query, params: Params | None = None, **options: Unpack[LaunchOptions]
    ) -> AsyncJob[Any]:
        """Start a job whose rows nobody wants: they are dropped at their source. Otherwise as `launch`."""
        return await self._start(query, params, None, discard_result=True, **options)

    @overload
    async def run(
        self,
        query: Query,
        params: Params | None = None,
        *,
        progress: ProgressDisplay = None,
        **options: Unpack[LaunchOptions],
    ) -> Result[Row]: ...
    @overload
    async def run(
        self,
        query: Query,
        params: Params | None = None,
        *,
        row_factory: AsyncRowFactory[Other],
        progress: ProgressDisplay = None,
        **options: Unpack[LaunchOptions],
    ) -> Result[Other]: ...
    async def run(
        self,
        query: Query,
        params: Params | None = None,
        *,
        row_factory: AsyncRowFactory[Any] | None = None,
        progress: ProgressDisplay = None,
        **options: Unpack[LaunchOptions],
    ) -> Result[Any]:
        """Launch a job and return its rows; an interruption cancels it.

        Raises:
            psycopg.Error: as `launch` and `AsyncJob.result`.
        """
        async with await self._launch(query, params, row_factory, **options) as job:
            return await job.result(progress=progress)

    async def run_script(
        self, script: Query, *, progress: ProgressDisplay = None, **options: Unpack[LaunchOptions]
    ) -> Result[Row]:
        """Run statements one after the other, each in a transaction of its own, up to the first that fails.

        VACUUM and CREATE INDEX CONCURRENTLY may stand beside others. The rows are the last statement's.

        Raises:
            psycopg.Error: as `launch` and `AsyncJob.result`.
        """
        async with await self._start(script, None, None, each_statement=True, **options) as job:
            return await job.result(progress=progress)

    @overload
    def attach(self, pid: int | Handle, cookie: int | None = None) -> AsyncJob[Row]: ...
    @overload
    def attach(
        self, pid: int | Handle, cookie: int | None = None, *, row_factory: AsyncRowFactory[Other]
    ) -> AsyncJob[Other]: ...
    def attach(
        self,
        pid: int | Handle,
        cookie: int | None = None,
        *,
        row_factory: AsyncRowFactory[Any] | None = None,
    ) -> AsyncJob[Any]:
        """Return a job that was launched elsewhere, by SQL or in another process; it is not asked for yet.

        Args:
            pid: with `cookie`, or a handle, which has both.
        """
        if isinstance(pid, tuple):
            handle = Handle(*pid)
        elif cookie is None:
            raise TypeError("a job is identified by pid and cookie, or by a handle")
        else:
            handle = Handle(pid, cookie)
        return AsyncJob(self, handle, row_factory or self._row_factory)

    async def jobs(self) -> list[JobInfo]:
        """Return the server's jobs that this role may see, of all sessions."""
        async with self._session() as connection:
            cursor = psycopg.AsyncCursor(connection, row_factory=class_row(JobInfo))
            await cursor.execute(self._statements.jobs)
            return await cursor.fetchall()

    async def stats(self) -> Stats:
        """Return the counters of the client's session."""
        async with self._session() as connection:
            cursor = psycopg.AsyncCursor(connection, row_factory=class_row(Stats))
            await cursor.execute(self._statements.stats)
            return cast(Stats, await cursor.fetchone())

    # ---- inside

    @property
    def _statements(self) -> Statements:
        assert self._found is not None, "inside of a session only"
        return self._found

    @asynccontextmanager
    async def _session(
        self, *, private: bool = False, job_continues: bool | None = True
    ) -> AsyncIterator[AsyncConnection]:
        """Borrow a connection that has the extension; tell when it broke, and whether the job goes on."""
        lending = self._source.private() if private else self._source.shared()
        async with lending as connection:
            try:
                if self._found is None:
                    self._found = await self._look(connection)
                yield connection
            except psycopg.OperationalError as error:
                if not connection.closed:
                    raise
                if error.sqlstate in _SERVER_STOPS:
                    job_continues = None
                said = "the job goes on in the server" if job_continues else "the job may have ended with it"
                raise ConnectionLost(f"{str(error).strip()}; {said}", job_continues=job_continues) from error

    async def _look(self, connection: AsyncConnection) -> Statements:
        async with psycopg.AsyncCursor(connection, row_factory=tuple_row) as cursor:
            await cursor.execute(LOOK, prepare=False)
            row = await cursor.fetchone()
        assert row is not None
        schema, server_pid = row
        if schema is None:
            raise psycopg.ProgrammingError(
                f'the database "{connection.info.dbname}" does not have the extension pg_background\n'
                "HINT:  Run CREATE EXTENSION pg_background there, or name a database that has it."
            )
        self._source.found(through_pooler=server_pid != connection.info.backend_pid)
        return Statements(schema)

    async def _launch(
        self,
        query: Query,
        params: Params | None,
        row_factory: AsyncRowFactory[Any] | None,
        **options: Unpack[LaunchOptions],
    ) -> AsyncJob[Any]:
        return await self._start(query, params, row_factory, **options)

    async def _start(
        self,
        query: Query,
        params: Params | None,
        row_factory: AsyncRowFactory[Any] | None,
        *,
        label: str | None = None,
        timeout: float | None = None,
        queue_size: int | None = None,
        database: str | None = None,
        on_full: OnFull = "error",
        wait_timeout: float | None = None,
        each_statement: bool = False,
        discard_result: bool = False,
    ) -> AsyncJob[Any]:
        limit = milliseconds(timeout)
        patience = milliseconds(wait_timeout)
        async with self._session(job_continues=None) as connection:
            text, values = bind(query, params, connection)
            async with psycopg.AsyncCursor(connection, row_factory=tuple_row) as cursor:
                arguments = (
                    *(text, values, label, queue_size or 0, patience),
                    *(database, each_statement, discard_result, on_full),
                )
                if limit:
                    await cursor.execute(self._statements.start_limited, (str(limit), *arguments))
                else:
                    await cursor.execute(self._statements.start, arguments)
                row = await cursor.fetchone()
        assert row is not None
        return AsyncJob(
            self,
            Handle(*row[:2]),
            row_factory or self._row_factory,
            label=label,
            query=text,
            has_rows=not discard_result,
        )

    async def _rows(self, statement: str, *parameters: Any) -> list[TupleRow]:
        """Ask what can be asked again, and do so once if the connection breaks and there is another."""
        try:
            return await self._rows_once(statement, *parameters)
        except ConnectionLost:
            if not self._source.reconnects:
                raise
        return await self._rows_once(statement, *parameters)

    async def _rows_once(self, statement: str, *parameters: Any) -> list[TupleRow]:
        async with (
            self._session() as connection,
            psycopg.AsyncCursor(connection, row_factory=tuple_row) as cursor,
        ):
            await cursor.execute(getattr(self._statements, statement), parameters)
            return await cursor.fetchall()

    async def _ask(self, handles: Sequence[Handle]) -> list[Outcome]:
        """Return those that are final or unknown."""
        rows = await self._rows("finished", *_columns(handles))
        return [Outcome(Handle(pid, cookie), *rest) for pid, cookie, *rest in rows]

    async def _outcome(self, handle: Handle) -> Outcome:
        ((pid, cookie, *rest),) = await self._rows("outcome", *handle)
        return Outcome(Handle(pid, cookie), *rest)

    async def _progress(self, handles: Sequence[Handle]) -> list[Progress]:
        return [Progress(*row) for row in await self._rows("progress", *_columns(handles))]

    async def _describe(self, handle: Handle) -> tuple[JobColumn, ...]:
        with reading.telling_unknown(handle):
            rows = await self._rows("describe", *handle)
        return reading.columns_of(rows)

    async def _control(self, action: str, handle: Handle, *arguments: Any) -> None:
        with reading.telling_unknown(handle):
            await self._rows_once(action, *handle, *arguments)


def _columns(handles: Sequence[Handle]) -> tuple[list[int], list[int]]:
    return [handle.pid for handle in handles], [handle.cookie for handle in handles]
