"""run: launch, wait, outcome and detach in one call."""

from __future__ import annotations

from contextlib import suppress

import pytest
from psycopg import errors as e

from ..support.calls import (
    at_the_same_time,
    nothing_is_left,
    query,
    sqlstate,
    stats,
    value,
    wait_until_blocked,
    wait_until_in_extension,
)
from ..support.fix_db import Connect, Connection, MakeRole
from ..support.fix_server import FreshServer
from ..support.jobs import FOREVER, closed_gate, launch
from ..support.outcomes import call_run, outcome
from ..support.registry import registry, wait_until_quiet
from ..support.waiting import wait_until
from ..support.workers import SWALLOWS_CANCELS, SWALLOWS_CANCELS_AND_COUNTS


def test_success(conn: Connection) -> None:
    with nothing_is_left(conn):
        found, timed_out, elapsed = call_run(conn, "SELECT generate_series(1, 3)", label="three")
        assert found[2:-1] == ("stopped", False, True, False, 3, "SELECT", None, None, "three")
        assert not timed_out
        assert elapsed >= 0
        assert found.launched_at is not None
        assert query(conn, "SELECT * FROM pg_background_list") == []


def test_an_error_in_the_job_is_told_in_the_row(conn: Connection) -> None:
    with nothing_is_left(conn):
        found = call_run(conn, "SELECT 1; SELECT 1 / 0").outcome
        assert found[2:-1] == ("error", False, True, True, 0, None, "22012", "division by zero", None)
    assert stats(conn)["failed"] == 1


def test_no_sql(conn: Connection) -> None:
    """A row as of a job that could not be run, for those who look there and expect no error."""
    with nothing_is_left(conn):
        for function in ("pg_background_run", "pg_background_run_v2"):
            row = query(conn, f"SELECT * FROM {function}(NULL, label => 'none')")
            told = ("error", False, True, True, 0, None, "22004", "sql parameter cannot be NULL", "none")
            assert row == [(None, None, *told, None, False, 0)]
    assert stats(conn)["launched"] == 0


def test_it_is_a_transaction_of_its_own(conn: Connection) -> None:
    conn.execute("CREATE TABLE kept (a int)")
    conn.execute("BEGIN")
    assert call_run(conn, "INSERT INTO kept VALUES (1)").outcome.command_tag == "INSERT"
    conn.execute("ROLLBACK")
    assert value(conn, "SELECT count(*) FROM kept") == 1


def test_rows_of_any_size_are_thrown_away_at_source(conn: Connection) -> None:
    with nothing_is_left(conn):
        job = "SELECT repeat('x', 100000) FROM generate_series(1, 2000)"
        assert call_run(conn, job, queue_size=64).outcome.row_count == 2000


def test_notices_come_as_they_are_raised(conn: Connection, connect: Connect) -> None:
    said: list[tuple[str | None, str | None]] = []
    conn.add_notice_handler(lambda diag: said.append((diag.severity, diag.message_primary)))
    other = connect()
    with closed_gate(other) as gate, at_the_same_time(conn) as call:
        running = call(
            call_run,
            conn,
            "DO $$ BEGIN RAISE WARNING 'one'; END $$;"
            + gate.sql
            + "; DO $$ BEGIN RAISE NOTICE 'two'; END $$",
        )
        wait_until(lambda: said == [("WARNING", "one")])
        gate.open()
        assert running.result().outcome.state == "stopped"
        gate.close()
    assert said == [("WARNING", "one"), ("NOTICE", "two")]


def test_many_notices(conn: Connection) -> None:
    said: list[str | None] = []
    conn.add_notice_handler(lambda diag: said.append(diag.message_primary))
    with nothing_is_left(conn):
        job = "DO $$ BEGIN FOR i IN 1..5000 LOOP RAISE NOTICE 'notice %', i; END LOOP; END $$"
        assert call_run(conn, job, queue_size=64).outcome.state == "stopped"
    assert said == [f"notice {n}" for n in range(1, 5001)]


