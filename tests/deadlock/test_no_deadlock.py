"""Waits that do end are never taken for deadlocks, however often they are checked."""

from __future__ import annotations

import pytest

from ..support.calls import (
    at_the_same_time,
    failure,
    query,
    wait_until_blocked,
    wait_until_in_extension,
)
from ..support.fix_db import Connect, Connection
from ..support.jobs import cancel, closed_gate, launch, result, state, submit, wait

#: Long enough for many searches, as the sessions here look every 10 ms.
LOOKED_AT = 300


@pytest.fixture
def session(connect: Connect) -> Connection:
    conn = connect(options="-c deadlock_timeout=10ms")
    query(conn, "CREATE TABLE parts (n int); CREATE TABLE others (n int)")
    return conn


def test_third_session_that_releases(session: Connection, connect: Connect) -> None:
    """The waiter holds much, but nothing that the job needs."""
    other = connect()
    other.execute("BEGIN")
    other.execute("LOCK TABLE parts")
    session.execute("BEGIN")
    session.execute("LOCK TABLE others")
    session.execute("SELECT pg_advisory_xact_lock(1)")
    handle = launch(session, "INSERT INTO parts VALUES (1)")
    assert wait(session, handle, LOOKED_AT) is False
    with at_the_same_time(session) as call:
        waiting = call(wait, session, handle)
        wait_until_in_extension(connect(), session)
        other.execute("COMMIT")
        assert waiting.result() is True
    assert result(session, handle) == [("INSERT 0 1",)]
    session.execute("COMMIT")


def test_session_that_waits_for_the_waiter_but_nobody_for_it(session: Connection, connect: Connect) -> None:
    """One wants the waiter's lock, the job wants another's: two chains, no ring."""
    wants, has = connect(), connect()
    session.execute("BEGIN")
    session.execute("LOCK TABLE others")
    has.execute("BEGIN")
    has.execute("LOCK TABLE parts")
    with at_the_same_time(wants) as call:
        blocked = call(query, wants, "INSERT INTO others VALUES (1)")
        wait_until_blocked(has, wants.info.backend_pid)
        handle = launch(session, "INSERT INTO parts VALUES (1)")
        assert wait(session, handle, LOOKED_AT) is False
        has.execute("COMMIT")
        assert wait(session, handle)
        session.execute("COMMIT")
        blocked.result()


def test_long_chain_that_ends_elsewhere(session: Connection, connect: Connect) -> None:
    chain = [connect() for _ in range(4)]
    for key, conn in enumerate(chain):
        query(conn, f"SELECT pg_advisory_lock({key})")
    session.execute("BEGIN")
    session.execute("LOCK TABLE parts")
    with at_the_same_time(*chain) as call:
        blocked = [
            call(query, conn, f"SELECT pg_advisory_xact_lock({key})") for key, conn in enumerate(chain[1:])
        ]
        for conn in chain[1:]:
            wait_until_blocked(session, conn.info.backend_pid)
        handle = launch(session, "SELECT pg_advisory_xact_lock(3)::text")
        wait_until_blocked(session, handle.pid)
        assert wait(session, handle, LOOKED_AT) is False
        for key, conn in enumerate(chain):
            query(conn, f"SELECT pg_advisory_unlock({key})")
            if key < len(blocked):
                blocked[key].result()
    assert wait(session, handle)
    session.execute("COMMIT")


def test_result_whose_rows_come_in_parts(session: Connection, connect: Connect) -> None:
    """The reader sleeps between them, and the job waits for others."""
    query(
        session,
        """CREATE FUNCTION rows_and_locks() RETURNS SETOF int LANGUAGE plpgsql AS $$ BEGIN
          FOR key IN 1..3 LOOP
            PERFORM pg_advisory_xact_lock_shared(8000, key);
            RETURN QUERY SELECT generate_series(1, 20000);
          END LOOP;
        END $$""",
    )
    holder = connect()
    query(holder, "SELECT pg_advisory_lock(8000, key) FROM generate_series(1, 3) key")
    session.execute("BEGIN")
    session.execute("LOCK TABLE parts")
    handle = launch(session, "SELECT rows_and_locks()")
    with at_the_same_time(session) as call:
        reading = call(result, session, handle, "n int")
        for key in range(1, 4):
            wait_until_blocked(holder, handle.pid)
            wait_until_in_extension(holder, session)
            query(holder, "SELECT pg_sleep(0.05)")
            query(holder, f"SELECT pg_advisory_unlock(8000, {key})")
        assert len(reading.result()) == 60000
    session.execute("COMMIT")


