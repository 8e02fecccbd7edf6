"""The harness itself: a test that can't fail proves nothing."""

from __future__ import annotations

import os
import signal

import pytest

from ..support.fix_db import Connect, Connection, MakeRole
from ..support.fix_server import FreshServer, satisfies
from ..support.registry import registry, wait_until_quiet
from ..support.server import Server
from ..support.waiting import wait_until, wait_until_sql


def test_each_test_has_a_database_with_the_extension(conn: Connection, db: str) -> None:
    row = conn.execute(
        "SELECT current_database(), extname FROM pg_extension WHERE extname = 'pg_background'"
    ).fetchone()
    assert row == (db, "pg_background")


def test_the_library_is_preloaded_with_32_worker_slots(conn: Connection) -> None:
    row = conn.execute(
        "SELECT current_setting('shared_preload_libraries'), current_setting('max_worker_processes')"
    ).fetchone()
    assert row == ("pg_background", "35")


def test_sessions_are_separate(connect: Connect) -> None:
    first, second = connect(), connect(application_name="second")
    assert first.info.backend_pid != second.info.backend_pid
    assert second.execute("SHOW application_name").fetchone() == ("second",)


def test_roles_may_own_tables(connect: Connect, make_role: MakeRole) -> None:
    role = make_role(member_of=("pg_monitor",))
    connect().execute(f"GRANT CREATE ON SCHEMA public TO {role}")
    connect(user=role).execute("CREATE TABLE mine (a int)")


def test_psql_output(server: Server, db: str) -> None:
    assert server.psql("SELECT 1, 'ä';\nSELECT 2;", db) == "1|ä\n2\n"
    with pytest.raises(AssertionError, match="division by zero"):
        server.psql("SELECT 1/0", db)


def test_alter_system_lasts_for_the_block(server: Server, connect: Connect) -> None:
    before = connect().execute("SHOW work_mem").fetchone()
    with server.alter_system({"work_mem": "7MB"}):
        assert connect().execute("SHOW work_mem").fetchone() == ("7MB",)
    assert connect().execute("SHOW work_mem").fetchone() == before


def test_restart_with_other_settings_and_back(server: Server) -> None:
    try:
        server.restart({"max_worker_processes": 11})
        assert server.execute("SHOW max_worker_processes") == "11"
    finally:
        server.restart()
    assert server.execute("SHOW max_worker_processes") == "35"


def test_fresh_server_has_its_own_settings(fresh_server: FreshServer) -> None:
    fresh = fresh_server({"max_connections": 17})
    assert fresh.execute("SHOW max_connections") == "17"


def test_log_is_read_from_a_mark(server: Server, conn: Connection) -> None:
    mark = server.log.mark()
    conn.execute("DO $$ BEGIN RAISE LOG 'needle %', 40 + 2; END $$")
    assert server.log.wait_for(r"needle (\d+)", mark)[1] == "42"
    assert "needle" not in server.log.since(server.log.mark())


@pytest.mark.crashes
def test_a_crash_is_seen_and_survived(server: Server, conn: Connection) -> None:
    mark = server.log.mark()
    assert not server.log.crashes(mark)
    os.kill(conn.info.backend_pid, signal.SIGKILL)
    server.log.wait_for("all server processes terminated", mark)
    assert any("terminated by signal 9" in line for line in server.log.crashes(mark))
    server.wait_ready()


def test_registry_is_quiet_without_jobs(fresh_server: FreshServer) -> None:
    with fresh_server().connect() as conn:
        assert wait_until_quiet(conn, area_bytes=0) == registry(conn)


def test_waiting_ends_with_the_last_value(conn: Connection) -> None:
    assert wait_until(lambda: 5) == 5
    wait_until_sql(conn, "SELECT %s::int", [3], expected=3)
    with pytest.raises(AssertionError, match="gives 1, not 2"):
        wait_until_sql(conn, "SELECT 1", expected=2, deadline=0.05)


@pytest.mark.parametrize(
    ("versions", "runs"),
    [(">= 16", True), ("> 16", False), (">= 14, < 16", False), ("!= 17", True), ("==16", True)],
)
def test_version_marker(versions: str, runs: bool) -> None:
    assert satisfies(16, versions) is runs
