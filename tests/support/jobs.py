"""The functions of pg_background, called as a session calls them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from .waiting import wait_until, wait_until_sql

Connection = psycopg.Connection[tuple[Any, ...]]

#: A job that lasts until somebody ends it.
FOREVER = "SELECT pg_sleep(3600)"

#: States that a job ends in.
FINAL = frozenset({"stopped", "error", "canceled", "timed_out", "lost"})

_gates = count(1)


class Handle(NamedTuple):
    """What launch and submit return."""

    pid: int
    cookie: int


def launch(conn: Connection, job: str, *, queue_size: int = 0, label: str | None = None) -> Handle:
    """Start a job."""
    return _start(conn, "pg_background_launch", job, queue_size, label)


def submit(conn: Connection, job: str, *, queue_size: int = 0, label: str | None = None) -> Handle:
    """Start a job whose rows nobody wants."""
    return _start(conn, "pg_background_submit", job, queue_size, label)


def start(conn: Connection, job: str, **arguments: Any) -> Handle:
    """Start a job by pg_background_start, with its arguments by name."""
    query = sql.SQL("SELECT pid, cookie FROM pg_background_start(%s{})").format(
        sql.SQL("").join(sql.SQL(", {} => %s").format(sql.Identifier(name)) for name in arguments)
    )
    row = conn.execute(query, [job, *arguments.values()]).fetchone()
    assert row is not None
    return Handle(*row)


def launch_within(conn: Connection, job: str, **limits: str) -> Handle:
    """Launch a job that takes over limits of time, from which the launch itself is free.

    A session that has them may be too late for its own next statement when the machine is busy.
    """
    calls = " || ".join(["set_config(%s, %s, true)"] * len(limits))
    row = conn.execute(
        f"SELECT pid, cookie FROM pg_background_launch(CASE WHEN {calls} <> '' THEN %s END)".encode(),
        [*(word for limit in limits.items() for word in limit), job],
    ).fetchone()
    assert row is not None
    return Handle(*row)


def _start(conn: Connection, function: str, job: str, queue_size: int, label: str | None) -> Handle:
    arguments: list[str | int] = [job, queue_size]
    if label is not None:
        arguments.append(label)
    query = sql.SQL("SELECT pid, cookie FROM {}({})").format(
        sql.Identifier(function), sql.SQL(", ").join([sql.Placeholder()] * len(arguments))
    )
    row = conn.execute(query, arguments).fetchone()
    assert row is not None
    return Handle(*row)


def result(conn: Connection, handle: Handle, columns: str = "value text") -> list[tuple[Any, ...]]:
    """Read the rows of a job with this column definition list."""
    query = f"SELECT * FROM pg_background_result(%s, %s) AS ({columns})"
    return conn.execute(query.encode(), handle).fetchall()


def run(conn: Connection, job: str, columns: str = "value text") -> list[tuple[Any, ...]]:
    """Launch a job and read its rows."""
    return result(conn, launch(conn, job), columns)


def wait(conn: Connection, handle: Handle, timeout_ms: int = 0) -> bool:
    """Wait for a job's end, by default for ever; True when it has ended."""
    return _first(conn, "SELECT pg_background_wait(%s, %s, %s)", *handle, timeout_ms) is True


def has_ended(conn: Connection, handle: Handle) -> bool:
    """Look once."""
    return _first(conn, "SELECT pg_background_wait_v2_timeout(%s, %s, 0)", *handle) is True


def cancel(conn: Connection, handle: Handle, grace_ms: int = 0) -> None:
    """Cancel a job."""
    conn.execute("SELECT pg_background_cancel(%s, %s, %s)", (*handle, grace_ms))


def detach(conn: Connection, handle: Handle) -> None:
    """Stop tracking a job."""
    conn.execute("SELECT pg_background_detach(%s, %s)", handle)


def progress(conn: Connection, handle: Handle) -> tuple[int | None, str | None]:
    """Ask for a job's progress."""
    row = conn.execute("SELECT * FROM pg_background_get_progress(%s, %s)", handle).fetchone()
    assert row is not None
    return row[0], row[1]


def state(conn: Connection, handle: Handle) -> str | None:
    """Return the state of a job of this session, None if it is not tracked."""
    value = _first(conn, "SELECT state FROM pg_background_list WHERE (pid, cookie) = (%s, %s)", *handle)
    assert value is None or isinstance(value, str)
    return value


def wait_for_state(conn: Connection, handle: Handle, expected: str) -> None:
    """Wait until a job of this session is in a state."""
    wait_until(lambda: state(conn, handle) == expected, what=f"state {expected}")


def wait_until_asleep(conn: Connection, pid: int, event: str = "PgSleep") -> None:
    """Wait until a process waits for something, by default in pg_sleep."""
    wait_until_sql(conn, "SELECT wait_event FROM pg_stat_activity WHERE pid = %s", [pid], expected=event)


def wait_until_gone(conn: Connection, pid: int) -> None:
    """Wait until a process has left the server."""
    wait_until_sql(conn, "SELECT count(*) FROM pg_stat_activity WHERE pid = %s", [pid], expected=0)


class Gate:
    """Jobs that run its SQL stop there until it opens."""

    def __init__(self, conn: Connection) -> None:
        """
        Args:
            conn: holds the gate; not a session that waits for the jobs.
        """
        self.sql = f"SELECT pg_advisory_xact_lock_shared(7000, {next(_gates)})"
        self._key = self.sql.partition("(")[2].rstrip(")")
        self._conn = conn

    def close(self) -> None:
        """Let nobody through any more."""
        self._conn.execute(f"SELECT pg_advisory_lock({self._key})".encode())

    def open(self) -> None:
        """Let everybody through."""
        self._conn.execute(f"SELECT pg_advisory_unlock({self._key})".encode())


@contextmanager
def closed_gate(conn: Connection) -> Iterator[Gate]:
    """A gate that is closed in the block and opened at its end."""
    gate = Gate(conn)
    gate.close()
    try:
        yield gate
    finally:
        gate.open()


def _first(conn: Connection, query: str, *arguments: object) -> object:
    row = conn.execute(query.encode(), arguments).fetchone()
    return row[0] if row else None
