"""A wait for a job that waits for the session itself ends with 40P01, and no other wait does."""

from __future__ import annotations

import pytest

from ...support.calls import (
    Failure,
    at_the_same_time,
    failure,
    query,
    sqlstate,
    value,
)
from ...support.fix_db import Connect, Connection
from ...support.jobs import Handle, closed_gate, launch, result, submit, wait, wait_for_state

WAIT = "SELECT pg_background_wait(%s, %s)"
RESULT = "SELECT * FROM pg_background_result(%s, %s) AS (tag text)"
WAYS = [
    WAIT,
    RESULT,
    "SELECT pg_background_wait_v2(%s, %s)",
    "SELECT * FROM pg_background_result_v2(%s, %s) AS (tag text)",
    "SELECT pg_background_wait_v2_timeout(%s, %s, 3600000)",
]

#: What a session holds, and a job that wants it.
HELD = {
    "table": ("LOCK TABLE t", "INSERT INTO t VALUES (1)"),
    "row": ("UPDATE t SET a = 2", "UPDATE t SET a = 3"),
    "advisory lock": ("SELECT pg_advisory_xact_lock(1)", "SELECT pg_advisory_xact_lock(1)"),
    "unique key": ("INSERT INTO u VALUES (1)", "INSERT INTO u VALUES (1)"),
    "catalog": ("ALTER TABLE t ADD b int", "DROP TABLE t"),
}


@pytest.fixture
def session(connect: Connect) -> Connection:
    """Looks for deadlocks soon."""
    conn = connect(options="-c deadlock_timeout=100ms")
    query(conn, "CREATE TABLE t (a int); INSERT INTO t VALUES (1); CREATE TABLE u (a int PRIMARY KEY)")
    return conn


def deadlock(handle: Handle, session: Connection) -> Failure:
    mine = session.info.backend_pid
    return Failure(
        "40P01",
        "deadlock detected",
        f"Process {mine} waits for the background job of process {handle.pid};"
        f" the job waits for process {mine}.",
        "Commit before waiting for the job, or cancel it.",
    )


@pytest.mark.parametrize("way", WAYS)
def test_lock_table_of_the_launcher(session: Connection, way: str) -> None:
    session.execute("BEGIN")
    session.execute("LOCK TABLE t")
    handle = launch(session, "INSERT INTO t VALUES (2)")
    assert failure(session, way, *handle) == deadlock(handle, session)
    session.execute("ROLLBACK")
    assert wait(session, handle)
    assert result(session, handle) == [("INSERT 0 1",)]


@pytest.mark.parametrize("held", HELD.values(), ids=HELD)
def test_anything_that_the_launcher_holds_and_a_submitted_job_wants(
    session: Connection, held: tuple[str, str]
) -> None:
    session.execute("BEGIN")
    session.execute(held[0].encode())
    handle = submit(session, held[1])
    assert sqlstate(session, WAIT, *handle) == "40P01"
    session.execute("ROLLBACK")
    assert wait(session, handle)


@pytest.mark.parametrize(
    ("statement", "tag"),
    [
        ("CREATE INDEX CONCURRENTLY ON t (a)", "CREATE INDEX"),
        ("REINDEX TABLE CONCURRENTLY u", "REINDEX"),
        ("DROP INDEX CONCURRENTLY u_a", "DROP INDEX"),
    ],
)
@pytest.mark.parametrize("way", WAYS)
def test_concurrently_built_index(session: Connection, statement: str, tag: str, way: str) -> None:
    """The waiting statement's snapshot is what it waits for. That it is seen, or gone by, but no hang."""
    query(session, "CREATE INDEX u_a ON u (a)")
    session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    session.execute("SELECT FROM t, u")
    handle = launch(session, statement)
    assert sqlstate(session, way, *handle) == "40P01"
    session.execute("ROLLBACK")
    wait_for_state(session, handle, "stopped")
    assert result(session, handle) == [(tag,)]


def test_launch_and_result_in_one_statement(session: Connection) -> None:
    job = "CREATE INDEX CONCURRENTLY ON t (a)"
    found = failure(
        session,
        "SELECT r.* FROM pg_background_launch(%s) h, pg_background_result(h.pid, h.cookie) AS r(tag text)",
        job,
    )
    assert found.sqlstate == "40P01"
    (handle,) = [Handle(*row) for row in query(session, "SELECT pid, cookie FROM pg_background_list")]
    wait_for_state(session, handle, "stopped")
    assert result(session, handle) == [("CREATE INDEX",)]


def test_through_another_job(session: Connection) -> None:
    """The job waits, by this extension, for a job that waits for the session."""
    session.execute("BEGIN")
    session.execute("LOCK TABLE t")
    inner = "INSERT INTO t VALUES (1)"
    handle = launch(
        session,
        # The first one to look is the one that is told: not the job.
        "SET deadlock_timeout = '1h';"
        f"SELECT pg_background_wait(h.pid, h.cookie)::text FROM pg_background_launch('{inner}') h",
    )
    assert sqlstate(session, WAIT, *handle) == "40P01"
    session.execute("ROLLBACK")
    assert result(session, handle) == [("true",)]


def test_two_sessions_that_wait_for_each_others_jobs(session: Connection, connect: Connect) -> None:
    other = connect(options="-c deadlock_timeout=100ms")
    query(session, "CREATE TABLE second ()")
    for conn, table in ((session, "t"), (other, "second")):
        conn.execute("BEGIN")
        conn.execute(f"LOCK TABLE {table}".encode())
    mine, others = launch(session, "DROP TABLE second"), launch(other, "DROP TABLE t")

    def wait_or_give_way(conn: Connection, handle: Handle) -> str | None:
        try:
            wait(conn, handle)
        except Exception as error:
            conn.execute("ROLLBACK")
            return getattr(error, "sqlstate", None)
        conn.execute("ROLLBACK")
        return None

    with at_the_same_time(session, other) as call:
        calls = [call(wait_or_give_way, session, mine), call(wait_or_give_way, other, others)]
        ends = {one.result() for one in calls}
    assert "40P01" in ends
    assert ends <= {"40P01", None}


def test_a_job_that_waits_behind_the_waiter_in_a_queue(session: Connection, connect: Connect) -> None:
    """The session only wants what the job wants: nobody waits for it."""
    with closed_gate(connect()) as gate:
        handle = launch(session, f"{gate.sql}; INSERT INTO t VALUES (1)")
        assert wait(session, handle, timeout_ms=500) is False
    assert wait(session, handle) is True


def test_other_deadlocks_are_the_servers(session: Connection, connect: Connect) -> None:
    """Between two jobs: one of them fails, and waiting for it tells."""
    query(session, "CREATE TABLE second ()")
    with closed_gate(connect()) as gate:
        jobs = [
            launch(session, f"SET deadlock_timeout = '100ms'; LOCK {a}; {gate.sql}; LOCK {b}")
            for a, b in (("t", "second"), ("second", "t"))
        ]
        for handle in jobs:
            wait_for_state(session, handle, "running")
    for handle in jobs:
        assert wait(session, handle)
    states = value(session, "SELECT string_agg(state, ' ' ORDER BY state) FROM pg_background_list")
    assert states in ("error stopped", "stopped stopped")
