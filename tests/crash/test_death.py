"""A worker's death is told at once to everybody, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from psycopg import errors as e

from ..support.calls import Failure, result_failure
from ..support.fix_db import Connect, Connection
from ..support.jobs import (
    FOREVER,
    Handle,
    detach,
    launch,
    result,
    run,
    state,
    submit,
    wait,
    wait_until_asleep,
    wait_until_gone,
)
from ..support.processes import keeper_pid
from ..support.registry import Registry, registry
from ..support.server import Server
from ..support.waiting import wait_until, wait_until_sql
from ..support.workers import wait_until_idle

#: More than a queue holds, and then a sleep: unread, it spills; read, it streams.
MUCH_AND_SLEEP = (
    "SELECT repeat('x', 1000), CASE WHEN g = 20000 THEN pg_sleep(3600) END FROM generate_series(1, 20000) g"
)

LOST = "lost connection to worker process with PID {}"


def terminate(conn: Connection, pid: int) -> None:
    """End a process as an administrator does, once it is known to the server."""
    wait_until_sql(conn, "SELECT count(*) FROM pg_stat_activity WHERE pid = %s", [pid], expected=1)
    conn.execute("SELECT pg_terminate_backend(%s)", [pid])


def wait_until_nothing_left(conn: Connection, before: Registry) -> None:
    """Wait until the registry holds no more than before."""
    wait_until(
        lambda: (now := registry(conn))[:3] == before[:3] and now.spill_bytes == before.spill_bytes,
        what="registry as before",
    )
    assert registry(conn).area_bytes <= before.area_bytes


def temporary_files(conn: Connection) -> int:
    """Count the server's temporary files, of all databases."""
    row = conn.execute("SELECT count(*) FROM pg_ls_tmpdir()").fetchone()
    assert row is not None
    return int(row[0])


def test_of_a_running_worker(conn: Connection) -> None:
    before = registry(conn)
    handle = launch(conn, FOREVER)
    wait_until_asleep(conn, handle.pid)
    terminate(conn, handle.pid)
    assert wait(conn, handle)
    assert state(conn, handle) == "lost"
    assert result_failure(conn, handle) == Failure("08006", LOST.format(handle.pid))
    wait_until_nothing_left(conn, before)
    assert run(conn, "SELECT 'next'") == [("next",)]


def test_rolls_back_the_job(conn: Connection) -> None:
    conn.execute("CREATE TABLE kept (a int)")
    handle = launch(conn, "INSERT INTO kept VALUES (1); SELECT pg_sleep(3600)")
    wait_until_asleep(conn, handle.pid)
    terminate(conn, handle.pid)
    assert wait(conn, handle)
    assert conn.execute("SELECT count(*) FROM kept").fetchone() == (0,)


def test_is_told_to_waiters(conn: Connection, connect: Connect) -> None:
    handle = launch(conn, FOREVER)
    waiters = [connect() for _ in range(3)]
    with ThreadPoolExecutor(3) as threads:
        calls = [threads.submit(wait, waiter, handle) for waiter in waiters]
        for waiter in waiters:
            wait_until_asleep(conn, waiter.info.backend_pid, "Extension")
        terminate(conn, handle.pid)
        assert all(call.result() for call in calls)
    assert state(conn, handle) == "lost"


def test_is_told_to_a_reader(conn: Connection, connect: Connect) -> None:
    reader = connect()
    handle = launch(conn, MUCH_AND_SLEEP)
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(result, reader, handle, "a text, b text")
        wait_until_asleep(conn, handle.pid)
        terminate(conn, handle.pid)
        with pytest.raises(e.ConnectionFailure, match=LOST.format(handle.pid)):
            call.result()
    assert reader.execute("SELECT 1").fetchone() == (1,)


def test_with_unread_rows_on_disk(conn: Connection) -> None:
    before, files = registry(conn), temporary_files(conn)
    handle = launch(conn, MUCH_AND_SLEEP)
    wait_until_asleep(conn, handle.pid)
    assert registry(conn).spill_bytes > before.spill_bytes
    assert temporary_files(conn) == files + 1
    terminate(conn, handle.pid)
    assert wait(conn, handle)
    with pytest.raises(e.ConnectionFailure):
        result(conn, handle, "a text, b text")
    wait_until_nothing_left(conn, before)
    assert temporary_files(conn) == files


def test_of_a_submitted_job(conn: Connection) -> None:
    before = registry(conn)
    handle = submit(conn, FOREVER)
    wait_until_asleep(conn, handle.pid)
    terminate(conn, handle.pid)
    assert wait(conn, handle)
    assert state(conn, handle) == "lost"
    detach(conn, handle)
    wait_until_nothing_left(conn, before)


def test_of_a_detached_job(conn: Connection) -> None:
    before = registry(conn)
    handle = launch(conn, MUCH_AND_SLEEP)
    wait_until_asleep(conn, handle.pid)
    detach(conn, handle)
    terminate(conn, handle.pid)
    wait_until_gone(conn, handle.pid)
    wait_until_nothing_left(conn, before)


def test_of_an_idle_worker(conn: Connection) -> None:
    handle = launch(conn, "SELECT 1")
    assert result(conn, handle, "a int") == [(1,)]
    wait_until_idle(conn, handle.pid)
    before = registry(conn)
    terminate(conn, handle.pid)
    wait_until(lambda: registry(conn).idle_workers < before.idle_workers, what="one idle worker less")
    assert run(conn, "SELECT 2", "a int") == [(2,)]


