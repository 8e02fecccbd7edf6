"""Warm workers stand in nobody's way, and outlive what happens around them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from ...support.calls import Failure, failure, query, result_failure, sqlstate, value
from ...support.fix_db import Connect, Connection, MakeRole
from ...support.fix_server import FreshServer
from ...support.jobs import (
    FOREVER,
    cancel,
    closed_gate,
    detach,
    launch,
    result,
    run,
    state,
    submit,
    wait,
    wait_for_state,
)
from ...support.processes import keeper_pid
from ...support.registry import registry
from ...support.server import Server
from ...support.waiting import wait_until, wait_until_sql
from ...support.workers import pids

#: Fails where an idle worker would be waited for.
IMPATIENT = "-c statement_timeout=15s -c lock_timeout=15s"


def make_idle(conn: Connection) -> int:
    """Leave a warm worker in the session's database, and return its pid."""
    run(conn, "SELECT 1", "a int")
    return next(iter(wait_until(lambda: pids(conn, only_idle=True))))


ALONE = {
    "drop": "DROP DATABASE {}",
    "rename": "ALTER DATABASE {} RENAME TO {}_renamed",
    "template": "CREATE DATABASE {}_copy TEMPLATE {}",
}


@pytest.mark.parametrize("statement", ALONE.values(), ids=ALONE)
def test_database_of_idle_workers(
    make_db: Callable[[str], str], connect: Connect, server: Server, statement: str
) -> None:
    with server.alter_system({"pg_background.worker_idle_timeout": "1h"}):
        name = make_db("idle")
        conn = connect(name)
        make_idle(conn)
        conn.close()
        admin = connect(options=IMPATIENT)
        query(admin, statement.format(name, name))
        if "RENAME" in statement:
            query(admin, f"ALTER DATABASE {name}_renamed RENAME TO {name}")
        if "TEMPLATE" in statement:
            query(admin, f"DROP DATABASE {name}_copy")


def test_database_of_a_running_job(make_db: Callable[[str], str], connect: Connect) -> None:
    """That is in use, as PostgreSQL says of any session."""
    name = make_db("busy")
    conn = connect(name)
    handle = launch(conn, FOREVER)
    wait_for_state(conn, handle, "running")
    admin = connect(options=IMPATIENT)
    assert sqlstate(admin, f"CREATE DATABASE {name}_copy TEMPLATE {name}") == "55006"
    cancel(conn, handle)
    wait(conn, handle)
    conn.close()
    query(admin, f"DROP DATABASE {name}")


def test_barriers_are_answered_by_idle_and_busy_workers(
    make_db: Callable[[str], str], conn: Connection, connect: Connect, server: Server
) -> None:
    """Dropping any database makes each process of the server answer."""
    with server.alter_system({"pg_background.worker_idle_timeout": "1h"}):
        make_idle(conn)
        handle = launch(conn, FOREVER)
        wait_for_state(conn, handle, "running")
        admin = connect(options=IMPATIENT)
        for _ in range(2):
            name = make_db("other")
            query(admin, f"DROP DATABASE {name}")
        assert state(conn, handle) == "running"
        cancel(conn, handle)


def test_idle_workers_hold_no_snapshot_and_no_lock(conn: Connection, server: Server) -> None:
    with server.alter_system({"pg_background.worker_idle_timeout": "1h"}):
        query(conn, "CREATE TABLE t (a int)")
        run(
            conn, "LOCK t; SELECT pg_advisory_lock(5); CREATE TEMP TABLE tt (a int); INSERT INTO t VALUES (1)"
        )
        pid = next(iter(wait_until(lambda: pids(conn, only_idle=True))))
        activity = "SELECT backend_xmin, backend_xid, xact_start FROM pg_stat_activity WHERE pid = %s"
        assert query(conn, activity, pid) == [(None, None, None)]
        assert value(conn, "SELECT count(*) FROM pg_locks WHERE pid = %s", pid) == 0


@pytest.mark.parametrize("work", ["idle", "running", "unread"])
def test_drop_extension_with_live_workers(conn: Connection, connect: Connect, work: str) -> None:
    """The job goes on; after CREATE EXTENSION its handle is as good as before."""
    query(conn, "CREATE TABLE done (a int)")
    with closed_gate(connect()) as gate:
        make_idle(conn)
        job = "INSERT INTO done VALUES (1)"
        handle = launch(conn, f"{gate.sql}; {job}" if work == "running" else job)
        if work == "unread":
            wait(conn, handle)
        query(connect(options=IMPATIENT), "DROP EXTENSION pg_background")
        assert sqlstate(conn, "SELECT pg_background_launch('SELECT 1')") == "42883"
    wait_until_sql(conn, "SELECT count(*) FROM done", expected=1)
    query(conn, "CREATE EXTENSION pg_background")
    assert wait(conn, handle) is True
    assert state(conn, handle) == "stopped"
    assert result(conn, handle)[-1] == ("INSERT 0 1",)


