"""A client: launches jobs over a connection, and waits for any number of them without taking it up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, overload

from psycopg.rows import AsyncRowFactory, TupleRow, tuple_row

from ._connections_async import NoticeHandler
from ._session_async import AsyncSession
from ._source_async import AsyncOrigin, source_of
from .acompat import AYields
from .bars import ProgressDisplay
from .choosing_async import AsyncEachProgress, AsyncStandbyChoice
from .job_async import AsyncJob
from .launching_async import start
from .listed_async import AsyncListedJob
from .many_async import CONCURRENCY, AnyJob, as_they_end, first_of, have_ended, results_in_order
from .model import Handle, Stats
from .query import Params, Query
from .result import Result
from .standbys import Standbys, of_primary
from .variables import Other, Row

if TYPE_CHECKING:
    from typing import Self, Unpack

    from ..backfill.backfill_async import AsyncBackfill, BackfillStatement
    from .options import LaunchOptions


class AsyncClient(Generic[Row]):
    """Launches jobs, and finds those of others.

    Made from a DSN it has a connection of its own, which it opens anew when it broke. Made from a psycopg
    connection, a psycopg_pool pool or an SQLAlchemy engine it uses, and never closes, what it was given, and
    leaves open transactions as they are. Any number of tasks may share one.

    Attributes:
        session: how its SQL gets to the server; for what is built on clients, such as the command line.
    """

    @overload
    def __init__(
        self,
        origin: AsyncOrigin,
        *,
        row_factory: AsyncRowFactory[Row],
        standbys: Standbys | None = None,
        **parameters: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: AsyncClient[TupleRow],
        origin: AsyncOrigin,
        *,
        row_factory: None = None,
        standbys: Standbys | None = None,
        **parameters: Any,
    ) -> None: ...
    def __init__(
        self,
        origin: AsyncOrigin,
        *,
        row_factory: AsyncRowFactory[Any] | None = None,
        standbys: Standbys | None = None,
        **parameters: Any,
    ) -> None:
        """
        Args:
            origin: a DSN, a psycopg connection or pool, or an SQLAlchemy engine, all of them asynchronous.
            row_factory: of psycopg; makes the rows of jobs that have no other.
            standbys: for a DSN with several hosts: jobs with `read_only=True` run on one that is a standby.
            parameters: for a DSN, more of libpq's and of psycopg's connect().
        """
        self._standbys: AsyncStandbyChoice | None = None
        if standbys is not None:
            if not isinstance(origin, str):
                raise TypeError("standbys can be given only beside a DSN")
            self._standbys = AsyncStandbyChoice(origin, standbys, **parameters)
            parameters = of_primary(origin, parameters)
        self.session = AsyncSession(source_of(origin, **parameters))
        factory: AsyncRowFactory[Any] = tuple_row if row_factory is None else row_factory
        self._row_factory: AsyncRowFactory[Row] = factory

    @overload
    @classmethod
    async def connect(
        cls, origin: AsyncOrigin = "", *, row_factory: AsyncRowFactory[Other], **parameters: Any
    ) -> AsyncClient[Other]: ...
    @overload
    @classmethod
    async def connect(
        cls, origin: AsyncOrigin = "", *, row_factory: None = None, **parameters: Any
    ) -> AsyncClient[TupleRow]: ...
    @classmethod
    async def connect(
        cls,
        origin: AsyncOrigin = "",
        *,
        row_factory: AsyncRowFactory[Any] | None = None,
        **parameters: Any,
    ) -> AsyncClient[Any]:
        """Make a client, and see that it works.

        Args:
            origin: a DSN, a psycopg connection or pool, or an SQLAlchemy engine; by default what libpq finds.
            row_factory: and `parameters`, among them `standbys`, as for the class.

        Raises:
            psycopg.OperationalError: there is no connection.
            psycopg.ProgrammingError: the database does not have the extension.
        """
        client: AsyncClient[Any] = AsyncClient(origin, row_factory=row_factory or tuple_row, **parameters)
        try:
            async with client.session.connection():
                pass
        except BaseException:
            await client.close()
            raise
        return client

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End all waits, and the connection if it is the client's own; jobs go on."""
        if self._standbys is not None:
            await self._standbys.close()
        await self.session.close()

    def add_notice_handler(self, callback: NoticeHandler) -> None:
        """Call it with each notice that comes while a call of this client is served, such as a job's.

        A job's notices come when its result is read. The callback must not use the client.
        """
        self.session.add_notice_handler(callback)
        if self._standbys is not None:
            self._standbys.add_notice_handler(callback)

    def remove_notice_handler(self, callback: NoticeHandler) -> None:
        """Call it no more.

        Raises:
            ValueError: it was not added.
        """
        self.session.remove_notice_handler(callback)
        if self._standbys is not None:
            self._standbys.remove_notice_handler(callback)

    # ---- one job

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
        return await self._start(query, params, row_factory or self._row_factory, **options)

    async def submit(
        self, query: Query, params: Params | None = None, **options: Unpack[LaunchOptions]
    ) -> AsyncJob[Any]:
        """Start a job whose rows nobody wants: they are dropped at their source. Otherwise as `launch`."""
        return await self._start(query, params, self._row_factory, discard_result=True, **options)

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
        factory = row_factory or self._row_factory
        async with await self._start(query, params, factory, **options) as job:
            return await job.result(progress=progress)

    async def run_script(
        self, script: Query, *, progress: ProgressDisplay = None, **options: Unpack[LaunchOptions]
    ) -> Result[Row]:
        """Run statements one after the other, each in a transaction of its own, up to the first that fails.

        VACUUM and CREATE INDEX CONCURRENTLY may stand beside others. The rows are the last statement's.

        Raises:
            psycopg.Error: as `launch` and `AsyncJob.result`.
        """
        job = await self._start(script, None, self._row_factory, each_statement=True, **options)
        async with job:
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
        return AsyncJob(self.session, handle, row_factory or self._row_factory)

    async def jobs(self) -> list[AsyncListedJob]:
        """Return the server's jobs that this role may see, of all sessions."""
        return [AsyncListedJob.of(info, self.attach) for info in await self.session.jobs()]

    async def stats(self) -> Stats:
        """Return the counters of the client's session."""
        return await self.session.stats()

    def backfill(
        self,
        statement: BackfillStatement | None = None,
        table: str | None = None,
        *,
        name: str | None = None,
        key: Sequence[str] | str | None = None,
        schema: str | None = None,
        **options: Any,
    ) -> AsyncBackfill:
        """Return a backfill: a statement over a big table, in small jobs that commit by themselves.

        Nothing is sent yet: see its `plan`, `run`, `resume`, `stop` and `report`.

        Args:
            statement: with `{range}` where the condition for the rows of a job goes, or `{range:t}` if the
                names of columns need the table's alias. None for one that was begun: its name is enough.
            table: whose rows are meant, as SQL writes its name.
            name: by which it is found again; by default that of the table.
            key: the column, or columns, that ranges go by; by default the primary key, or else one that is
                unique. `"ctid"` where there is none.
            schema: where its state is kept; by default where this role has state already, or else that of
                the table.
            options: see `BackfillOptions`: `batch_size`, `target_seconds`, `jobs`, `max_rows_per_second`,
                `max_lag`, `max_active`, `lock_timeout`, `retries`, `on_error`.

        Raises:
            BackfillError: an option has no such value.
        """
        from ..backfill.backfill_async import AsyncBackfill

        return AsyncBackfill(self, statement, table, name=name, key=key, schema=schema, **options)

    # ---- many jobs

    @overload
    def map(
        self,
        query: Query,
        params: Iterable[Any],
        *,
        concurrency: int = CONCURRENCY,
        **options: Unpack[LaunchOptions],
    ) -> AYields[Result[Row]]: ...
    @overload
    def map(
        self,
        query: Query,
        params: Iterable[Any],
        *,
        concurrency: int = CONCURRENCY,
        row_factory: AsyncRowFactory[Other],
        **options: Unpack[LaunchOptions],
    ) -> AYields[Result[Other]]: ...
    def map(
        self,
        query: Query,
        params: Iterable[Any],
        *,
        concurrency: int = CONCURRENCY,
        row_factory: AsyncRowFactory[Any] | None = None,
        **options: Unpack[LaunchOptions],
    ) -> AYields[Result[Any]]:
        """Run a query once for each params, several at a time; yield the results in the order of the params.

        The first error is raised in its turn; it, and leaving the iteration, cancels those that still run.

        Args:
            params: of each job, as for `launch`; what is neither a sequence nor a mapping, or is a string,
                is the value of its only placeholder. Taken one by one, as there is room.
            concurrency: how many jobs run at once, at most; fewer while the server has no free worker.
            row_factory: as for `launch`.
            options: as for `launch`, but a job for which the server has no worker is queued there.

        Raises:
            ValueError: concurrency is not positive.
            psycopg.Error: as `launch` and `AsyncJob.result`.
        """
        if concurrency < 1:
            raise ValueError("concurrency must be at least 1")
        factory = row_factory or self._row_factory
        options.setdefault("on_full", "queue")
        return results_in_order(
            lambda values: self._start(query, values, factory, **options), params, concurrency
        )

    def as_completed(self, jobs: Iterable[AnyJob], timeout: float | None = None) -> AYields[AnyJob]:
        """Yield jobs as they end, in whatever way.

        Args:
            timeout: for all of them, in seconds.

        Raises:
            TimeoutError: some have not ended in time; they go on.
        """
        return as_they_end(jobs, timeout)

    async def wait_any(self, jobs: Iterable[AnyJob], timeout: float | None = None) -> AnyJob | None:
        """Wait until one of the jobs has ended, and return it; None if none has in `timeout` seconds.

        Raises:
            ValueError: there are no jobs.
        """
        return await first_of(jobs, timeout)

    async def wait_all(
        self,
        jobs: Iterable[AsyncJob[Any]],
        timeout: float | None = None,
        *,
        progress: ProgressDisplay = None,
    ) -> bool:
        """Wait until all of the jobs have ended, and tell whether they have.

        Args:
            timeout: for all of them, in seconds; None waits for ever.
            progress: a bar for each job, see `AsyncJob.wait`.
        """
        awaited = list(jobs)
        session = self.session if self._standbys is None else AsyncEachProgress(awaited)
        return await have_ended(session, awaited, timeout, progress)

    # ---- inside

    async def _start(
        self, query: Query, params: Params | None, factory: AsyncRowFactory[Any], **options: Any
    ) -> AsyncJob[Any]:
        """Start a job on the server that it is for."""
        if self._standbys is None or not options.get("read_only"):
            return await start(self.session, query, params, factory, **options)
        return await self._standbys.start(self.session, query, params, factory, **options)