def test_of_an_idle_worker_leaves_finished_results(conn: Connection) -> None:
    handle = launch(conn, "SELECT g, repeat('x', 1000) FROM generate_series(1, 1000) g")
    assert wait(conn, handle)
    wait_until_idle(conn, handle.pid)
    terminate(conn, handle.pid)
    wait_until_gone(conn, handle.pid)
    assert len(result(conn, handle, "a int, b text")) == 1000


def test_of_the_launcher_right_after_launch(conn: Connection, connect: Connect) -> None:
    conn.execute("CREATE TABLE kept (a int)")
    for n in range(20):
        launcher = connect()
        launch(launcher, f"SELECT pg_sleep(0.01); INSERT INTO kept VALUES ({n})")
        terminate(conn, launcher.info.backend_pid)
    wait_until(
        lambda: conn.execute("SELECT count(*) FROM kept").fetchone() == (20,), what="all jobs committed"
    )


@pytest.mark.parametrize("idle_timeout", ["3s", "0"], ids=["warm", "fresh"])
def test_of_a_launcher_while_it_launches(
    server: Server, conn: Connection, connect: Connect, idle_timeout: str
) -> None:
    """Whatever the moment, no job stays behind that never ends, and no place for a worker is lost."""
    before = registry(conn)
    with server.alter_system({"pg_background.worker_idle_timeout": idle_timeout}):
        for _ in range(30):
            launcher = connect()
            pid = launcher.info.backend_pid
            with ThreadPoolExecutor(1) as threads:
                call = threads.submit(
                    launcher.execute,
                    "DO $$ BEGIN LOOP PERFORM pg_background_wait(pg_background_submit('SELECT 1')); "
                    "END LOOP; END $$",
                )
                wait_until_sql(
                    conn, "SELECT state FROM pg_stat_activity WHERE pid = %s", [pid], expected="active"
                )
                terminate(conn, pid)
                with pytest.raises(e.AdminShutdown):
                    call.result()
    wait_until(
        lambda: (now := registry(conn)).live == before.live and now.busy_workers == 0, what="no job left"
    )
    assert run(conn, "SELECT 1", "a int") == [(1,)]


def test_of_a_reading_session(conn: Connection, connect: Connect) -> None:
    """What it has not finished reading is gone with it; its job goes on and nothing stays."""
    before, files = registry(conn), temporary_files(conn)
    conn.execute("CREATE TABLE kept (a int)")
    reader = connect()
    handle = launch(
        reader,
        f"INSERT INTO kept VALUES (1); {MUCH_AND_SLEEP.replace('3600', '0.3')}",
    )
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(result, reader, handle, "a text, b text")
        wait_until_asleep(conn, handle.pid)
        terminate(conn, reader.info.backend_pid)
        with pytest.raises(e.AdminShutdown):
            call.result()
    wait_until(lambda: conn.execute("SELECT count(*) FROM kept").fetchone() == (1,), what="job committed")
    wait_until_nothing_left(conn, before)
    assert temporary_files(conn) == files


@pytest.mark.crashes
@pytest.mark.parametrize("victim", ["running", "idle", "keeper"])
def test_by_sigkill(server: Server, conn: Connection, connect: Connect, victim: str) -> None:
    """PostgreSQL restarts all; old handles are unknown then, and launches work."""
    conn.execute("CREATE TABLE kept (a int)")
    running = launch(conn, f"INSERT INTO kept VALUES (1); {FOREVER}")
    wait_until_asleep(conn, running.pid)
    spilled = launch(conn, MUCH_AND_SLEEP)
    wait_until_asleep(conn, spilled.pid)
    unread = launch(conn, "SELECT repeat('x', 1000) FROM generate_series(1, 10000)")
    assert wait(conn, unread)
    assert registry(conn).spill_bytes > 0
    assert temporary_files(conn) >= 2
    idle = submit(conn, "SELECT 1")
    assert wait(conn, idle)
    wait_until_idle(conn, idle.pid)
    keeper = keeper_pid(server)
    mark = server.log.mark()
    os.kill({"running": running.pid, "idle": idle.pid, "keeper": keeper}[victim], signal.SIGKILL)
    server.log.wait_for("all server processes terminated; reinitializing", mark)
    server.wait_ready()
    again = connect()
    assert registry(again).is_quiet()
    assert registry(again).entries == 0
    assert temporary_files(again) == 0
    for old in (running, idle, spilled, unread):
        with pytest.raises(e.UndefinedObject, match=f"PID {old.pid} is not attached to this session"):
            result(again, old)
    assert again.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    first = launch(again, "SELECT 1")
    assert wait(again, first)
    assert state(again, first) == "stopped"
    assert keeper_pid(server, other_than=keeper)
    handles = [launch(again, f"SELECT {n}") for n in range(15)]
    assert [result(again, handle, "n int") for handle in handles] == [[(n,)] for n in range(15)]


def test_old_handles_after_a_restart(server: Server, conn: Connection, connect: Connect) -> None:
    handle = launch(conn, "SELECT 1")
    assert wait(conn, handle)
    server.restart()
    again = connect()
    with pytest.raises(e.UndefinedObject):
        result(again, Handle(handle.pid, handle.cookie))
    assert run(again, "SELECT 1", "a int") == [(1,)]
