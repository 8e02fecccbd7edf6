"""Jobs in pg_stat_activity, the server's log and the statistics of other extensions, as any session is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from psycopg import errors as e

from ..support.fix_db import Connect, Connection
from ..support.fix_server import FreshServer
from ..support.jobs import (
    FOREVER,
    Handle,
    cancel,
    closed_gate,
    launch,
    result,
    run,
    submit,
    wait,
    wait_until_asleep,
    wait_until_gone,
)
from ..support.server import Server
from ..support.waiting import wait_until
from ..support.workers import wait_until_idle

Start = Callable[[Connection, str], Handle]

ACTIVITY = "SELECT {} FROM pg_stat_activity WHERE pid = %s"


def activity(conn: Connection, pid: int, columns: str) -> tuple[object, ...]:
    """Return columns of a process in pg_stat_activity."""
    row = conn.execute(ACTIVITY.format(columns).encode(), [pid]).fetchone()
    assert row is not None
    return row


def test_a_running_job_in_pg_stat_activity(conn: Connection, db: str) -> None:
    handle = launch(conn, FOREVER)
    wait_until_asleep(conn, handle.pid)
    columns = "backend_type, state, query, usename, datname, xact_start IS NOT NULL, query_start IS NOT NULL"
    assert activity(conn, handle.pid, columns) == (
        "pg_background",
        "active",
        FOREVER,
        "postgres",
        db,
        True,
        True,
    )
    cancel(conn, handle)
    assert wait(conn, handle)


def test_an_idle_worker_in_pg_stat_activity(conn: Connection) -> None:
    handle = launch(conn, "SELECT 1")
    assert result(conn, handle, "a int") == [(1,)]
    wait_until_idle(conn, handle.pid)
    columns = "backend_type, state, xact_start, backend_xid, backend_xmin"
    assert activity(conn, handle.pid, columns) == ("pg_background", "idle", None, None, None)


def test_application_name(connect: Connect) -> None:
    """Its own, not the launcher's."""
    conn = connect(application_name="my application")
    pid = conn.info.backend_pid
    with closed_gate(connect()) as gate:
        plain = launch(conn, gate.sql)
        labelled = launch(conn, gate.sql, label="nightly")
        for handle in (plain, labelled):
            wait_until_asleep(conn, handle.pid, "advisory")
        assert activity(conn, plain.pid, "application_name") == (f"pg_background:{pid}",)
        assert activity(conn, labelled.pid, "application_name") == (f"pg_background:nightly:{pid}",)


@pytest.mark.parametrize("start", [launch, submit])
def test_log_statement(conn: Connection, server: Server, start: Start) -> None:
    conn.execute("SET log_statement = 'all'")
    mark = server.log.mark()
    handle = start(conn, "SELECT 'needle_1'; SELECT 'needle_2'")
    assert wait(conn, handle)
    assert server.log.logged_by(handle.pid, mark) == [f"statement: SELECT 'needle_{n}'" for n in (1, 2)]


@pytest.mark.parametrize(
    ("level", "logged"),
    [
        ("none", []),
        ("ddl", ["CREATE"]),
        ("mod", ["CREATE", "INSERT"]),
        ("all", ["CREATE", "INSERT", "SELECT"]),
    ],
)
def test_log_statement_by_kind(conn: Connection, server: Server, level: str, logged: list[str]) -> None:
    conn.execute(f"SET log_statement = '{level}'".encode())
    found = []
    for job in ("CREATE TABLE made (a int)", "INSERT INTO made VALUES (1)", "SELECT FROM made"):
        mark = server.log.mark()
        handle = launch(conn, job)
        assert wait(conn, handle)
        found += server.log.logged_by(handle.pid, mark)
    assert [line.split()[:2] for line in found] == [["statement:", word] for word in logged]


def test_log_min_duration_statement(conn: Connection, server: Server) -> None:
    conn.execute("SET log_min_duration_statement = 0")
    mark = server.log.mark()
    handle = launch(conn, "SELECT 'needle'")
    assert wait(conn, handle)
    server.log.wait_for(rf"\[{handle.pid}\].* LOG:  duration: [\d.]+ ms  statement: SELECT 'needle'", mark)
    conn.execute("SET log_min_duration_statement = '1h'")
    mark = server.log.mark()
    assert run(conn, "SELECT 'quick'") == [("quick",)]
    submit(conn, "DO $$ BEGIN RAISE LOG 'fence'; END $$")
    server.log.wait_for("fence", mark)
    assert "duration:" not in server.log.since(mark)


@pytest.mark.parametrize("start", [launch, submit])
def test_a_failing_job_is_logged_with_its_statement(conn: Connection, server: Server, start: Start) -> None:
    mark = server.log.mark()
    handle = start(conn, "SELECT 'needle', 1 / 0")
    assert wait(conn, handle)
    server.log.wait_for(
        rf"\[{handle.pid}\].* ERROR:  division by zero\n"
        rf".*\[{handle.pid}\].* STATEMENT:  SELECT 'needle', 1 / 0\n",
        mark,
    )


