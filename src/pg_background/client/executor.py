"""A concurrent.futures.Executor whose workers are those of the server."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Iterable, Iterator
from contextvars import copy_context
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, cast, overload

from psycopg.rows import RowFactory, TupleRow, tuple_row

from ._home import Home
from ._source import Origin
from .client import Client
from .job import Job
from .query import Params, Query, check, params_of
from .result import Result
from .variables import Row

if TYPE_CHECKING:
    from typing import Unpack

    from .options import LaunchOptions


class JobFuture(concurrent.futures.Future[Result[Row]], Generic[Row]):
    """The future of a job; unlike others it can be cancelled while it runs, which cancels the job.

    Attributes:
        job: None until it was launched.
    """

    def __init__(self) -> None:
        super().__init__()
        self.job: Job[Row] | None = None
        self._mutex = threading.Lock()

    def cancel(self) -> bool:
        """Cancel the job; False if it has ended. It is over when the server has stopped it."""
        # Not under the mutex: it calls what was added by add_done_callback().
        cancelled = super().cancel()
        with self._mutex:
            job = self.job
        if cancelled and job is not None:
            job.cancel_quietly()
        return cancelled

    def running(self) -> bool:
        """Tell whether the job was launched and has not ended."""
        return self.job is not None and not self.done()

    def begin(self, job: Job[Row]) -> None:
        """Say that it was launched, for the executor; a cancel that came before is for the job too."""
        with self._mutex:
            self.job = job
            cancelled = self.cancelled()
        if cancelled:
            job.cancel_quietly()

    def end(self, result: Result[Row] | None, error: BaseException | None) -> None:
        """Say how it ended, for the executor; that is no news if it was cancelled."""
        if not self.set_running_or_notify_cancel():
            return
        if error is not None:
            self.set_exception(error)
        else:
            self.set_result(cast("Result[Row]", result))


class Executor(concurrent.futures.Executor, Generic[Row]):
    """Runs queries as jobs, so many at once; `concurrent.futures.wait` and `as_completed` take its futures.

    At the end of its `with` block it waits for all; an exception in the block cancels them.
    """

    @overload
    def __init__(
        self,
        origin: Origin = "",
        max_workers: int = 8,
        *,
        row_factory: RowFactory[Row],
        **parameters: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: Executor[TupleRow],
        origin: Origin = "",
        max_workers: int = 8,
        *,
        row_factory: None = None,
        **parameters: Any,
    ) -> None: ...
    def __init__(
        self,
        origin: Origin = "",
        max_workers: int = 8,
        *,
        row_factory: RowFactory[Any] | None = None,
        **parameters: Any,
    ) -> None:
        """
        Args:
            origin: as for `Client`.
            max_workers: jobs at once; the others wait here.
            row_factory: of psycopg; makes the rows.
            parameters: as for `Client`.

        Raises:
            ValueError: max_workers is not positive.
            psycopg.Error: there is no connection, or no extension.
        """
        self._home = Home()
        self._threads = concurrent.futures.ThreadPoolExecutor(max_workers, "pg_background executor")
        factory: RowFactory[Any] = tuple_row if row_factory is None else row_factory
        self._client: Client[Row] = self._connect(origin, row_factory=factory, **parameters)
        self._unfinished: set[JobFuture[Row]] = set()
        self._mutex = threading.Lock()
        self._shut = False

    @staticmethod
    def _connect(origin: Any, **parameters: Any) -> Any:
        """Return what launches the jobs."""
        return Client.connect(origin, **parameters)

    def submit(  # type: ignore[override]
        self, query: Query, params: Params | None = None, /, **options: Unpack[LaunchOptions]
    ) -> JobFuture[Row]:
        """Run a query when there is room, and return the future of its rows.

        Args:
            query: and `params`, as for `Client.launch`.
            options: likewise, but a job for which the server has no worker is queued there.

        Raises:
            TypeError: the query is none, such as a function: jobs run SQL.
            RuntimeError: it was shut down, or this process is a forked child of the one that made it.
        """
        if callable(query):
            raise TypeError(f"the server runs SQL, not Python: {query!r} is no query")
        check(query, params)
        if self._home.is_left:
            raise RuntimeError(
                "the executor belongs to the process that this one was forked from: make a new one here"
            )
        future: JobFuture[Row] = JobFuture()
        with self._mutex:
            # As where it is called: what follows jobs finds there what the launch belongs to.
            work = partial(self._work, future, query, params, {"on_full": "queue", **options})
            self._threads.submit(copy_context().run, work)
            self._unfinished.add(future)
        return future

    def map(  # type: ignore[override]
        self, query: Query, /, *params: Iterable[Any], timeout: float | None = None, chunksize: int = 1
    ) -> Iterator[Result[Row]]:
        """Run a query once for each params, and return the results in that order.

        All params are taken at once: `Client.map` takes them as there is room.

        Args:
            params: of each job, as for `Client.map`; or several iterables, one for each placeholder.
            timeout: in seconds; until all results are there.
            chunksize: for compatibility; it changes nothing.
        """
        each = map(params_of, *params) if len(params) == 1 else zip(*params, strict=False)
        return super().map(cast(Any, query), each, timeout=timeout)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more queries.

        Args:
            wait: until all that was submitted is done.
            cancel_futures: those that are not launched yet.
        """
        with self._mutex:
            self._shut = True
            waiting = [future for future in self._unfinished if future.job is None]
        if cancel_futures:
            for future in waiting:
                future.cancel()
        self._threads.shutdown(wait=wait)
        self._close_if_done()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            with self._mutex:
                unfinished = list(self._unfinished)
            for future in unfinished:
                future.cancel()
        self.shutdown()

    def _work(
        self, future: JobFuture[Row], query: Query, params: Params | None, options: LaunchOptions
    ) -> None:
        result: Result[Row] | None = None
        error: BaseException | None = None
        try:
            if not future.cancelled():
                job = self._client.launch(query, params, **options)
                future.begin(job)
                result = job.result()
        except BaseException as failure:
            error = failure
        with self._mutex:
            self._unfinished.discard(future)
        future.end(result, error)
        self._close_if_done()

    def _close_if_done(self) -> None:
        with self._mutex:
            done = self._shut and not self._unfinished
        if done:
            self._client.close()
