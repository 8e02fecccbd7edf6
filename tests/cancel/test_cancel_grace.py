"""Cancel of jobs that resist: SQL that catches its cancel, and processes that don't answer."""

from __future__ import annotations

import os
import signal

import pytest
from psycopg import errors as e

from ..support.fix_db import Connection
from ..support.jobs import (
    FOREVER,
    Handle,
    cancel,
    launch,
    result,
    run,
    state,
    wait,
    wait_until_asleep,
    wait_until_gone,
)
from ..support.server import Server
from ..support.workers import SWALLOWS_CANCELS, launch_counting, launch_in


def test_swallowed_cancel_ends_the_process_at_its_next_statement(conn: Connection, server: Server) -> None:
    mark = server.log.mark()
    handle = launch(conn, SWALLOWS_CANCELS)
    wait_until_asleep(conn, handle.pid)
    cancel(conn, handle)
    assert wait(conn, handle)
    assert state(conn, handle) == "canceled"
    with pytest.raises(e.QueryCanceled):
        result(conn, handle)
    wait_until_gone(conn, handle.pid)
    server.log.wait_for(rf"\[{handle.pid}\].* FATAL:", mark)
    assert run(conn, "SELECT 1", "a int") == [(1,)]


def test_swallowed_cancel_rolls_back_what_was_before(conn: Connection) -> None:
    conn.execute("CREATE TABLE kept (a int)")
    handle = launch(conn, "INSERT INTO kept VALUES (1);" + SWALLOWS_CANCELS)
    wait_until_asleep(conn, handle.pid)
    cancel(conn, handle)
    wait(conn, handle)
    assert conn.execute("SELECT count(*) FROM kept").fetchone() == (0,)


def test_caught_cancel_may_do_nothing_more_than_end(conn: Connection) -> None:
    """SQL that catches its cancel and starts no statement has done its work."""
    handle = launch(
        conn,
        "DO $$ BEGIN PERFORM pg_sleep(3600); EXCEPTION WHEN query_canceled THEN NULL; END $$",
    )
    wait_until_asleep(conn, handle.pid)
    cancel(conn, handle)
    assert wait(conn, handle)
    assert state(conn, handle) in {"stopped", "canceled"}


def test_caught_cancel_of_an_earlier_statement(conn: Connection) -> None:
    conn.execute("CREATE TABLE kept (a int)")
    handle = launch(
        conn,
        "DO $$ BEGIN PERFORM pg_sleep(3600); EXCEPTION WHEN query_canceled THEN NULL; END $$;"
        "INSERT INTO kept VALUES (1)",
    )
    wait_until_asleep(conn, handle.pid)
    cancel(conn, handle)
    assert wait(conn, handle)
    assert state(conn, handle) == "canceled"
    assert conn.execute("SELECT count(*) FROM kept").fetchone() == (0,)


@pytest.mark.parametrize("function", ["pg_background_cancel", "pg_background_cancel_v2_grace"])
def test_grace_terminates_what_a_cancel_does_not_end(conn: Connection, function: str) -> None:
    handle = launch_counting(conn)
    conn.execute(f"SELECT {function}(%s, %s, 200)".encode(), handle)
    assert state(conn, handle) == "canceled"
    wait_until_gone(conn, handle.pid)
    with pytest.raises(e.QueryCanceled):
        result(conn, handle)
    assert conn.execute("SELECT workers_canceled, workers_failed FROM pg_background_stats()").fetchone() == (
        1,
        0,
    )


def test_grace_waits_for_the_end(conn: Connection) -> None:
    handle = launch(conn, FOREVER)
    cancel(conn, handle, 60000)
    assert state(conn, handle) == "canceled"
    assert run(conn, "SELECT 1", "a int") == [(1,)]


def test_grace_leaves_a_warm_worker_that_obeyed(conn: Connection) -> None:
    handle = launch(conn, FOREVER)
    wait_until_asleep(conn, handle.pid)
    cancel(conn, handle, 60000)
    launch_in(conn, handle.pid, "SELECT 1")


def test_a_process_that_does_not_answer_is_told_in_a_warning(conn: Connection) -> None:
    notices: list[tuple[str | None, str | None]] = []
    conn.add_notice_handler(
        lambda notice: notices.append((notice.severity_nonlocalized, notice.message_primary))
    )
    handle = launch(conn, FOREVER)
    wait_until_asleep(conn, handle.pid)
    os.kill(handle.pid, signal.SIGSTOP)
    try:
        cancel(conn, handle, 1)
        assert state(conn, handle) == "running"
    finally:
        os.kill(handle.pid, signal.SIGCONT)
    assert [severity for severity, _ in notices] == ["WARNING"]
    assert str(handle.pid) in (notices[0][1] or "")
    assert wait(conn, handle)
    assert state(conn, handle) == "canceled"


def test_grace_may_be_huge(conn: Connection) -> None:
    handle = launch(conn, FOREVER)
    cancel(conn, handle, 2147483647)
    assert state(conn, handle) == "canceled"


def test_negative_grace_is_none(conn: Connection) -> None:
    handle = launch_counting(conn)
    cancel(conn, handle, -5)
    assert state(conn, handle) == "running"
    cancel(conn, handle, 1)
    assert state(conn, handle) == "canceled"


def test_grace_can_be_interrupted(conn: Connection) -> None:
    handle = launch_counting(conn)
    call = f"SELECT pg_background_cancel({handle.pid}, {handle.cookie}, 3600000)"
    with pytest.raises(e.QueryCanceled, match="statement timeout"):
        conn.execute(f"SET LOCAL statement_timeout = 100; {call}".encode())
    assert state(conn, handle) == "running"
    cancel(conn, handle, 1)
    assert state(conn, handle) == "canceled"


def test_swallowing_survives_no_terminate(conn: Connection) -> None:
    handle = launch(conn, SWALLOWS_CANCELS)
    wait_until_asleep(conn, handle.pid)
    conn.execute("SELECT pg_terminate_backend(%s)", [handle.pid])
    assert wait(conn, handle)
    assert state(conn, handle) == "lost"


def test_stale_handle_of_a_reused_worker(conn: Connection) -> None:
    first = launch(conn, "SELECT 1")
    assert result(conn, first, "a int") == [(1,)]
    second = launch_in(conn, first.pid, FOREVER)
    with pytest.raises(e.UndefinedObject):
        cancel(conn, first, 1)
    with pytest.raises(e.ObjectNotInPrerequisiteState):
        cancel(conn, Handle(second.pid, first.cookie ^ 1), 1)
    assert state(conn, second) in {"starting", "running"}
    cancel(conn, second)
    assert wait(conn, second)
