"""What the extension tells of one job, as rows with names."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from .jobs import Connection, Handle


class Outcome(NamedTuple):
    """The row of pg_background_outcome()."""

    pid: int
    cookie: int
    state: str | None
    consumed: bool | None
    completed: bool | None
    has_error: bool | None
    row_count: int | None
    command_tag: str | None
    sqlstate: str | None
    error_message: str | None
    label: str | None
    launched_at: datetime | None


class ResultInfo(NamedTuple):
    """The row of pg_background_result_info()."""

    row_count: int | None
    command_tag: str | None
    completed: bool
    has_error: bool
    started_at: datetime | None
    finished_at: datetime | None


class ErrorInfo(NamedTuple):
    """The row of pg_background_error_info()."""

    sqlstate: str | None = None
    message: str | None = None
    detail: str | None = None
    hint: str | None = None
    context: str | None = None
    schema_name: str | None = None
    table_name: str | None = None
    column_name: str | None = None
    constraint_name: str | None = None


def outcome(conn: Connection, handle: Handle) -> Outcome:
    """Ask how a job stands."""
    return Outcome(*_row(conn, "pg_background_outcome", handle))


def result_info(conn: Connection, handle: Handle) -> ResultInfo:
    """Ask about a job's result."""
    return ResultInfo(*_row(conn, "pg_background_result_info", handle))


def error_info(conn: Connection, handle: Handle) -> ErrorInfo:
    """Ask for a job's error."""
    return ErrorInfo(*_row(conn, "pg_background_error_info", handle))


def full_sql(conn: Connection, handle: Handle) -> str | None:
    """Ask for a job's SQL."""
    (text,) = _row(conn, "pg_background_full_sql", handle)
    assert text is None or isinstance(text, str)
    return text


def unknown(handle: Handle) -> Outcome:
    """Return what is told of a handle of which nothing is known."""
    return Outcome(*handle, None, None, None, None, None, None, None, None, None, None)


def _row(conn: Connection, function: str, handle: Handle) -> tuple[Any, ...]:
    row = conn.execute(f"SELECT * FROM {function}(%s, %s)".encode(), handle).fetchone()
    assert row is not None
    return row


HANDLES = "%s::pg_background_handle[]"


def handles(*some: Handle) -> str:
    """Return the literal of an array of handles."""
    return "{" + ",".join(f'"({pid},{cookie})"' for pid, cookie in some) + "}"


def wait_any(conn: Connection, some: str, timeout_ms: int = 0) -> Handle | None:
    """Wait for one of several jobs; `some` is of `handles`."""
    row = conn.execute(
        f"SELECT (h).pid, (h).cookie FROM pg_background_wait_any({HANDLES}, %s) AS h".encode(),
        [some, timeout_ms],
    ).fetchone()
    assert row is not None
    return None if row[0] is None else Handle(*row)


def drain(conn: Connection, some: str, timeout_ms: int = 0) -> list[Outcome]:
    """Wait for all of several jobs, and detach those that have ended."""
    query = f"SELECT * FROM pg_background_drain({HANDLES}, %s)"
    return [Outcome(*row) for row in conn.execute(query.encode(), [some, timeout_ms])]


class RunResult(NamedTuple):
    """The row of pg_background_run()."""

    outcome: Outcome
    timed_out: bool
    elapsed_ms: int


def call_run(
    conn: Connection, job: str, *, queue_size: int = 0, timeout_ms: int = 0, label: str | None = None
) -> RunResult:
    """Run a job to its end by pg_background_run()."""
    query = "SELECT * FROM pg_background_run(%s, %s, %s, %s)"
    row = conn.execute(query, (job, queue_size, timeout_ms, label)).fetchone()
    assert row is not None
    return RunResult(Outcome(*row[:-2]), *row[-2:])
