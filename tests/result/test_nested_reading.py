"""What runs while a result is read may read, wait, launch and run: both calls keep what they hold."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ..support.calls import Caller, at_the_same_time, failure, nothing_is_left, query, sqlstate, value
from ..support.fix_db import Connect, Connection
from ..support.jobs import FOREVER, Handle, closed_gate, launch, result, wait
from ..support.outcomes import handles
from ..support.registry import registry
from ..support.waiting import wait_until, wait_until_sql

OUTER = "SELECT * FROM pg_background_result_json(%s, %s)"

#: Rows of which the reader gets the first while the job goes on.
LARGE = "repeat('x', 300000)"


@pytest.fixture
def session(conn: Connection, connect: Connect) -> Connection:
    """A session in whose hands a value of type `active` runs SQL as it becomes JSON."""
    query(conn, "CREATE TYPE active AS ENUM ('a', 'b')")
    query(conn, "CREATE TABLE what (sql text)")
    query(
        conn,
        "CREATE FUNCTION act(active) RETURNS json LANGUAGE plpgsql AS "
        "$$ DECLARE f text; BEGIN EXECUTE (SELECT sql FROM what) INTO f; RETURN to_json(f); END $$",
    )
    query(conn, "CREATE CAST (active AS json) WITH FUNCTION act(active)")
    return connect(options="-c deadlock_timeout=50ms -c statement_timeout=20s")


def act(session: Connection, sql: str) -> None:
    """Say what it runs."""
    query(session, "DELETE FROM what")
    query(session, "INSERT INTO what VALUES (%s)", sql)


def inner_calls(job: Handle) -> dict[str, str]:
    """Calls that may be made then, with this job; each gives 'inner'."""
    pid, cookie = job
    some = f"'{handles(job)}'::pg_background_handle[]"
    return {
        "result": f"SELECT value FROM pg_background_result({pid}, {cookie}) AS (value text)",
        "describe": f"SELECT 'inner' FROM pg_background_describe({pid}, {cookie})",
        "wait": f"SELECT 'inner' FROM pg_background_wait({pid}, {cookie})",
        "wait_any": f"SELECT 'inner' FROM pg_background_wait_any({some})",
        "drain": f"SELECT 'inner' FROM pg_background_drain({some})",
        "launch": "SELECT 'inner' FROM pg_background_launch('SELECT 1') AS h, pg_background_detach(h)",
        "run": "SELECT 'inner' FROM pg_background_run('SELECT 1')",
        "run_query": "SELECT value FROM pg_background_run_query('SELECT ''inner''::text') AS (value text)",
    }


INNER = list(inner_calls(Handle(0, 0)))


@pytest.mark.parametrize("way", INNER)
def test_rows_of_both(session: Connection, way: str) -> None:
    with nothing_is_left(session):
        outer = launch(session, f"SELECT 'a'::active AS a, {LARGE} AS x")
        inner = launch(session, "SELECT 'inner'::text")
        act(session, inner_calls(inner)[way])
        assert query(session, f"SELECT j->>'a' FROM ({OUTER}) AS r (j)", *outer) == [("inner",)]
        query(session, "SELECT pg_background_detach_all()")


@pytest.mark.parametrize("way", INNER)
def test_the_outer_wait_is_seen_again(session: Connection, way: str) -> None:
    """Once the inner call is over, the session waits for the outer job, which waits for it."""
    query(session, "SELECT pg_advisory_lock(1)")
    outer = launch(
        session,
        f"SELECT 'a'::active, {LARGE} UNION ALL SELECT 'b', pg_advisory_xact_lock(1)::text",
    )
    inner = launch(session, "SELECT 'inner'::text")
    act(session, inner_calls(inner)[way])
    found = failure(session, OUTER, *outer)
    assert found.sqlstate == "40P01"
    assert f"waits for the background job of process {outer.pid};" in str(found.detail)


@pytest.mark.parametrize("way", ["lock", "wait"])
def test_a_reader_that_waits_for_its_job(session: Connection, way: str) -> None:
    """The job does not wait for room that only such a reader can make."""
    with nothing_is_left(session):
        outer = launch(
            session,
            "SELECT pg_advisory_xact_lock(2);"
            f" SELECT 'a'::active AS a, {LARGE} AS x FROM generate_series(1, 3)",
        )
        pid, cookie = outer
        act(
            session,
            {
                "lock": "SELECT 'inner' FROM pg_advisory_xact_lock(2)",
                "wait": f"SELECT 'inner' FROM pg_background_wait({pid}, {cookie})",
            }[way],
        )
        assert query(session, f"SELECT j->>'a' FROM ({OUTER}) AS r (j)", *outer) == [("inner",)] * 3


def test_an_inner_error_that_is_caught(session: Connection, connect: Connect) -> None:
    """It gives back the inner job, which others can read, and not the outer one."""
    outer = launch(session, "SELECT 'a'::active AS a")
    inner = launch(session, "SELECT 'inner'::text")
    query(
        session,
        "CREATE FUNCTION tries() RETURNS text LANGUAGE plpgsql AS $$ BEGIN "
        f"PERFORM * FROM pg_background_result({inner.pid}, {inner.cookie}) AS (wrong int); "
        "EXCEPTION WHEN datatype_mismatch THEN RETURN 'caught'; END $$",
    )
    act(session, "SELECT tries()")
    assert query(session, f"SELECT j->>'a' FROM ({OUTER}) AS r (j)", *outer) == [("caught",)]
    assert result(connect(), inner) == [("inner",)]
    assert sqlstate(session, OUTER, *outer) in {"42704", "55000"}


@pytest.fixture
def call(session: Connection) -> Iterator[Caller]:
    """Runs calls of the session beside the test."""
    with at_the_same_time(session) as caller:
        yield caller


@pytest.mark.parametrize("end", ["terminate", "cancel"])
@pytest.mark.parametrize("way", ["result", "wait", "wait_any", "run", "run_query"])
def test_the_end_of_the_session(
    session: Connection, conn: Connection, connect: Connect, call: Caller, way: str, end: str
) -> None:
    """Neither job stays in its hands; nor does its run go on."""
    other = connect()
    backend = session.info.backend_pid
    with nothing_is_left(conn), closed_gate(other) as gate:
        outer = launch(session, f"SELECT 'a'::active AS a, {LARGE} AS x")
        inner = launch(session, f"SELECT 'inner'::text FROM ({gate.sql}) AS g")
        calls = inner_calls(inner)
        calls["run"] = f"SELECT 'inner' FROM pg_background_run('{FOREVER}')"
        calls["run_query"] = f"SELECT 'inner' FROM pg_background_run_query('{FOREVER}') AS (value text)"
        assert wait(session, outer)
        act(session, calls[way])
        reading = call(query, session, OUTER, *outer)
        wait_until_sql(
            conn,
            "SELECT wait_event_type FROM pg_stat_activity WHERE pid = %s",
            [backend],
            expected="Extension",
        )
        function = "pg_terminate_backend" if end == "terminate" else "pg_cancel_backend"
        assert value(conn, f"SELECT {function}(%s)", backend)
        assert reading.failure().sqlstate == {"terminate": "57P01", "cancel": "57014"}[end]
        # Rows of the outer job were taken; of the inner one, which may have the same process, nothing was.
        assert sqlstate(other, OUTER, *outer) in {"42704", "55000"}
        gate.open()
        assert result(other, inner) == [("inner",)]
        gate.close()
        wait_until(lambda: registry(conn).live == 0)