def test_alter_extension_with_live_workers(conn: Connection, connect: Connect) -> None:
    query(conn, "CREATE SCHEMA elsewhere")
    with closed_gate(connect()) as gate:
        handle = launch(conn, f"{gate.sql}; SELECT 'x'")
        query(connect(options=IMPATIENT), "ALTER EXTENSION pg_background SET SCHEMA elsewhere")
        query(connect(options=IMPATIENT), "ALTER EXTENSION pg_background UPDATE")
        query(conn, "SET search_path = elsewhere")
    assert result(conn, handle, "a text") == [("x",)]
    assert run(conn, "SELECT 'y'") == [("y",)]


@pytest.mark.parametrize("moment", ["starting", "running", "canceling"])
def test_detach_of_a_live_job(conn: Connection, connect: Connect, moment: str) -> None:
    """Untracking while it runs: the job, or its cancel, goes on."""
    query(conn, "CREATE TABLE done ()")
    with closed_gate(connect()) as gate:
        handle = launch(conn, f"{gate.sql}; ALTER TABLE done ADD a int")
        if moment != "starting":
            wait_for_state(conn, handle, "running")
        if moment == "canceling":
            cancel(conn, handle)
        detach(conn, handle)
        assert state(conn, handle) is None
        if moment == "canceling":
            wait_until_sql(conn, "SELECT workers_canceled FROM pg_background_stats()", expected=1)
    added = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'done'::regclass AND attname = 'a'"
    if moment == "canceling":
        assert value(conn, added) == 0
    else:
        wait_until_sql(conn, added, expected=1)


def test_terminated_worker(conn: Connection) -> None:
    handle = launch(conn, FOREVER)
    wait_for_state(conn, handle, "running")
    query(conn, "SELECT pg_terminate_backend(%s)", handle.pid)
    assert wait(conn, handle) is True
    assert state(conn, handle) == "lost"
    assert result_failure(conn, handle) == Failure(
        "08006", f"lost connection to worker process with PID {handle.pid}"
    )
    assert run(conn, "SELECT 'next'") == [("next",)]


def test_login_right_taken_away(conn: Connection, connect: Connect, make_role: MakeRole) -> None:
    """A session that is there goes on as before, but gets no more processes than it could log in for."""
    role = make_role(member_of=("pgbackground_role",))
    session = connect(user=role)
    query(conn, f"ALTER ROLE {role} NOLOGIN")
    assert failure(session, "SELECT pg_background_launch('SELECT 1')")[:2] == (
        "28000",
        f'role "{role}" is not permitted to log in',
    )


def test_job_of_a_role_that_can_not_log_in(conn: Connection, make_role: MakeRole) -> None:
    """It connects as who logged in."""
    role = make_role("NOLOGIN", member_of=("pgbackground_role",))
    query(conn, f"SET ROLE {role}")
    assert run(conn, "SELECT current_user::text") == [(role,)]


@pytest.mark.crashes
@pytest.mark.parametrize("victim", ["worker", "idle worker", "keeper"])
def test_killed_process(fresh_server: FreshServer, victim: str) -> None:
    """SIGKILL restarts the server's memory: after it, old handles are unknown and all works."""
    server = fresh_server()
    with server.connect() as conn:
        unread = launch(conn, "SELECT 'unread'")
        wait(conn, unread)
        submit(conn, "SELECT 1")
        idle = make_idle(conn)
        running = launch(conn, FOREVER)
        wait_for_state(conn, running, "running")
        keeper = keeper_pid(server)
        mark = server.log.mark()
        os.kill({"worker": running.pid, "idle worker": idle, "keeper": keeper}[victim], signal.SIGKILL)
        server.log.wait_for("all server processes terminated; reinitializing", mark)
    server.wait_ready()
    with server.connect() as conn:
        empty = registry(conn)
        assert (empty.entries, empty.live, empty.unread, empty.busy_workers, empty.spill_bytes) == (0,) * 5
        for handle in (unread, running):
            assert result_failure(conn, handle).sqlstate == "42704"
        assert run(conn, "SELECT 'again'") == [("again",)]
        assert keeper_pid(server, other_than=keeper)
        handles = [launch(conn, f"SELECT {n}") for n in range(16)]
        assert [result(conn, handle, "a int") for handle in handles] == [[(n,)] for n in range(16)]


@pytest.mark.crashes
def test_spill_files_of_a_crash_are_removed(fresh_server: FreshServer) -> None:
    server = fresh_server()
    with server.connect() as conn:
        handle = launch(conn, "SELECT repeat('x', 1000) FROM generate_series(1, 10000)")
        wait(conn, handle)
        assert registry(conn).spill_bytes > 0
        assert spill_files(server)
        mark = server.log.mark()
        os.kill(make_idle(conn), signal.SIGKILL)
        server.log.wait_for("all server processes terminated; reinitializing", mark)
    server.wait_ready()
    wait_until(lambda: not spill_files(server), what="the removal of temporary files")


def spill_files(server: Server) -> list[str]:
    return [str(path) for path in (server.cluster.path / "base" / "pgsql_tmp").rglob("*") if path.is_file()]
