"""Warm workers: reused, started ahead of need, and gone when nobody needs them."""

from __future__ import annotations

import pytest

from ..support.fix_db import Connect, Connection, MakeRole
from ..support.fix_server import FreshServer
from ..support.jobs import FOREVER, Handle, cancel, closed_gate, launch, result, run, submit, wait
from ..support.registry import registry
from ..support.server import Server
from ..support.waiting import wait_until
from ..support.workers import pids, wait_until_idle


def run_on(conn: Connection) -> int:
    """Run a job and return its worker's pid."""
    handle = launch(conn, "SELECT 1")
    assert result(conn, handle, "a int") == [(1,)]
    return handle.pid


def test_one_worker_serves_one_job_after_the_other(conn: Connection) -> None:
    assert len({run_on(conn) for _ in range(50)}) == 1


def test_sessions_of_one_role_share_workers(conn: Connection, connect: Connect) -> None:
    first = run_on(conn)
    wait_until_idle(conn, first)
    assert run_on(connect()) == first


def test_sessions_of_different_roles_do_not(conn: Connection, connect: Connect, make_role: MakeRole) -> None:
    role = make_role(member_of=("pgbackground_role",))
    first = run_on(conn)
    wait_until_idle(conn, first)
    assert run_on(connect(user=role)) != first


def test_sessions_on_different_databases_do_not(conn: Connection, connect: Connect) -> None:
    first = run_on(conn)
    wait_until_idle(conn, first)
    assert run_on(connect("postgres")) != first


def test_a_worker_with_the_same_settings_is_preferred(conn: Connection, connect: Connect) -> None:
    other = connect()
    other.execute("SET work_mem = '7MB'")
    with closed_gate(connect()) as gate:
        both = [launch(conn, gate.sql), launch(other, gate.sql)]
    for handle in both:
        assert wait(conn, handle)
    for handle in both:
        wait_until_idle(conn, handle.pid)
    assert run_on(other) == both[1].pid
    assert run_on(conn) == both[0].pid


def test_jobs_at_once_have_workers_of_their_own(conn: Connection) -> None:
    handles = [launch(conn, FOREVER) for _ in range(8)]
    assert len({handle.pid for handle in handles}) == 8
    for handle in handles:
        cancel(conn, handle)
        assert wait(conn, handle)


def test_without_idle_timeout_each_job_has_a_fresh_process(server: Server, connect: Connect) -> None:
    with server.alter_system({"pg_background.worker_idle_timeout": 0}):
        conn = connect()
        assert len({run_on(conn) for _ in range(10)}) == 10
        wait_until(lambda: not pids(conn), what="no worker left")


def test_idle_workers_leave_in_time(server: Server, connect: Connect) -> None:
    with server.alter_system({"pg_background.worker_idle_timeout": "200ms"}):
        conn = connect()
        handles = [submit(conn, "SELECT 1") for _ in range(5)]
        for handle in handles:
            assert wait(conn, handle)
        assert pids(conn)
        wait_until(lambda: not pids(conn), what="no worker left")
        assert run_on(conn)


def test_a_changed_idle_timeout_reaches_idle_workers(server: Server, connect: Connect) -> None:
    with server.alter_system({"pg_background.worker_idle_timeout": "1h"}):
        conn = connect()
        wait_until_idle(conn, run_on(conn))
    wait_until(lambda: not pids(conn), what="no worker left after 3 s")


def test_the_next_worker_is_started_ahead(conn: Connection) -> None:
    first = launch(conn, FOREVER)
    wait_until(lambda: pids(conn, only_idle=True), what="an idle worker")
    second = launch(conn, FOREVER)
    assert second.pid != first.pid
    for handle in (first, second):
        cancel(conn, handle)
        assert wait(conn, handle)


@pytest.mark.parametrize("places", [1, 2, 3, 4, 6])
def test_starting_ahead_leaves_the_last_two_places(fresh_server: FreshServer, places: int) -> None:
    server = fresh_server({"pg_background.max_total_workers": places})
    with server.connect() as conn:
        handles: list[Handle] = []
        for running in range(1, places + 1):
            handles.append(launch(conn, FOREVER))
            if running < places - 2:
                # Not as pg_stat_activity has it: there a worker that has not begun its job is idle too.
                wait_until(lambda: registry(conn).idle_workers == 1, what="one started ahead")
            # The keeper has served whatever was asked of it when it serves another database.
            assert len(pids(conn)) <= max(running, places - 2)
        for handle in handles:
            cancel(conn, handle)


def test_idle_workers_are_counted(fresh_server: FreshServer) -> None:
    server = fresh_server({"pg_background.worker_idle_timeout": "1h"})
    with server.connect() as conn:
        handles = [launch(conn, FOREVER) for _ in range(3)]
        wait_until(lambda: (now := registry(conn)).busy_workers == 3 and now.idle_workers == 1)
        for handle in handles:
            cancel(conn, handle)
            assert wait(conn, handle)
        wait_until(lambda: (now := registry(conn)).busy_workers == 0 and now.idle_workers == 4)
        # pg_stat_activity may have it a moment later.
        wait_until(lambda: len(pids(conn, only_idle=True)) == 4, what="four that show as idle")


@pytest.mark.parametrize("yield_time", [0, 1000])
def test_with_a_yield_time(server: Server, connect: Connect, yield_time: int) -> None:
    """A worker that yields is idle all the same, takes jobs, heeds signals and leaves in time."""
    settings = {"pg_background.yield_time": yield_time, "pg_background.worker_idle_timeout": "200ms"}
    with server.alter_system(settings):
        conn = connect()
        for _ in range(200):
            assert run(conn, "SELECT 1", "a int") == [(1,)]
        handle = launch(conn, FOREVER)
        cancel(conn, handle)
        assert wait(conn, handle)
        wait_until(lambda: not pids(conn), what="no worker left")


def test_idle_workers_hold_nothing(conn: Connection) -> None:
    conn.execute("CREATE TABLE touched (a int)")
    assert run(conn, "INSERT INTO touched VALUES (1)") == [("INSERT 0 1",)]
    wait_until(lambda: pids(conn, only_idle=True), what="an idle worker")
    row = conn.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_background' "
        "AND datname = current_database() AND (backend_xid IS NOT NULL OR backend_xmin IS NOT NULL)"
    ).fetchone()
    assert row == (0,)
    locks = conn.execute(
        "SELECT count(*) FROM pg_locks WHERE pid = ANY (%s)", [list(pids(conn, only_idle=True))]
    ).fetchone()
    assert locks == (0,)
    conn.execute("SET lock_timeout = 5000; DROP TABLE touched")