@pytest.mark.parametrize("job", [FOREVER, SWALLOWS_CANCELS, SWALLOWS_CANCELS_AND_COUNTS])
def test_past_its_time(conn: Connection, job: str) -> None:
    """The job is canceled, which counts as a timeout, and ended with its process where it resists."""
    with nothing_is_left(conn):
        found, timed_out, elapsed = call_run(conn, job, timeout_ms=50)
        assert timed_out
        assert elapsed >= 50
        assert found[2:6] == ("timed_out", False, True, True)
        assert found.sqlstate == "57014"
        assert "the timeout of its caller" in str(found.error_message)
    assert {name: stats(conn)[name] for name in ("timed_out", "canceled", "failed", "active")} == {
        "timed_out": 1,
        "canceled": 0,
        "failed": 0,
        "active": 0,
    }


def test_within_its_time(conn: Connection) -> None:
    found, timed_out, _ = call_run(conn, "SELECT 1", timeout_ms=3_600_000)
    assert (found.state, timed_out) == ("stopped", False)
    for no_limit in (0, -1):
        assert not call_run(conn, "SELECT pg_sleep(0.01)", timeout_ms=no_limit).timed_out


@pytest.mark.parametrize("twin", ["", "_v2"])
def test_defaults_and_names(conn: Connection, twin: str) -> None:
    call = f"SELECT (pg_background_run{twin}"
    assert value(conn, f"{call}('SELECT 1')).state") == "stopped"
    assert value(conn, f"{call}('SELECT 1', label => 'x')).label") == "x"
    assert value(conn, f"{call}('SELECT 1', NULL, NULL, NULL)).state") == "stopped"
    assert value(conn, f"{call}(sql => '{FOREVER}', timeout_ms => 1)).timed_out")


def test_bad_arguments(conn: Connection) -> None:
    call = "SELECT pg_background_run(%s, %s, %s, %s)"
    assert sqlstate(conn, call, "SELECT 1", 63, 0, None) == "22023"
    assert sqlstate(conn, call, "SELECT 1", 0, 0, "x" * 65) == "22001"
    with nothing_is_left(conn):
        query(conn, "SET pg_background.max_workers = 1")
        with closed_gate(conn) as gate:
            job = launch(conn, gate.sql)
            assert sqlstate(conn, call, "SELECT 1", 0, 0, None) == "53400"
        query(conn, "SELECT pg_background_detach(%s, %s)", *job)


@pytest.mark.parametrize("job", ["BEGIN", "COPY (SELECT 1) TO STDOUT", "no SQL"])
def test_statements_that_are_refused(conn: Connection, job: str) -> None:
    with nothing_is_left(conn):
        assert call_run(conn, job).outcome.sqlstate == ("42601" if job == "no SQL" else "0A000")


@pytest.mark.parametrize("how", ["cancel", "statement_timeout", "terminate"])
def test_interrupted(connect: Connect, conn: Connection, how: str) -> None:
    """The job ends with the call, and nothing of it is left."""
    session = connect()
    session.execute("CREATE TABLE kept (a int)")
    with nothing_is_left(conn), at_the_same_time(session) as call:
        if how == "statement_timeout":
            session.execute("SET statement_timeout = 100")
        running = call(
            call_run, session, f"SET statement_timeout = 0; INSERT INTO kept VALUES (1); {FOREVER}"
        )
        if how != "statement_timeout":
            wait_until_in_extension(conn, session)
        if how == "cancel":
            session.cancel()
        if how == "terminate":
            conn.execute("SELECT pg_terminate_backend(%s)", [session.info.backend_pid])
        assert running.failure().sqlstate == ("57P01" if how == "terminate" else "57014")
        wait_until(lambda: registry(conn).live == 0)
    assert value(conn, "SELECT count(*) FROM kept") == 0


def test_client_that_goes(connect: Connect, conn: Connection) -> None:
    """The server notices by client_connection_check_interval."""
    session = connect(options="-c client_connection_check_interval=10ms")
    with nothing_is_left(conn):
        session.pgconn.send_query(f"SELECT pg_background_run('{FOREVER}')".encode())
        session.pgconn.flush()
        wait_until(lambda: registry(conn).live == 1)
        session.close()
        wait_until(lambda: registry(conn).live == 0)


