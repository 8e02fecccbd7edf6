# Made from client_async.py by tools/async_to_sync.py: edit that one.
"""A client: launches jobs over a connection, and waits for any number of them without taking it up."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, cast, overload

from psycopg.rows import RowFactory, TupleRow, class_row, tuple_row

from ._acompat import Interrupted, shielded
from ._asking import asking
from ._many import ManyJobs
from ._source import Origin, source_of
from .bars import ProgressDisplay
from .job import Job
from .listed import ListedJob
from .model import Handle, JobInfo, OnFull, Stats
from .options import milliseconds
from .query import Params, Query, bind
from .result import Result
from .variables import Other, Row

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from .options import LaunchOptions


class Client(ManyJobs[Row]):
    """Launches jobs, and finds those of others.

    Made from a DSN it has a connection of its own, which it opens anew when it broke. Made from a psycopg
    connection, a psycopg_pool pool or an SQLAlchemy engine it uses, and never closes, what it was given, and
    leaves open transactions as they are. Any number of tasks may share one.
    """

    @overload
    def __init__(self, origin: Origin, *, row_factory: RowFactory[Row], **parameters: Any) -> None: ...
    @overload
    def __init__(
        self: Client[TupleRow], origin: Origin, *, row_factory: None = None, **parameters: Any
    ) -> None: ...
    def __init__(
        self, origin: Origin, *, row_factory: RowFactory[Any] | None = None, **parameters: Any
    ) -> None:
        """
        Args:
            origin: a DSN, a psycopg connection or pool, or an SQLAlchemy engine, all of them synchronous.
            row_factory: of psycopg; makes the rows of jobs that have no other.
            parameters: for a DSN, more of libpq's and of psycopg's connect().
        """
        super().__init__(source_of(origin, **parameters))
        factory: RowFactory[Any] = tuple_row if row_factory is None else row_factory
        self._row_factory: RowFactory[Row] = factory

    @overload
    @classmethod
    def connect(
        cls, origin: Origin = "", *, row_factory: RowFactory[Other], **parameters: Any
    ) -> Client[Other]: ...
    @overload
    @classmethod
    def connect(
        cls, origin: Origin = "", *, row_factory: None = None, **parameters: Any
    ) -> Client[TupleRow]: ...
    @classmethod
    def connect(
        cls,
        origin: Origin = "",
        *,
        row_factory: RowFactory[Any] | None = None,
        **parameters: Any,
    ) -> Client[Any]:
        """Make a client, and see that it works.

        Args:
            origin: a DSN, a psycopg connection or pool, or an SQLAlchemy engine; by default what libpq finds.
            row_factory: and `parameters`, as for the class.

        Raises:
            psycopg.OperationalError: there is no connection.
            psycopg.ProgrammingError: the database does not have the extension.
        """
        client: Client[Any] = Client(origin, row_factory=row_factory or tuple_row, **parameters)
        try:
            with client._session():
                pass
        except BaseException:
            client.close()
            raise
        return client

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # ---- jobs

    @overload
    def launch(
        self, query: Query, params: Params | None = None, **options: Unpack[LaunchOptions]
    ) -> Job[Row]: ...
    @overload
    def launch(
        self,
        query: Query,
        params: Params | None = None,
        *,
        row_factory: RowFactory[Other],
        **options: Unpack[LaunchOptions],
    ) -> Job[Other]: ...
    def launch(
        self,
        query: Query,
        params: Params | None = None,
        *,
        row_factory: RowFactory[Any] | None = None,
        **options: Unpack[LaunchOptions],
    ) -> Job[Any]:
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
        return self._launch(query, params, row_factory, **options)

    def submit(
        self, query: Query, params: Params | None = None, **options: Unpack[LaunchOptions]
    ) -> Job[Any]:
        """Start a job whose rows nobody wants: they are dropped at their source. Otherwise as `launch`."""
        return self._start(query, params, None, discard_result=True, **options)

    @overload
    def run(
        self,
        query: Query,
        params: Params | None = None,
        *,
        progress: ProgressDisplay = None,
        **options: Unpack[LaunchOptions],
    ) -> Result[Row]: ...
    @overload
    def run(
        self,
        query: Query,
        params: Params | None = None,
        *,
        row_factory: RowFactory[Other],
        progress: ProgressDisplay = None,
        **options: Unpack[LaunchOptions],
    ) -> Result[Other]: ...
    def run(
        self,
        query: Query,
        params: Params | None = None,
        *,
        row_factory: RowFactory[Any] | None = None,
        progress: ProgressDisplay = None,
        **options: Unpack[LaunchOptions],
    ) -> Result[Any]:
        """Launch a job and return its rows; an interruption cancels it.

        Raises:
            psycopg.Error: as `launch` and `Job.result`.
        """
        with self._launch(query, params, row_factory, **options) as job:
            return job.result(progress=progress)

    def run_script(
        self, script: Query, *, progress: ProgressDisplay = None, **options: Unpack[LaunchOptions]
    ) -> Result[Row]:
        """Run statements one after the other, each in a transaction of its own, up to the first that fails.

        VACUUM and CREATE INDEX CONCURRENTLY may stand beside others. The rows are the last statement's.

        Raises:
            psycopg.Error: as `launch` and `Job.result`.
        """
        with self._start(script, None, None, each_statement=True, **options) as job:
            return job.result(progress=progress)

    @overload
    def attach(self, pid: int | Handle, cookie: int | None = None) -> Job[Row]: ...
    @overload
    def attach(
        self, pid: int | Handle, cookie: int | None = None, *, row_factory: RowFactory[Other]
    ) -> Job[Other]: ...
    def attach(
        self,
        pid: int | Handle,
        cookie: int | None = None,
        *,
        row_factory: RowFactory[Any] | None = None,
    ) -> Job[Any]:
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
        return Job(self, handle, row_factory or self._row_factory)

    def jobs(self) -> list[ListedJob]:
        """Return the server's jobs that this role may see, of all sessions."""
        with self._session() as connection:
            cursor = asking(connection, class_row(JobInfo))
            cursor.execute(self._statements.jobs)
            return [ListedJob.of(self, info) for info in cursor.fetchall()]

    def stats(self) -> Stats:
        """Return the counters of the client's session."""
        with self._session() as connection:
            cursor = asking(connection, class_row(Stats))
            cursor.execute(self._statements.stats)
            return cast(Stats, cursor.fetchone())

    def _launch(
        self,
        query: Query,
        params: Params | None,
        row_factory: RowFactory[Any] | None,
        **options: Unpack[LaunchOptions],
    ) -> Job[Any]:
        return self._start(query, params, row_factory, **options)

    def _start(
        self,
        query: Query,
        params: Params | None,
        row_factory: RowFactory[Any] | None,
        *,
        label: str | None = None,
        timeout: float | None = None,
        queue_size: int | None = None,
        database: str | None = None,
        on_full: OnFull = "error",
        wait_timeout: float | None = None,
        each_statement: bool = False,
        discard_result: bool = False,
    ) -> Job[Any]:
        limit = milliseconds(timeout)
        patience = milliseconds(wait_timeout)
        job: Job[Any] | None = None
        try:
            with self._session(job_continues=None) as connection:
                text, values = bind(query, params, connection)
                with asking(connection) as cursor:
                    arguments = (
                        *(text, values, label, queue_size or 0, patience),
                        *(database, each_statement, discard_result, on_full),
                    )
                    try:
                        if limit:
                            cursor.execute(self._statements.start_limited, (str(limit), *arguments))
                        else:
                            cursor.execute(self._statements.start, arguments)
                    finally:
                        # Interrupted, psycopg still awaits the end of the statement: there may be a job.
                        if cursor.pgresult is not None and (row := cursor.fetchone()) is not None:
                            job = Job(
                                self,
                                Handle(*row[:2]),
                                row_factory or self._row_factory,
                                label=label,
                                query=text,
                                has_rows=not discard_result,
                                is_notified=database is None,
                            )
        except Interrupted:
            # Nobody gets its handle.
            if job is not None:
                shielded(job.discard)
            raise
        assert job is not None
        return job
