"""PostgreSQL's own signals: pg_cancel_backend and pg_terminate_backend on workers."""

from __future__ import annotations

import pytest
from psycopg import errors as e

from ..support.fix_db import Connection
from ..support.jobs import FOREVER, launch, result, run, state, wait, wait_until_asleep, wait_until_gone
from ..support.workers import wait_until_idle


def idle_worker(conn: Connection) -> int:
    """Run a job and return its worker's pid when it is idle again."""
    handle = launch(conn, "SELECT 1")
    assert result(conn, handle, "a int") == [(1,)]
    wait_until_idle(conn, handle.pid)
    return handle.pid


def test_cancel_backend_of_a_running_worker(conn: Connection) -> None:
    handle = launch(conn, FOREVER)
    wait_until_asleep(conn, handle.pid)
    conn.execute("SELECT pg_cancel_backend(%s)", [handle.pid])
    assert wait(conn, handle)
    assert state(conn, handle) == "canceled"
    with pytest.raises(e.QueryCanceled, match="canceling statement due to user request"):
        result(conn, handle)


def test_cancel_backend_of_an_idle_worker_does_nothing(conn: Connection) -> None:
    pid = idle_worker(conn)
    for _ in range(5):
        conn.execute("SELECT pg_cancel_backend(%s)", [pid])
    # Not late either: the signal has come when the next job of that worker begins.
    handle = launch(conn, "SELECT 2")
    assert handle.pid == pid
    assert result(conn, handle, "a int") == [(2,)]


def test_terminate_backend_of_a_running_worker(conn: Connection) -> None:
    handle = launch(conn, FOREVER)
    wait_until_asleep(conn, handle.pid)
    conn.execute("SELECT pg_terminate_backend(%s)", [handle.pid])
    assert wait(conn, handle)
    assert state(conn, handle) == "lost"
    with pytest.raises(e.ConnectionFailure, match=f"lost connection to worker process with PID {handle.pid}"):
        result(conn, handle)
    assert run(conn, "SELECT 1", "a int") == [(1,)]


def test_terminate_backend_of_an_idle_worker(conn: Connection) -> None:
    pid = idle_worker(conn)
    conn.execute("SELECT pg_terminate_backend(%s)", [pid])
    wait_until_gone(conn, pid)
    handle = launch(conn, "SELECT 1")
    assert handle.pid != pid
    assert result(conn, handle, "a int") == [(1,)]


def test_terminate_backend_of_an_idle_worker_and_launch_at_once(conn: Connection) -> None:
    """The job may be lost with the worker, but that is told; nothing hangs."""
    for _ in range(20):
        pid = idle_worker(conn)
        conn.execute("SELECT pg_terminate_backend(%s)", [pid])
        handle = launch(conn, "SELECT 1")
        try:
            assert result(conn, handle, "a int") == [(1,)]
        except e.ConnectionFailure:
            assert handle.pid == pid


def test_terminate_backend_of_all_workers_of_a_session(conn: Connection) -> None:
    handles = [launch(conn, FOREVER) for _ in range(5)]
    for handle in handles:
        # a process that has not connected yet is unknown to pg_terminate_backend
        wait_until_asleep(conn, handle.pid)
    conn.execute("SELECT pg_terminate_backend(pid) FROM pg_background_list")
    for handle in handles:
        assert wait(conn, handle)
        assert state(conn, handle) == "lost"
    row = conn.execute("SELECT workers_failed, workers_active FROM pg_background_stats()").fetchone()
    assert row == (5, 0)
