"""Cancel: at any moment of a job's life, from any session, and never another job."""

from __future__ import annotations

import os
import signal

import pytest
from psycopg import errors as e

from ..support.fix_db import Connect, Connection
from ..support.jobs import (
    FOREVER,
    Handle,
    cancel,
    has_ended,
    launch,
    result,
    run,
    state,
    submit,
    wait,
    wait_for_state,
    wait_until_asleep,
)
from ..support.registry import registry
from ..support.workers import launch_in, wait_until_idle


def assert_canceled(conn: Connection, handle: Handle, columns: str = "value text") -> None:
    """The job ends as canceled, and its result says so once."""
    assert wait(conn, handle)
    assert state(conn, handle) == "canceled"
    with pytest.raises(e.QueryCanceled):
        result(conn, handle, columns)
    # 55000 while the worker's pid is that of another unread job.
    with pytest.raises((e.UndefinedObject, e.ObjectNotInPrerequisiteState)):
        result(conn, handle, columns)


@pytest.mark.parametrize(
    ("job", "columns"),
    [
        (FOREVER, "value text"),
        ("DO $$ BEGIN LOOP NULL; END LOOP; END $$", "value text"),
        ("SELECT sum(a * b) FROM generate_series(1, 100000) a, generate_series(1, 100000) b", "n bigint"),
        ("CREATE TABLE made (a int); SELECT pg_sleep(3600); INSERT INTO made VALUES (1)", "value text"),
    ],
    ids=["sleep", "loop", "query", "several"],
)
def test_a_running_job(conn: Connection, job: str, columns: str) -> None:
    handle = launch(conn, job)
    wait_for_state(conn, handle, "running")
    cancel(conn, handle)
    assert_canceled(conn, handle, columns)
    assert conn.execute("SELECT to_regclass('made')").fetchone() == (None,)


def test_a_job_that_waits_for_a_lock(conn: Connection, connect: Connect) -> None:
    conn.execute("CREATE TABLE locked (a int)")
    holder = connect(autocommit=False)
    holder.execute("LOCK TABLE locked")
    handle = launch(conn, "INSERT INTO locked VALUES (1)")
    wait_until_asleep(conn, handle.pid, "relation")
    cancel(conn, handle)
    assert_canceled(conn, handle)
    holder.rollback()
    assert conn.execute("SELECT count(*) FROM locked").fetchone() == (0,)


def test_a_submitted_job(conn: Connection) -> None:
    handle = submit(conn, FOREVER)
    cancel(conn, handle)
    assert wait(conn, handle)
    assert state(conn, handle) == "canceled"


def test_before_it_began(conn: Connection) -> None:
    conn.execute("CREATE TABLE made (a int)")
    worker = launch(conn, "SELECT 1")
    assert result(conn, worker, "a int") == [(1,)]
    wait_until_idle(conn, worker.pid)
    # A stopped worker is given the job but can't begin it.
    os.kill(worker.pid, signal.SIGSTOP)
    try:
        handle = launch(conn, "INSERT INTO made VALUES (1)")
        assert handle.pid == worker.pid
        assert state(conn, handle) == "starting"
        cancel(conn, handle)
        assert not has_ended(conn, handle)
    finally:
        os.kill(worker.pid, signal.SIGCONT)
    assert_canceled(conn, handle)
    assert conn.execute("SELECT count(*) FROM made").fetchone() == (0,)


def test_after_the_end_nothing_changes(conn: Connection) -> None:
    handle = launch(conn, "SELECT 1")
    wait(conn, handle)
    cancel(conn, handle)
    cancel(conn, handle, 1000)
    assert state(conn, handle) == "stopped"
    assert conn.execute(
        "SELECT workers_completed, workers_canceled FROM pg_background_stats()"
    ).fetchone() == (
        1,
        0,
    )
    assert result(conn, handle, "a int") == [(1,)]


def test_after_an_error_nothing_changes(conn: Connection) -> None:
    handle = launch(conn, "SELECT 1 / 0")
    wait(conn, handle)
    cancel(conn, handle)
    assert state(conn, handle) == "error"
    with pytest.raises(e.DivisionByZero):
        result(conn, handle)


