"""A job's SQL is in the server's log, in auto_explain and in the views, like any session's."""

from __future__ import annotations

import re

import pytest

from ...support.calls import query
from ...support.fix_db import Connect, Connection
from ...support.fix_server import FreshServer
from ...support.jobs import closed_gate, launch, run, submit, wait, wait_for_state
from ...support.server import Server
from ...support.waiting import wait_until, wait_until_sql


def test_duration_of_statements(conn: Connection, server: Server) -> None:
    mark = server.log.mark()
    query(conn, "SET log_min_duration_statement = 0")
    run(conn, "SELECT 'needle in the background'")
    found = server.log.wait_for(
        r"\[(\d+)\].*LOG:  duration: [\d.]+ ms  statement: SELECT 'needle in the background'\n", mark
    )
    assert int(found[1]) != conn.info.backend_pid


@pytest.mark.parametrize("start", [launch, submit])
def test_log_statement(conn: Connection, server: Server, start: type) -> None:
    mark = server.log.mark()
    query(conn, "SET log_statement = 'all'")
    handle = start(conn, "SELECT 'first'; SELECT 'second'")
    wait(conn, handle)
    server.log.wait_for(
        rf"\[{handle.pid}\].*LOG:  statement: SELECT 'first'\n"
        rf".*\[{handle.pid}\].*LOG:  statement: SELECT 'second'\n",
        mark,
    )


@pytest.mark.parametrize(
    ("level", "logged"),
    [
        ("none", set()),
        ("ddl", {"CREATE"}),
        ("mod", {"CREATE", "INSERT"}),
        ("all", {"CREATE", "INSERT", "SELECT"}),
    ],
)
def test_log_statement_by_kind(conn: Connection, server: Server, level: str, logged: set[str]) -> None:
    query(conn, f"SET log_statement = '{level}'")
    mark = server.log.mark()
    for job in ("CREATE TABLE made (a int)", "INSERT INTO made VALUES (1)", "SELECT FROM made"):
        handle = launch(conn, job)
        wait(conn, handle)
    text = server.log.since(mark)
    assert set(re.findall(rf"\[{handle.pid}\].*LOG:  statement: (\w+)", text)) <= logged
    assert {
        word for word in ("CREATE", "INSERT", "SELECT") if f"statement: {word} " in _of_jobs(text, conn)
    } == (logged)


def _of_jobs(text: str, conn: Connection) -> str:
    """Leave out what the session logged itself."""
    own = f"[{conn.info.backend_pid}]"
    return "\n".join(line for line in text.splitlines() if own not in line)


def test_an_error_is_logged_with_its_statement(conn: Connection, server: Server) -> None:
    mark = server.log.mark()
    handle = submit(conn, "SELECT 1 / 0 AS needle")
    wait(conn, handle)
    server.log.wait_for(
        rf"\[{handle.pid}\].*ERROR:  division by zero\n"
        rf".*\[{handle.pid}\].*STATEMENT:  SELECT 1 / 0 AS needle\n",
        mark,
    )


def test_log_min_error_statement_and_messages_apply(conn: Connection, server: Server) -> None:
    query(conn, "SET log_min_messages = 'fatal'")
    mark = server.log.mark()
    wait(conn, launch(conn, "SELECT 1 / 0 AS unseen"))
    assert "AS unseen" not in _of_jobs(server.log.since(mark), conn)


@pytest.mark.contrib("auto_explain")
def test_auto_explain(conn: Connection, server: Server) -> None:
    """Loaded by the session, and set by it."""
    query(conn, "LOAD 'auto_explain'")
    query(conn, "SET auto_explain.log_min_duration = 0")
    mark = server.log.mark()
    handle = launch(conn, "SELECT count(*) FROM pg_class WHERE relname = 'needle'")
    wait(conn, handle)
    server.log.wait_for(rf"\[{handle.pid}\].*LOG:  duration: [\d.]+ ms  plan:\n\s*Query Text:.*needle", mark)


@pytest.mark.contrib("auto_explain")
def test_auto_explain_loaded_for_all_sessions(connect: Connect, server: Server) -> None:
    settings = {"session_preload_libraries": "auto_explain"}
    with server.alter_system(settings):
        conn = connect()
        query(conn, "SET auto_explain.log_min_duration = 0")
        mark = server.log.mark()
        handle = launch(conn, "SELECT count(*) FROM pg_class WHERE relname = 'needle'")
        wait(conn, handle)
        server.log.wait_for(
            rf"\[{handle.pid}\].*LOG:  duration: [\d.]+ ms  plan:\n\s*Query Text:.*needle", mark
        )


@pytest.mark.contrib("pg_stat_statements")
@pytest.mark.parametrize(
    "libraries", ["pg_stat_statements,pg_background", "pg_background,pg_stat_statements"]
)
def test_pg_stat_statements(fresh_server: FreshServer, libraries: str) -> None:
    server = fresh_server({"shared_preload_libraries": libraries, "compute_query_id": "on"})
    with server.connect() as conn:
        query(conn, "CREATE EXTENSION pg_stat_statements")
        for n in range(3):
            run(conn, f"SELECT relname::text FROM pg_class WHERE relpages = {n - 100}")
        query(conn, "CREATE TABLE made (a int)")
        run(conn, "INSERT INTO made VALUES (1); INSERT INTO made VALUES (2)")
        found: dict[str, int] = dict(
            query(conn, "SELECT query, calls FROM pg_stat_statements WHERE query ~ '^(SELECT rel|INS)'")
        )
    assert found == {
        "SELECT relname::text FROM pg_class WHERE relpages = $1": 3,
        "INSERT INTO made VALUES ($1)": 2,
    }


def test_pg_stat_activity(conn: Connection, connect: Connect) -> None:
    query(conn, "SET application_name = 'my application'")
    with closed_gate(connect()) as gate:
        plain, labelled = launch(conn, gate.sql), launch(conn, gate.sql, label="nightly load")
        for handle in plain, labelled:
            wait_for_state(conn, handle, "running")
        rows = query(
            conn,
            "SELECT pid, backend_type, state, query, datname = current_database(), usename, application_name"
            " FROM pg_stat_activity WHERE pid IN (%s, %s) ORDER BY pid = %s",
            *(plain.pid, labelled.pid, labelled.pid),
        )
    assert [row[:6] for row in rows] == [
        (handle.pid, "pg_background", "active", gate.sql, True, "postgres") for handle in (plain, labelled)
    ]
    pid = conn.info.backend_pid
    assert [row[6] for row in rows] == [f"pg_background:{pid}", f"pg_background:nightly load:{pid}"]


def test_an_idle_worker_is_not_active(conn: Connection) -> None:
    handle = launch(conn, "SELECT 1")
    wait(conn, handle)
    # Its end is told before it has made itself clean.
    state_of = "SELECT state FROM pg_stat_activity WHERE pid = %s"
    wait_until(lambda: query(conn, state_of, handle.pid) in ([("idle",)], []), what="the worker idle")


def test_statistics_of_tables(conn: Connection) -> None:
    """What a job did is in the cumulative statistics, and so autovacuum sees it."""
    query(conn, "CREATE TABLE counted (a int)")
    wait(conn, launch(conn, "INSERT INTO counted SELECT generate_series(1, 321)"))
    wait_until_sql(conn, "SELECT n_tup_ins FROM pg_stat_user_tables WHERE relname = 'counted'", expected=321)