def test_interrupted_at_any_moment(conn: Connection, connect: Connect) -> None:
    """Cancels at random times leave nothing, over and over."""
    session = connect()
    with nothing_is_left(conn):
        for n in range(60):
            session.execute(f"SET statement_timeout = {1 + n % 6}")
            with suppress(e.QueryCanceled):
                call_run(session, "SET statement_timeout = 0; SELECT pg_sleep(0.004)")
        wait_until(lambda: registry(conn).live == 0)
    session.execute("SET statement_timeout = 0")
    assert value(session, "SELECT workers_active FROM pg_background_stats()") == 0


def test_worker_that_dies(conn: Connection, connect: Connect) -> None:
    session = connect()
    with nothing_is_left(conn), at_the_same_time(session) as call:
        running = call(call_run, session, "SELECT pg_sleep(3600) /* victim */")
        victim = "FROM pg_stat_activity WHERE query ~ 'victi[m]' AND backend_type = 'pg_background'"
        wait_until(lambda: query(conn, f"SELECT pid {victim}"))
        query(conn, f"SELECT pg_terminate_backend(pid) {victim}")
        found = running.result().outcome
        assert (found.state, found.sqlstate) == ("lost", "08006")


def test_deadlock_with_the_caller(connect: Connect) -> None:
    session = connect(options="-c deadlock_timeout=50ms")
    with nothing_is_left(session):
        session.execute("CREATE TABLE locked (a int)")
        session.execute("BEGIN")
        session.execute("LOCK TABLE locked")
        assert sqlstate(session, "SELECT pg_background_run('SELECT * FROM locked')") == "40P01"
        session.execute("ROLLBACK")
        wait_until(lambda: registry(session).live == 0)


def test_in_the_search_of_others(connect: Connect) -> None:
    """A job of mine waits for a session whose run waits for me."""
    session, other = connect(options="-c deadlock_timeout=50ms"), connect()
    for conn, key in ((session, 1), (other, 2)):
        conn.execute(f"SELECT pg_advisory_lock({key})".encode())
    mine = launch(session, "SELECT pg_advisory_lock(2)")
    wait_until_blocked(session, mine.pid)
    with at_the_same_time(other) as call:
        other.execute("SET deadlock_timeout = '1h'")
        running = call(call_run, other, "SELECT pg_advisory_xact_lock(1)")
        wait_until(lambda: value(session, "SELECT count(*) FROM pg_locks WHERE NOT granted") == 2)
        assert sqlstate(session, "SELECT pg_background_wait(%s, %s)", *mine) == "40P01"
        session.execute("SELECT pg_advisory_unlock(1)")
        assert running.result().outcome.state == "stopped"
    other.execute("SELECT pg_advisory_unlock_all()")
    wait_until(lambda: outcome(session, mine).completed)


def test_from_sql_functions_and_jobs(conn: Connection) -> None:
    """Inside a job it is a job's job."""
    inner = "SELECT (pg_background_run('CREATE TABLE made (a int)')).state"
    query(conn, f"CREATE FUNCTION made() RETURNS text LANGUAGE sql AS $$ {inner} $$")
    assert value(conn, "SELECT (pg_background_run('SELECT made()')).state") == "stopped"
    assert value(conn, "SELECT count(*) FROM made") == 0


def test_rights(conn: Connection, connect: Connect, make_role: MakeRole) -> None:
    call = "SELECT (pg_background_run('SELECT 1')).state"
    assert sqlstate(connect(user=make_role()), call) == "42501"
    assert value(connect(user=make_role(member_of=("pgbackground_role",))), call) == "stopped"


def test_thousands(fresh_server: FreshServer) -> None:
    server = fresh_server({"pg_background.max_jobs": 16})
    with server.connect() as conn:
        rows = query(
            conn,
            "SELECT r.state, count(*) FROM generate_series(1, 3000) AS n,"
            " LATERAL pg_background_run('SELECT ' || n) AS r GROUP BY 1",
        )
        assert rows == [("stopped", 3000)]
        wait_until_quiet(conn, area_bytes=0)
