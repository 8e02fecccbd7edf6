"""Wait: for ever, for a time, by polling, and from as many sessions as want to."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from psycopg import errors as e

from ..support.fix_db import Connect, Connection
from ..support.jobs import (
    FOREVER,
    Handle,
    cancel,
    closed_gate,
    detach,
    has_ended,
    launch,
    result,
    state,
    submit,
    wait,
    wait_until_asleep,
)
from ..support.waiting import assert_takes

#: What pg_stat_activity shows of a session that waits for a job.
WAITING = "Extension"


def ask(conn: Connection, call: str, handle: Handle) -> object:
    """Call a function with a handle and more arguments."""
    row = conn.execute(f"SELECT {call}".encode(), handle).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize("timeout", [0, -1, -2147483648])
def test_for_ever(conn: Connection, timeout: int) -> None:
    """As long as the job takes, and no longer."""

    def launch_and_wait() -> None:
        handle = launch(conn, "SELECT pg_sleep(0.1)")
        assert wait(conn, handle, timeout)
        assert state(conn, handle) == "stopped"
        detach(conn, handle)

    assert_takes(launch_and_wait, 100)


@pytest.mark.parametrize(
    "call",
    ["pg_background_wait(%s, %s, 100)", "pg_background_wait_v2_timeout(%s, %s, 100)"],
    ids=["wait", "wait_v2_timeout"],
)
def test_as_long_as_is_said(conn: Connection, call: str) -> None:
    handle = launch(conn, FOREVER)

    def wait_in_vain() -> None:
        assert ask(conn, call, handle) is False

    assert_takes(wait_in_vain, 100)
    cancel(conn, handle)


def test_for_a_time(conn: Connection) -> None:
    handle = launch(conn, FOREVER)
    assert not wait(conn, handle, 1)
    assert not wait(conn, handle, 50)
    assert state(conn, handle) == "running"
    cancel(conn, handle)
    assert wait(conn, handle, 60000)
    assert wait(conn, handle, 1)


def test_v2_timeout_polls(conn: Connection) -> None:
    handle = launch(conn, FOREVER)
    for timeout in (0, -1, -2147483648, 1):
        assert ask(conn, f"pg_background_wait_v2_timeout(%s, %s, {timeout})", handle) is False
    cancel(conn, handle)
    assert wait(conn, handle)
    for timeout in (0, -1, 1, 2147483647):
        assert ask(conn, f"pg_background_wait_v2_timeout(%s, %s, {timeout})", handle) is True


@pytest.mark.parametrize(
    "call",
    [
        "pg_background_wait(%s, %s)",
        "pg_background_wait((%s, %s)::pg_background_handle)",
        "pg_background_wait(%s, %s, 60000)",
        "pg_background_wait_v2(%s, %s)",
        "pg_background_wait_v2(%s, %s, 60000)",
        "pg_background_wait_v2(%s, %s, timeout_ms => 60000)",
        "pg_background_wait_v2_timeout(%s, %s, 60000)",
    ],
)
def test_forms(conn: Connection, call: str) -> None:
    handle = launch(conn, "SELECT 1")
    assert ask(conn, call, handle) is True
    assert ask(conn, call, handle) is True
    assert result(conn, handle, "a int") == [(1,)]


def test_with_the_cookie_in_hexadecimal(conn: Connection) -> None:
    handle = launch(conn, "SELECT 1")
    row = conn.execute(
        f"SELECT pg_background_wait_v2({handle.pid}, '{handle.cookie:#x}')".encode()
    ).fetchone()
    assert row == (True,)


@pytest.mark.parametrize(("job", "ends"), [("SELECT 1", "stopped"), ("SELECT 1 / 0", "error")])
def test_for_a_submitted_job(conn: Connection, job: str, ends: str) -> None:
    handle = submit(conn, job)
    assert wait(conn, handle)
    assert state(conn, handle) == ends


def test_for_an_unknown_job(conn: Connection) -> None:
    with pytest.raises(e.UndefinedObject, match="PID 1 is not attached to this session"):
        wait(conn, Handle(1, 1))
    with pytest.raises(e.UndefinedObject):
        has_ended(conn, Handle(1, 1))


def test_for_a_consumed_job(conn: Connection) -> None:
    handle = launch(conn, "SELECT 1")
    assert result(conn, handle, "a int") == [(1,)]
    with pytest.raises(e.UndefinedObject):
        wait(conn, handle)


def test_of_many_sessions(conn: Connection, connect: Connect) -> None:
    waiters = [connect() for _ in range(10)]
    handle = launch(conn, FOREVER)
    with ThreadPoolExecutor(10) as threads:
        calls = [threads.submit(wait, waiter, handle) for waiter in waiters]
        for waiter in waiters:
            wait_until_asleep(conn, waiter.info.backend_pid, WAITING)
        cancel(conn, handle)
        assert [call.result() for call in calls] == [True] * 10


def test_while_another_session_reads(conn: Connection, connect: Connect) -> None:
    reader, waiter = connect(), connect()
    with closed_gate(conn) as gate, ThreadPoolExecutor(2) as threads:
        handle = launch(conn, f"{gate.sql}; SELECT 1")
        reading = threads.submit(result, reader, handle, "a int")
        wait_until_asleep(conn, reader.info.backend_pid, WAITING)
        waiting = threads.submit(wait, waiter, handle)
        wait_until_asleep(conn, waiter.info.backend_pid, WAITING)
        gate.open()
        assert reading.result() == [(1,)]
        # Also if the result was consumed before the waiter woke.
        assert waiting.result() is True
        gate.close()


def test_while_another_session_detaches(conn: Connection, connect: Connect) -> None:
    waiter = connect()
    with closed_gate(conn) as gate, ThreadPoolExecutor(1) as threads:
        handle = launch(conn, f"{gate.sql}; SELECT 1")
        waiting = threads.submit(wait, waiter, handle)
        wait_until_asleep(conn, waiter.info.backend_pid, WAITING)
        detach(conn, handle)
        # The handle is nobody's any more, but the job goes on, and who waits for its end goes on too.
        wait_until_asleep(conn, waiter.info.backend_pid, WAITING)
        assert not waiting.done()
        gate.open()
        assert waiting.result() is True
        gate.close()


@pytest.mark.parametrize("how", ["pg_cancel_backend", "statement_timeout"])
def test_a_canceled_waiter_changes_nothing(conn: Connection, connect: Connect, how: str) -> None:
    waiter = connect()
    handle = launch(conn, FOREVER)
    # The limit is for this statement alone: it goes with their transaction.
    limit = "SET LOCAL statement_timeout = 100;" if how == "statement_timeout" else ""
    call = f"{limit} SELECT pg_background_wait({handle.pid}, {handle.cookie})"
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(waiter.execute, call.encode())
        if how == "pg_cancel_backend":
            wait_until_asleep(conn, waiter.info.backend_pid, WAITING)
            conn.execute("SELECT pg_cancel_backend(%s)", [waiter.info.backend_pid])
        with pytest.raises(e.QueryCanceled):
            waiting.result()
    assert state(conn, handle) == "running"
    # The waiter is as good as before.
    assert not wait(waiter, handle, 1)
    cancel(waiter, handle)
    assert wait(conn, handle)


def test_a_canceled_reader_loses_nothing(conn: Connection, connect: Connect) -> None:
    reader = connect()
    with closed_gate(conn) as gate, ThreadPoolExecutor(1) as threads:
        handle = launch(conn, f"{gate.sql}; SELECT 1")
        reading = threads.submit(result, reader, handle, "a int")
        wait_until_asleep(conn, reader.info.backend_pid, WAITING)
        conn.execute("SELECT pg_cancel_backend(%s)", [reader.info.backend_pid])
        with pytest.raises(e.QueryCanceled):
            reading.result()
    assert result(conn, handle, "a int") == [(1,)]


def test_of_null(conn: Connection) -> None:
    row = conn.execute("SELECT pg_background_wait(NULL, 1), pg_background_wait(1, 1, NULL)").fetchone()
    assert row == (None, None)