def test_errors_obey_log_min_messages(conn: Connection, server: Server) -> None:
    conn.execute("SET log_min_messages = 'fatal'")
    mark = server.log.mark()
    handle = launch(conn, "SELECT 'needle', 1 / 0")
    assert wait(conn, handle)
    assert f"[{handle.pid}]" not in server.log.since(mark)


def test_notices_obey_log_min_messages(conn: Connection, server: Server) -> None:
    conn.execute("SET log_min_messages = 'notice'")
    mark = server.log.mark()
    handle = launch(conn, "DO $$ BEGIN RAISE NOTICE 'needle'; END $$")
    assert wait(conn, handle)
    server.log.wait_for(rf"\[{handle.pid}\].* NOTICE:  needle", mark)


def test_workers_log_nothing_of_their_own(server: Server, connect: Connect) -> None:
    """A server with thousands of jobs a second would have a log of nothing else."""
    mark = server.log.mark()
    with server.alter_system({"pg_background.worker_idle_timeout": "50ms"}):
        conn = connect()
        workers = []
        for _ in range(5):
            workers.append(launch(conn, "SELECT 1").pid)
            wait_until_gone(conn, workers[-1])
    lines = server.log.since(mark).splitlines()
    assert [line for line in lines if any(f"[{pid}]" in line for pid in workers)] == []


@pytest.mark.contrib("auto_explain")
@pytest.mark.parametrize("where", ["launcher", "job"])
def test_auto_explain_by_load(conn: Connection, server: Server, where: str) -> None:
    conn.execute(
        "LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0; SET auto_explain.log_analyze = on"
    )
    mark = server.log.mark()
    load = "LOAD 'auto_explain';" if where == "job" else ""
    handle = launch(conn, f"{load} SELECT count(*) AS needle FROM generate_series(1, 10)")
    assert wait(conn, handle)
    server.log.wait_for(rf"\[{handle.pid}\].* LOG:  duration: [\d.]+ ms  plan:", mark)
    server.log.wait_for(r"Function Scan on generate_series .*actual", mark)


@pytest.mark.contrib("auto_explain")
@pytest.mark.parametrize("where", ["database", "server"])
def test_auto_explain_by_session_preload(
    conn: Connection, server: Server, connect: Connect, db: str, where: str
) -> None:
    settings = {}
    if where == "server":
        settings["session_preload_libraries"] = "auto_explain"
    else:
        conn.execute(f"ALTER DATABASE \"{db}\" SET session_preload_libraries = 'auto_explain'".encode())
        conn.execute(f'ALTER DATABASE "{db}" SET auto_explain.log_min_duration = 0'.encode())
    with server.alter_system(settings):
        session = connect()
        if where == "server":
            session.execute("SET auto_explain.log_min_duration = 0")
        mark = server.log.mark()
        handle = launch(session, "SELECT count(*) AS needle FROM generate_series(1, 10)")
        assert wait(session, handle)
        server.log.wait_for(rf"\[{handle.pid}\].* LOG:  duration: [\d.]+ ms  plan:", mark)


@pytest.mark.contrib("pg_stat_statements")
@pytest.mark.parametrize(
    "libraries", ["pg_stat_statements,pg_background", "pg_background,pg_stat_statements"]
)
def test_pg_stat_statements(fresh_server: FreshServer, libraries: str) -> None:
    server = fresh_server({"shared_preload_libraries": libraries, "compute_query_id": "on"})
    with server.connect() as conn:
        conn.execute("CREATE EXTENSION pg_stat_statements")
        conn.execute("CREATE TABLE needle (a int)")
        for n in range(3):
            job = f"INSERT INTO needle VALUES ({n}); SELECT a FROM needle WHERE a < {n}"
            assert len(run(conn, job, "a int")) == n
        found = conn.execute(
            "SELECT query, calls, rows FROM pg_stat_statements"
            " WHERE query LIKE '% needle %' AND query !~ 'pg_'"
            " AND query !~ '^CREATE' ORDER BY query"
        ).fetchall()
        assert found == [
            ("INSERT INTO needle VALUES ($1)", 3, 3),
            ("SELECT a FROM needle WHERE a < $1", 3, 3),
        ]


def test_table_statistics(conn: Connection) -> None:
    conn.execute("CREATE TABLE counted (a int)")
    assert run(conn, "INSERT INTO counted SELECT generate_series(1, 100)") == [("INSERT 0 100",)]
    query = "SELECT n_tup_ins FROM pg_stat_user_tables WHERE relname = 'counted'"
    wait_until(lambda: conn.execute(query.encode()).fetchone() == (100,), what="the statistics sent")


def test_locks_of_a_job(conn: Connection) -> None:
    conn.execute("CREATE TABLE locked (a int)")
    handle = launch(conn, f"LOCK TABLE locked; {FOREVER}")
    wait_until_asleep(conn, handle.pid)
    row = conn.execute(
        "SELECT mode FROM pg_locks WHERE pid = %s AND relation = 'locked'::regclass", [handle.pid]
    ).fetchone()
    assert row == ("AccessExclusiveLock",)
    conn.execute("SET lock_timeout = 50")
    with pytest.raises(e.LockNotAvailable):
        conn.execute("SELECT count(*) FROM locked")
    cancel(conn, handle)
    assert wait(conn, handle)