def test_after_the_end_the_next_job_of_the_worker_is_left_alone(conn: Connection) -> None:
    first = launch(conn, "SELECT 1")
    wait(conn, first)
    second = launch_in(conn, first.pid, FOREVER)
    wait_until_asleep(conn, second.pid)
    cancel(conn, first)
    cancel(conn, first, 1)
    assert not wait(conn, second, 50)
    cancel(conn, second)
    assert_canceled(conn, second)


def test_twice(conn: Connection) -> None:
    handle = launch(conn, FOREVER)
    cancel(conn, handle)
    cancel(conn, handle)
    assert_canceled(conn, handle)
    assert conn.execute("SELECT workers_canceled FROM pg_background_stats()").fetchone() == (1,)


def test_by_handle(conn: Connection) -> None:
    row = conn.execute("SELECT (h).pid, (h).cookie FROM pg_background_launch(%s) h", [FOREVER]).fetchone()
    assert row is not None
    handle = Handle(*row)
    conn.execute("SELECT pg_background_cancel((%s, %s)::pg_background_handle)", handle)
    assert_canceled(conn, handle)


def test_with_the_cookie_in_hexadecimal(conn: Connection) -> None:
    handle = launch(conn, FOREVER)
    conn.execute(f"SELECT pg_background_cancel_v2({handle.pid}, '{handle.cookie:#x}')".encode())
    assert_canceled(conn, handle)


def test_with_another_cookie_it_goes_on(conn: Connection) -> None:
    handle = launch(conn, FOREVER)
    with pytest.raises(
        e.ObjectNotInPrerequisiteState, match=f"cookie mismatch for PID {handle.pid}"
    ) as caught:
        cancel(conn, Handle(handle.pid, handle.cookie ^ 1))
    assert "stale" in (caught.value.diag.message_hint or "")
    assert not wait(conn, handle, 50)
    cancel(conn, handle)
    assert_canceled(conn, handle)


@pytest.mark.parametrize("pid", [-1, 0, 1, 2147483647])
def test_of_an_unknown_process(conn: Connection, pid: int) -> None:
    with pytest.raises(e.UndefinedObject, match=f"PID {pid} is not attached to this session"):
        cancel(conn, Handle(pid, 1))


def test_of_an_ordinary_session_signals_nobody(conn: Connection, connect: Connect) -> None:
    other = connect()
    with pytest.raises(e.UndefinedObject):
        cancel(conn, Handle(other.info.backend_pid, 1), 1)
    assert other.execute("SELECT 1").fetchone() == (1,)


def test_from_another_session(conn: Connection, connect: Connect) -> None:
    handle = launch(conn, FOREVER)
    cancel(connect(), handle)
    assert_canceled(conn, handle)


def test_while_others_wait_and_read(conn: Connection) -> None:
    handle = launch(conn, FOREVER)
    with conn.pipeline():
        waiting = conn.execute("SELECT pg_background_wait(%s, %s, 1)", handle)
        conn.execute("SELECT pg_background_cancel(%s, %s)", handle)
        waited = conn.execute("SELECT pg_background_wait(%s, %s)", handle)
    assert waiting.fetchone() == (False,)
    assert waited.fetchone() == (True,)


def test_the_next_job_on_the_same_worker(conn: Connection) -> None:
    handle = launch(conn, FOREVER)
    wait_until_asleep(conn, handle.pid)
    cancel(conn, handle)
    assert_canceled(conn, handle)
    following = launch_in(conn, handle.pid, "SELECT count(*) FROM generate_series(1, 10000)")
    assert result(conn, following, "n bigint") == [(10000,)]


def test_of_many_jobs_at_once(conn: Connection) -> None:
    before = registry(conn)
    handles = [launch(conn, FOREVER) for _ in range(10)]
    for handle in handles:
        cancel(conn, handle)
    for handle in handles:
        assert_canceled(conn, handle)
    after = registry(conn)
    assert (after.live, after.unread) == (before.live, before.unread)
    assert run(conn, "SELECT 1", "a int") == [(1,)]


@pytest.mark.parametrize("arguments", ["NULL, 1", "1, NULL"])
def test_of_null_is_null(conn: Connection, arguments: str) -> None:
    row = conn.execute(f"SELECT pg_background_cancel({arguments}) IS NULL".encode()).fetchone()
    assert row == (True,)
