"""The keeper comes back, and nothing waits for it meanwhile."""

from __future__ import annotations

import os
import signal

import pytest

from ..support.fix_db import Connect, Connection
from ..support.fix_server import FreshServer
from ..support.jobs import FOREVER, cancel, launch, run, submit, wait, wait_for_state, wait_until_gone
from ..support.processes import keeper_pid, pids_titled
from ..support.registry import registry, wait_until_quiet
from ..support.server import Server
from ..support.waiting import wait_until
from ..support.workers import pids


def test_there_is_one(server: Server, conn: Connection) -> None:
    assert keeper_pid(server)
    assert len(pids_titled(server, "pg_background keeper")) == 1
    row = conn.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_background'"
    ).fetchone()
    assert row is not None


def test_it_comes_back_after_a_terminate(server: Server, conn: Connection) -> None:
    running = launch(conn, FOREVER)
    before = keeper_pid(server)
    os.kill(before, signal.SIGTERM)
    # Launches do without it.
    assert run(conn, "SELECT 1", "a int") == [(1,)]
    after = keeper_pid(server, other_than=before)
    assert after != before
    # It works: a worker is started ahead of need.
    others = [launch(conn, FOREVER) for _ in range(3)]
    wait_until(lambda: pids(conn, only_idle=True), what="a worker started ahead")
    for handle in (running, *others):
        cancel(conn, handle)
        assert wait(conn, handle)


def test_it_expires_results_after_it_came_back(fresh_server: FreshServer) -> None:
    server = fresh_server({"pg_background.result_retention": 0})
    with server.connect() as watcher:
        with server.connect() as conn:
            assert wait(conn, launch(conn, "SELECT 1"))
            before = keeper_pid(server)
            os.kill(before, signal.SIGTERM)
        keeper_pid(server, other_than=before)
        wait_until_quiet(watcher, area_bytes=0)


def test_it_expires_the_end_of_a_lost_job_that_nobody_reads(fresh_server: FreshServer) -> None:
    """The process that dies tells it, when the launching session no longer can."""
    # One worker: another, started ahead, would wake the keeper when it leaves.
    server = fresh_server({"pg_background.result_retention": 0, "pg_background.max_total_workers": 1})
    with server.connect() as watcher:
        with server.connect() as conn:
            handle = launch(conn, FOREVER)
            wait_for_state(conn, handle, "running")
            backend = conn.info.backend_pid
        wait_until_gone(watcher, backend)
        watcher.execute("SELECT pg_terminate_backend(%s)", [handle.pid])
        wait_until_quiet(watcher, area_bytes=0)


def test_while_it_is_stopped(server: Server, conn: Connection) -> None:
    """Whatever it is busy with, no launch and no end of a job waits for it."""
    keeper = keeper_pid(server)
    os.kill(keeper, signal.SIGSTOP)
    try:
        handles = [launch(conn, "SELECT 1") for _ in range(5)]
        for handle in handles:
            assert wait(conn, handle)
        for _ in range(20):
            assert run(conn, "SELECT 1", "a int") == [(1,)]
    finally:
        os.kill(keeper, signal.SIGCONT)


def test_it_follows_a_reload(fresh_server: FreshServer) -> None:
    server = fresh_server()
    with server.connect() as watcher:
        with server.connect() as conn:
            assert wait(conn, launch(conn, "SELECT 1"))
        wait_until(lambda: registry(watcher).unread == 1)
        with server.alter_system({"pg_background.result_retention": 0}):
            wait_until_quiet(watcher, area_bytes=0)


@pytest.mark.crashes
def test_after_a_kill_all_starts_anew(server: Server, conn: Connection, connect: Connect) -> None:
    handle = submit(conn, FOREVER)
    before = keeper_pid(server)
    mark = server.log.mark()
    os.kill(before, signal.SIGKILL)
    server.log.wait_for("all server processes terminated; reinitializing", mark)
    server.wait_ready()
    again = connect()
    assert keeper_pid(server, other_than=before)
    assert registry(again).is_quiet()
    assert run(again, "SELECT 1", "a int") == [(1,)]
    assert handle.pid not in pids(again)
