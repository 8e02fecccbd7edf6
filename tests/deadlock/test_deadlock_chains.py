"""Waits that go round through third sessions, other waits, jobs of jobs and parallel groups."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from ..support.calls import (
    at_the_same_time,
    failure,
    query,
    value,
    wait_until_blocked,
    wait_until_in_extension,
)
from ..support.fix_db import Connect, Connection
from ..support.fix_server import FreshServer
from ..support.jobs import Handle, has_ended, launch, result, state, wait, wait_for_state, wait_until_asleep
from ..support.waiting import wait_until_sql

WAYS = {
    "wait": "SELECT pg_background_wait(%s, %s)",
    "result": "SELECT * FROM pg_background_result(%s, %s) AS (value text)",
    "await": "CALL pg_background_await(%s, %s)",
}


def lock(conn: Connection, key: int) -> None:
    query(conn, f"SELECT pg_advisory_lock({key})")


def unlock(conn: Connection, key: int) -> None:
    query(conn, f"SELECT pg_advisory_unlock({key})")


def take(key: int) -> str:
    """SQL that has one row once it gets a lock."""
    return f"SELECT 'got {key}' FROM pg_advisory_xact_lock({key})"


@pytest.fixture
def session(connect: Connect) -> Connection:
    """The one that checks for deadlocks; nobody else does in this time."""
    return connect(options="-c deadlock_timeout=50ms")


@pytest.fixture
def patient(connect: Connect) -> Connect:
    """Opens sessions that look for nothing."""

    def open_session(
        dbname: str | None = None, *, autocommit: bool = True, **parameters: str | int
    ) -> Connection:
        return connect(dbname, autocommit=autocommit, options="-c deadlock_timeout=1h", **parameters)

    return open_session


def assert_deadlock(session: Connection, handle: Handle, way: str = WAYS["wait"]) -> None:
    """The error names both processes, and the job was left alone."""
    found = failure(session, way, *handle)
    mine = session.info.backend_pid
    assert found[:3] == (
        "40P01",
        "deadlock detected",
        f"Process {mine} waits for the background job of process {handle.pid};"
        f" the job waits for process {mine}.",
    )
    assert not has_ended(session, handle)


@pytest.mark.parametrize("hops", [1, 2, 5])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_through_sessions(session: Connection, patient: Connect, way: str, hops: int) -> None:
    """The job waits for a session, which waits for another one, which waits for the waiter."""
    others = [patient() for _ in range(hops)]
    for key, conn in enumerate([session, *others]):
        lock(conn, key)
    with at_the_same_time(*others) as call:
        blocked = []
        for key, conn in enumerate(others):
            blocked.append(call(lock, conn, key))
            wait_until_blocked(session, conn.info.backend_pid)
        handle = launch(session, take(hops))
        wait_until_blocked(session, handle.pid)
        assert_deadlock(session, handle, way)
        assert_deadlock(session, handle, way)
        unlock(session, 0)
        for key, (conn, one) in enumerate(zip(others, blocked, strict=True)):
            one.result()
            unlock(conn, key)
            unlock(conn, key + 1)
    assert result(session, handle) == [(f"got {hops}",)]


def test_behind_a_session_in_a_queue(session: Connection, patient: Connect) -> None:
    """The job's lock does not conflict with the waiter's; one asked for in between does, with both."""
    query(session, "CREATE TABLE parts (n int)")
    other = patient()
    session.execute("BEGIN")
    session.execute("SELECT FROM parts")
    with at_the_same_time(other) as call:
        exclusive = call(query, other, "LOCK TABLE parts; TRUNCATE parts")
        wait_until_blocked(session, other.info.backend_pid)
        session.execute("SAVEPOINT waiting")
        handle = launch(session, "SELECT n::text FROM parts")
        wait_until_blocked(session, handle.pid)
        assert failure(session, WAYS["wait"], *handle).sqlstate == "40P01"
        session.execute("ROLLBACK TO waiting")
        assert not has_ended(session, handle)
        session.execute("ROLLBACK")
        exclusive.result()
    assert result(session, handle) == []


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_through_the_wait_of_another_session(session: Connection, patient: Connect, way: str) -> None:
    """The job waits for a session that waits, by this extension, for a job that waits for the waiter."""
    other = patient()
    lock(session, 1)
    lock(other, 2)
    others_job = launch(other, take(1))
    handle = launch(session, take(2))
    with at_the_same_time(other) as call:
        waiting = call(query, other, way.replace("%s, %s", f"{others_job.pid}, {others_job.cookie}"))
        wait_until_in_extension(session, other)
        for job in (handle, others_job):
            wait_until_blocked(session, job.pid)
        assert_deadlock(session, handle)
        assert_deadlock(session, handle, WAYS["result"])
        unlock(session, 1)
        waiting.result()
    unlock(other, 2)
    assert result(session, handle) == [("got 2",)]


def test_through_waits_of_several_sessions(session: Connection, patient: Connect) -> None:
    """Four sessions, each of which waits for a job that waits for the next one."""
    others = [patient() for _ in range(3)]
    ring = [session, *others]
    for key, conn in enumerate(ring):
        lock(conn, key)
    handles = [launch(conn, take((key + 1) % 4)) for key, conn in enumerate(ring)]
    for handle in handles:
        wait_until_blocked(session, handle.pid)
    with at_the_same_time(*others) as call:
        waits = [call(wait, conn, handle) for conn, handle in zip(others, handles[1:], strict=True)]
        for conn in others:
            wait_until_in_extension(session, conn)
        assert_deadlock(session, handles[0])
        unlock(session, 0)
        for key, (conn, one) in reversed(list(enumerate(zip(others, waits, strict=True)))):
            assert one.result()
            unlock(conn, key + 1)
    assert result(session, handles[0]) == [("got 1",)]


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_each_session_of_a_ring_is_told(connect: Connect, way: str) -> None:
    """Whoever looks first: none of them waits for ever."""
    ring = [connect(options="-c deadlock_timeout=50ms") for _ in range(3)]
    for key, conn in enumerate(ring):
        lock(conn, key)
    handles = [launch(conn, take((key + 1) % 3)) for key, conn in enumerate(ring)]

    def wait_or_give_way(key: int) -> str:
        found = "done"
        try:
            query(ring[key], way.replace("%s, %s", f"{handles[key].pid}, {handles[key].cookie}"))
        except Exception as error:
            found = str(getattr(error, "sqlstate", error))
        unlock(ring[key], key)
        return found

    with at_the_same_time(*ring) as call:
        ends = [one.result() for one in [call(wait_or_give_way, key) for key in range(3)]]
    assert "40P01" in ends
    assert set(ends) <= {"40P01", "done"}
    for conn, handle in zip(ring, handles, strict=True):
        if state(conn, handle) is not None:
            assert wait(conn, handle)


def test_through_a_crowd(fresh_server: FreshServer) -> None:
    """A hundred and fifty sessions queue for the lock; the waiter comes last in the search."""
    with ExitStack() as stack:
        server = fresh_server({"max_connections": 180})
        session, holder, *crowd = (server.connect() for _ in range(152))
        for conn in (session, holder, *crowd):
            # Not as context managers: the crowd's have statements under way.
            stack.callback(conn.close)
        query(session, "SET deadlock_timeout = '50ms'")
        query(holder, "SET deadlock_timeout = '1h'")
        lock(session, 1)
        lock(holder, 2)
        for conn in crowd:
            conn.pgconn.send_query(b"SET deadlock_timeout = '1h'; SELECT pg_advisory_xact_lock(2)")
        blocked = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        wait_until_sql(session, blocked, expected=len(crowd))
        handle = launch(session, f"SET deadlock_timeout = '1h'; {take(2)}")
        wait_until_blocked(session, handle.pid)
        with at_the_same_time(holder) as call:
            waiting = call(lock, holder, 1)
            wait_until_blocked(session, holder.info.backend_pid)
            assert_deadlock(session, handle)
            unlock(session, 1)
            waiting.result()
        unlock(holder, 2)
        assert result(session, handle) == [("got 2",)]


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_snapshot_that_waits_for_the_waiter(session: Connection, connect: Connect, way: str) -> None:
    """A deferrable transaction begins when no serializable one can harm it; no lock shows that wait."""
    query(session, "CREATE TABLE parts (n int)")
    query(
        session,
        "SET default_transaction_isolation = serializable; SET default_transaction_read_only = on;"
        "SET default_transaction_deferrable = on",
    )
    session.execute("BEGIN READ WRITE NOT DEFERRABLE")
    query(session, "INSERT INTO parts VALUES (1); SAVEPOINT waiting")
    handle = launch(session, "SELECT n::text FROM parts")
    # Not in the session's transaction, which sees the activity of its first look.
    wait_until_asleep(connect(), handle.pid, "SafeSnapshot")
    assert failure(session, way, *handle).sqlstate == "40P01"
    session.execute("ROLLBACK TO waiting")
    assert not has_ended(session, handle)
    session.execute("COMMIT")
    # Its snapshot is of before.
    assert result(session, handle) == []


# ---- jobs that launch and wait

INSIDE = {
    "wait": "PERFORM pg_background_wait(h.pid, h.cookie);",
    "result": "PERFORM FROM pg_background_result(h.pid, h.cookie) AS (value text);",
    "await": "CALL pg_background_await(h.pid, h.cookie, 0, finished);",
}


def job_that_waits_for(sql: str, way: str) -> str:
    """A job that launches a job and waits for it."""
    return (
        "DO $outer$ DECLARE h record; finished bool; BEGIN SET deadlock_timeout = '1h'; "
        f"SELECT * INTO h FROM pg_background_launch($job${sql}$job$); {way} END $outer$"
    )


@pytest.mark.parametrize("way", INSIDE.values(), ids=INSIDE)
def test_through_the_job_of_the_job(session: Connection, way: str) -> None:
    lock(session, 1)
    handle = launch(session, job_that_waits_for(take(1), way))
    wait_until_sql(
        session, "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'", expected=1
    )
    assert_deadlock(session, handle)
    unlock(session, 1)
    assert result(session, handle) == [("DO",)]


def test_through_jobs_of_jobs_of_jobs(session: Connection) -> None:
    lock(session, 1)
    sql = take(1)
    for quote in ("a", "b", "c"):
        sql = (
            job_that_waits_for(sql, INSIDE["wait"])
            .replace("$outer$", f"${quote}$")
            .replace("$job$", f"$j{quote}$")
        )
    handle = launch(session, sql)
    wait_until_sql(
        session, "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'", expected=1
    )
    assert_deadlock(session, handle)
    unlock(session, 1)
    assert result(session, handle) == [("DO",)]


def test_job_whose_own_job_waits_for_it(session: Connection) -> None:
    """That is the job's error, not its waiter's; the inner job goes on when the outer one has gone."""
    query(session, "CREATE TABLE parts (n int)")
    inner = "INSERT INTO parts VALUES (1)"
    handle = launch(
        session,
        "LOCK TABLE parts; SELECT pg_background_wait(h.pid, h.cookie)::text "
        f"FROM pg_background_launch('{inner}') AS h",
    )
    assert wait(session, handle)
    assert state(session, handle) == "error"
    found = failure(session, WAYS["result"], *handle)
    assert found.sqlstate == "40P01"
    assert f"Process {handle.pid} waits" in (found.detail or "")
    wait_until_sql(session, "SELECT count(*) FROM parts", expected=1)


# ---- parallel groups

PARALLEL = (
    "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;"
    "SET parallel_leader_participation = off; SET max_parallel_workers_per_gather = 2"
)


@pytest.fixture
def parallel(session: Connection) -> str:
    """A query whose parallel workers wait for lock 1, and not its leader."""
    query(session, "CREATE TABLE many AS SELECT generate_series(1, 1000) AS n; ANALYZE many")
    query(
        session,
        """CREATE FUNCTION lock_it(n int) RETURNS int LANGUAGE plpgsql PARALLEL SAFE AS $$
        BEGIN
          PERFORM pg_advisory_xact_lock_shared(1);
          RETURN n;
        END $$""",
    )
    return "SELECT count(lock_it(n))::text FROM many"


def wait_until_group_blocked(conn: Connection, leader: int) -> None:
    """Wait until parallel workers wait for a lock, and their leader for nothing but them."""
    wait_until_sql(
        conn,
        "SELECT count(*) > 0 AND count(*) FILTER (WHERE l.pid = %s) = 0 FROM pg_locks l "
        "JOIN pg_stat_activity a USING (pid) WHERE NOT l.granted AND coalesce(a.leader_pid, l.pid) = %s",
        [leader, leader],
    )


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_parallel_workers_of_the_job(session: Connection, parallel: str, way: str) -> None:
    lock(session, 1)
    query(session, PARALLEL)
    handle = launch(session, parallel)
    wait_until_group_blocked(session, handle.pid)
    assert_deadlock(session, handle, way)
    unlock(session, 1)
    assert result(session, handle) == [("1000",)]


def test_parallel_workers_of_a_third_session(session: Connection, patient: Connect, parallel: str) -> None:
    other = patient()
    lock(session, 1)
    lock(other, 2)
    query(other, PARALLEL)
    with at_the_same_time(other) as call:
        counting = call(value, other, parallel)
        wait_until_group_blocked(session, other.info.backend_pid)
        handle = launch(session, take(2))
        wait_until_blocked(session, handle.pid)
        assert_deadlock(session, handle)
        unlock(session, 1)
        assert counting.result() == "1000"
    unlock(other, 2)
    assert result(session, handle) == [("got 2",)]


def test_parallel_workers_of_another_job(session: Connection, patient: Connect, parallel: str) -> None:
    """The job waits for a job by a lock, whose parallel workers wait for the waiter."""
    lock(session, 1)
    other = patient()
    query(other, PARALLEL)
    query(session, "CREATE TABLE parts (n int)")
    first = launch(other, f"LOCK TABLE parts; {parallel}")
    wait_until_group_blocked(session, first.pid)
    second = launch(session, "SELECT n::text FROM parts")
    wait_until_blocked(session, second.pid)
    assert_deadlock(session, second)
    unlock(session, 1)
    assert result(session, second) == []
    assert result(other, first) == [("1000",)]


def test_sleeping_parallel_workers_are_waited_for(session: Connection, parallel: str) -> None:
    """They wait for nobody."""
    query(session, PARALLEL)
    lock(session, 2)
    handle = launch(session, "SELECT pg_sleep(0.3)::text UNION ALL " + parallel)
    assert result(session, handle) == [("",), ("1000",)]
    assert state(session, handle) in (None, "stopped")
    wait_for_state(session, launch(session, "SELECT pg_sleep(0)"), "stopped")


def test_job_that_sleeps_is_waited_for(session: Connection, connect: Connect) -> None:
    """However often it is looked at, and whatever the waiter holds."""
    lock(session, 1)
    handle = launch(session, "SELECT pg_sleep(3600)")
    wait_until_asleep(session, handle.pid)
    assert wait(session, handle, 300) is False
    query(connect(), "SELECT pg_background_cancel(%s, %s)", *handle)
    assert wait(session, handle)
