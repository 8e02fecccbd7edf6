"""The example of the article about pg_background, as its readers type it."""

from __future__ import annotations

import pytest

from ..support.calls import Rows, query, sqlstate, value
from ..support.fix_db import Connect, Connection
from ..support.jobs import closed_gate
from ..support.server import Server
from ..support.waiting import wait_until_sql

LAUNCH = """
SELECT * FROM pg_background_launch_v2(
  'SELECT pg_sleep(5); SELECT count(*) FROM large_table'
) AS handle
"""

SUBMIT = """
SELECT * FROM pg_background_submit_v2(
  'INSERT INTO audit_log(ts, event) VALUES (now(), ''system_check'')'
)
"""

RESULT = "SELECT * FROM pg_background_result_v2({}, '{}') AS (cnt BIGINT)"
CANCEL = "SELECT pg_background_cancel_v2({}, '{}')"
DETACH = "SELECT pg_background_detach_v2({}, '{}')"


@pytest.fixture
def tables(conn: Connection) -> Connection:
    query(conn, "CREATE TABLE large_table AS SELECT g AS id, md5(g::text) FROM generate_series(1, 200000) g")
    query(conn, "CREATE TABLE audit_log (ts timestamptz, event text)")
    return conn


def hexadecimal(conn: Connection, cookie: int) -> str:
    """Write a cookie as the article does, with PostgreSQL's own function."""
    written: str = value(conn, "SELECT '0x' || to_hex(%s::int8)", cookie)
    return written


def start(conn: Connection, statement: str = LAUNCH) -> tuple[int, str]:
    """Run the statement, and write down what it shows."""
    cursor = conn.execute(statement.encode())
    assert cursor.description is not None
    assert [column.name for column in cursor.description] == ["pid", "cookie"]
    ((pid, cookie),) = cursor.fetchall()
    return pid, hexadecimal(conn, cookie)


def test_launch_and_result(tables: Connection, connect: Connect) -> None:
    with closed_gate(connect()) as gate:
        handle = start(tables, LAUNCH.replace("SELECT pg_sleep(5)", gate.sql))
        # The session is free meanwhile.
        assert query(tables, "SELECT state FROM pg_background_list") in ([("starting",)], [("running",)])
    assert query(tables, RESULT.format(*handle)) == [(200_000,)]
    assert sqlstate(tables, RESULT.format(*handle)) == "42704"


def test_submit(tables: Connection) -> None:
    start(tables, SUBMIT)
    wait_until_sql(tables, "SELECT event FROM audit_log WHERE ts <= now()", expected="system_check")
    assert value(tables, "SELECT count(*) FROM audit_log") == 1


def test_submit_survives_the_callers_rollback(tables: Connection) -> None:
    with tables.transaction(force_rollback=True):
        query(tables, SUBMIT)
    wait_until_sql(tables, "SELECT count(*) FROM audit_log", expected=1)


def test_cancel(tables: Connection) -> None:
    handle = start(tables)
    query(tables, CANCEL.format(*handle))
    query(tables, "SELECT pg_background_wait_v2({}, '{}')".format(*handle))
    assert query(tables, "SELECT state FROM pg_background_list") == [("canceled",)]
    assert sqlstate(tables, RESULT.format(*handle)) == "57014"


def test_detach(tables: Connection, connect: Connect) -> None:
    """The worker goes on until it is done."""
    with closed_gate(connect()) as gate:
        job = f"{gate.sql}; INSERT INTO audit_log(ts, event) VALUES (now(), ''detached'')"
        handle = start(tables, LAUNCH.replace("SELECT pg_sleep(5); SELECT count(*) FROM large_table", job))
        query(tables, DETACH.format(*handle))
        assert query(tables, "SELECT * FROM pg_background_list") == []
        for call in (RESULT, CANCEL, DETACH):
            assert sqlstate(tables, call.format(*handle)) == "42704"
    wait_until_sql(tables, "SELECT max(event) FROM audit_log", expected="detached")


def test_monitoring(tables: Connection) -> None:
    """The functions that the article names, by their names there."""
    reporting = LAUNCH.replace("SELECT pg_sleep(5)", "SELECT pg_background_progress(50, ''half'')")
    handle = start(tables, reporting)
    query(tables, "SELECT pg_background_wait_v2({}, '{}')".format(*handle))
    progress = "SELECT * FROM pg_background_get_progress_v2({}, '{}')"
    assert query(tables, progress.format(*handle)) == [(50, "half")]
    found: Rows = query(tables, "SELECT workers_launched, workers_completed FROM pg_background_stats_v2()")
    assert found == [(1, 1)]
    assert query(tables, RESULT.format(*handle)) == [(200_000,)]


def test_in_psql(tables: Connection, server: Server, db: str) -> None:
    """With the two values kept by `\\gset`."""
    script = f"""
    SELECT pid, '0x' || to_hex(cookie) AS cookie FROM pg_background_launch_v2(
      'SELECT pg_sleep(0.1); SELECT count(*) FROM large_table') AS handle \\gset
    {RESULT.format(":pid", ":cookie").replace("':cookie'", ":'cookie'")};
    """
    assert server.psql(script, db) == "200000\n"


def test_old_cookies_are_rejected_after_a_restart(tables: Connection, server: Server, db: str) -> None:
    """As the article says to try."""
    handle = start(tables)
    tables.close()
    server.restart()
    with server.connect(db) as conn:
        for call in (RESULT, CANCEL, DETACH):
            assert sqlstate(conn, call.format(*handle)) in ("42704", "55000")