def test_other_session_whose_wait_is_over(session: Connection, connect: Connect) -> None:
    """It waited for a job that waits for this session, until a time limit or a cancel."""
    other = connect(options="-c deadlock_timeout=50ms")
    session.execute("BEGIN")
    session.execute("LOCK TABLE others")
    query(other, "SELECT pg_advisory_lock(2)")
    others_job = launch(other, "INSERT INTO others VALUES (1)")
    handle = launch(session, "SELECT 'got it' FROM pg_advisory_xact_lock(2)")
    for job in (others_job, handle):
        wait_until_blocked(other, job.pid)
    assert wait(other, others_job, 1) is False
    assert wait(session, handle, LOOKED_AT) is False
    query(other, "SET statement_timeout = 20; SET deadlock_timeout = '1h'")
    assert failure(other, "SELECT pg_background_wait(%s, %s)", *others_job).sqlstate == "57014"
    read = "SELECT * FROM pg_background_result(%s, %s) AS (a text)"
    assert failure(other, read, *others_job).sqlstate == "57014"
    query(other, "RESET statement_timeout")
    assert wait(session, handle, LOOKED_AT) is False
    query(other, "SELECT pg_advisory_unlock(2)")
    assert result(session, handle) == [("got it",)]
    session.execute("COMMIT")
    assert wait(other, others_job)


def test_locks_held_before(session: Connection, connect: Connect) -> None:
    """What the waiter has released is no edge any more."""
    with closed_gate(connect()) as gate:
        session.execute("BEGIN")
        session.execute("LOCK TABLE parts")
        handle = launch(session, f"{gate.sql}; INSERT INTO parts VALUES (1); {gate.sql}; SELECT 'end'")
        session.execute("COMMIT")
        assert wait(session, handle, LOOKED_AT) is False
    assert result(session, handle) == [("end",)]


def test_two_waiters_for_one_job(session: Connection, connect: Connect) -> None:
    """One of them holds what it needs; the other only waits, and the job will end."""
    holder, third = (connect(options="-c deadlock_timeout=10ms") for _ in range(2))
    holder.execute("BEGIN")
    holder.execute("LOCK TABLE parts")
    holder.execute("SAVEPOINT waiting")
    handle = launch(session, "INSERT INTO parts VALUES (1)")
    assert failure(holder, "SELECT pg_background_wait(%s, %s)", *handle).sqlstate == "40P01"
    holder.execute("ROLLBACK TO waiting")
    with at_the_same_time(third) as call:
        waiting = call(wait, third, handle)
        assert wait(session, handle, LOOKED_AT) is False
        holder.execute("ROLLBACK")
        assert waiting.result()
    assert state(session, handle) == "stopped"


def test_many_waiters_and_jobs_at_once(connect: Connect) -> None:
    """Jobs that queue for one lock, each waited for by its session: a line, never a ring."""
    sessions = [connect(options="-c deadlock_timeout=10ms") for _ in range(6)]
    query(sessions[0], "CREATE TABLE counted (n int)")
    job = "LOCK TABLE counted; SELECT pg_sleep(0.02); INSERT INTO counted VALUES (1)"

    def work(conn: Connection) -> None:
        for _ in range(5):
            assert wait(conn, submit(conn, job))

    with at_the_same_time(*sessions) as call:
        for one in [call(work, conn) for conn in sessions]:
            one.result()
    assert query(sessions[0], "SELECT count(*) FROM counted") == [(30,)]


def test_cancel_with_grace_is_no_deadlock(session: Connection) -> None:
    """It waits for a job that waits for this session, but has just been told to end."""
    session.execute("BEGIN")
    session.execute("LOCK TABLE parts")
    handle = launch(session, "INSERT INTO parts VALUES (1)")
    cancel(session, handle, 60000)
    assert wait(session, handle)
    assert state(session, handle) == "canceled"
    session.execute("COMMIT")
