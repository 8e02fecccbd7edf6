"""What tests of calls and their errors need beside `jobs`: queries, failures, and calls at the same time."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple

import psycopg
import pytest

from .jobs import Connection, Handle, launch, result, run
from .registry import registry
from .waiting import DEADLINE, wait_until, wait_until_sql

Rows = list[tuple[Any, ...]]


class Failure(NamedTuple):
    """What the server said about an error."""

    sqlstate: str | None
    message: str | None
    detail: str | None = None
    hint: str | None = None


def query(conn: Connection, sql: str, *parameters: object) -> Rows:
    """Run a query and return all its rows; without parameters a % is a %."""
    cursor = conn.execute(sql.encode(), parameters or None)
    return cursor.fetchall() if cursor.description else []


def value(conn: Connection, sql: str, *parameters: object) -> Any:
    """Run a query that has one row of one column, and return that."""
    ((found,),) = query(conn, sql, *parameters)
    return found


def tags(conn: Connection, job: str) -> list[str]:
    """Launch a job that has no rows, and return its command tags."""
    return [tag for (tag,) in run(conn, job, "tag text")]


def read(conn: Connection, job: str, columns: str, select: str = "*") -> Rows:
    """Launch a job and read an expression over its rows, which are called r."""
    return read_result(conn, launch(conn, job), columns, select)


def read_result(conn: Connection, handle: Handle, columns: str, select: str) -> Rows:
    """Read an expression over a job's rows, which are called r."""
    sql = f"SELECT {select} FROM pg_background_result({handle.pid}, {handle.cookie}) AS r ({columns})"
    return query(conn, sql)


def stats(conn: Connection) -> dict[str, Any]:
    """Return this session's counters by name, without the prefix."""
    cursor = conn.execute("SELECT * FROM pg_background_stats()")
    (row,) = cursor.fetchall()
    assert cursor.description is not None
    return {
        column.name.removeprefix("workers_"): found
        for column, found in zip(cursor.description, row, strict=True)
    }


def failure_of(error: psycopg.Error) -> Failure:
    """Return what the server said."""
    diag = error.diag
    return Failure(diag.sqlstate, diag.message_primary, diag.message_detail, diag.message_hint)


def error_of(conn: Connection, sql: str, *parameters: object) -> psycopg.Error:
    """Run what must fail, and return the error."""
    with pytest.raises(psycopg.Error) as caught:
        query(conn, sql, *parameters)
    return caught.value


def failure(conn: Connection, sql: str, *parameters: object) -> Failure:
    """Run what must fail, and return what the server said."""
    return failure_of(error_of(conn, sql, *parameters))


def sqlstate(conn: Connection, sql: str, *parameters: object) -> str | None:
    """Run what must fail, and return the error's code."""
    return failure(conn, sql, *parameters).sqlstate


def result_error(conn: Connection, handle: Handle, columns: str = "value text") -> psycopg.Error:
    """Read a result that must fail, and return the error."""
    with pytest.raises(psycopg.Error) as caught:
        result(conn, handle, columns)
    return caught.value


def result_failure(conn: Connection, handle: Handle, columns: str = "value text") -> Failure:
    """Read a result that must fail, and return what the server said."""
    return failure_of(result_error(conn, handle, columns))


class Call:
    """A call under way."""

    def __init__(self, future: Future[Any]) -> None:
        self._future = future

    def result(self) -> Any:
        """Wait for what it returns."""
        return self._future.result(DEADLINE)

    def is_done(self) -> bool:
        """Tell whether it has ended, however."""
        return self._future.done()

    def failure(self) -> Failure:
        """Wait for the error that it must end with."""
        with pytest.raises(psycopg.Error) as caught:
            self.result()
        return failure_of(caught.value)


class Caller:
    """Runs calls in threads; each needs a session of its own."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool

    def __call__(self, function: Any, *arguments: Any) -> Call:
        """Start a call."""
        return Call(self._pool.submit(function, *arguments))


@contextmanager
def at_the_same_time(*sessions: Connection) -> Iterator[Caller]:
    """Run calls beside the test.

    Args:
        sessions: those that the calls use. What they still do when the block fails is canceled, so that a
            failing test ends.
    """
    with ThreadPoolExecutor(max_workers=8) as pool:
        try:
            yield Caller(pool)
        except BaseException:
            for session in sessions:
                session.cancel()
            raise


def wait_until_in_extension(conn: Connection, session: Connection) -> None:
    """Wait until another session sleeps in the extension, as one does that reads or waits."""
    wait_until_sql(
        conn,
        "SELECT wait_event_type FROM pg_stat_activity WHERE pid = %s AND state = 'active'",
        [session.info.backend_pid],
        expected="Extension",
    )


def wait_until_blocked(conn: Connection, pid: int) -> None:
    """Wait until a process waits for a lock, as a job does at a closed gate."""
    wait_until_sql(conn, "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND pid = %s", [pid])


@contextmanager
def nothing_is_left(conn: Connection, *, deadline: float = DEADLINE) -> Iterator[None]:
    """Wait, at the end of the block, until the registry holds no more than before it.

    Less is fine: what others left there may go meanwhile.
    """

    def held() -> tuple[int, ...]:
        now = registry(conn)
        return now.live, now.unread, now.busy_workers, now.area_bytes, now.spill_bytes

    before = held()
    yield
    wait_until(
        lambda: all(now <= then for now, then in zip(held(), before, strict=True)),
        deadline=deadline,
        what=f"at most {before} of {registry(conn)}",
    )
