"""Jobs that wait for a worker: on_full => 'queue' and 'wait'."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from psycopg import errors

from ..support.calls import at_the_same_time, nothing_is_left
from ..support.fix_db import Connect, MakeRole
from ..support.fix_server import FreshServer
from ..support.jobs import (
    FOREVER,
    Connection,
    Handle,
    cancel,
    closed_gate,
    detach,
    launch,
    result,
    start,
    state,
    wait,
)
from ..support.registry import registry, wait_until_quiet
from ..support.server import Server
from ..support.waiting import wait_until, wait_until_sql


@pytest.fixture
def few(server: Server) -> Iterator[None]:
    """The server may have two workers."""
    with server.alter_system({"pg_background.max_total_workers": 2}):
        yield


@pytest.fixture
def conn(few: None, connect: Connect) -> Connection:
    """A session that sees the limit, whose workers are all busy."""
    return connect()


def queue(conn: Connection, job: str) -> Handle:
    """Start a job that may wait for a worker."""
    return start(conn, job, on_full="queue")


def fill(conn: Connection) -> list[Handle]:
    """Keep both workers busy."""
    return [launch(conn, FOREVER) for _ in range(2)]


def test_a_job_queues_when_no_worker_is_to_be_had_and_begins_when_one_is(conn: Connection) -> None:
    with nothing_is_left(conn):
        busy = fill(conn)
        handle = queue(conn, "SELECT 42")
        assert handle.pid < 0
        assert state(conn, handle) == "queued"
        assert not wait(conn, handle, 50)
        cancel(conn, busy[0])
        assert result(conn, handle, "n int") == [(42,)]
        cancel(conn, busy[1])
        for each in busy:
            detach(conn, each)


def test_a_job_has_a_usual_handle_when_a_worker_is_free(conn: Connection) -> None:
    assert queue(conn, "SELECT 1").pid > 0
    # In a fresh process, and in one that is idle.
    wait_until(lambda: registry(conn).idle_workers > 0)
    handle = queue(conn, "SELECT 2")
    assert handle.pid > 0
    assert result(conn, handle, "n int") == [(2,)]


def test_a_queued_job_is_not_one_that_runs(conn: Connection) -> None:
    active = "SELECT workers_active FROM pg_background_stats()"
    busy = fill(conn)
    handles = [queue(conn, FOREVER) for _ in range(3)]
    assert conn.execute(active).fetchone() == (2,)
    for handle in (*handles, *busy):
        cancel(conn, handle)
        assert wait(conn, handle)
    assert conn.execute(active).fetchone() == (0,)


def test_an_idle_worker_of_another_role_makes_room_for_a_queued_job(
    server: Server, connect: Connect, make_role: MakeRole
) -> None:
    role = make_role(member_of=("pgbackground_role",))
    with server.alter_system(
        {"pg_background.max_total_workers": 1, "pg_background.worker_idle_timeout": "1h"}
    ):
        conn, other = connect(), connect(user=role)
        assert wait(conn, launch(conn, "SELECT 1"))
        handle = queue(other, "SELECT 2")
        assert wait(other, handle, 20_000)
        assert result(other, handle, "n int") == [(2,)]


def test_jobs_begin_in_the_order_in_which_they_came(conn: Connection) -> None:
    conn.execute("CREATE TABLE t (n int, at serial)")
    busy = fill(conn)
    handles = [queue(conn, f"INSERT INTO t VALUES ({n})") for n in range(20)]
    cancel(conn, busy[0])
    for handle in handles:
        assert wait(conn, handle)
    cancel(conn, busy[1])
    assert [n for (n,) in conn.execute("SELECT n FROM t ORDER BY at")] == list(range(20))


def test_the_job_runs_when_its_caller_has_gone(conn: Connection, connect: Connect) -> None:
    conn.execute("CREATE TABLE t (a int)")
    busy = fill(conn)
    caller = connect()
    handle = queue(caller, "INSERT INTO t VALUES (1)")
    caller.close()
    cancel(conn, busy[0])
    assert wait(conn, handle)
    assert conn.execute("SELECT a FROM t").fetchall() == [(1,)]
    assert result(conn, handle) == [("INSERT 0 1",)]
    cancel(conn, busy[1])


def test_a_queued_job_is_canceled_at_once(conn: Connection) -> None:
    with nothing_is_left(conn):
        busy = fill(conn)
        handle = queue(conn, "SELECT 1")
        cancel(conn, handle)
        assert state(conn, handle) == "canceled"
        assert wait(conn, handle)
        with pytest.raises(errors.QueryCanceled, match="canceling statement due to user request"):
            result(conn, handle)
        for each in busy:
            cancel(conn, each)
            detach(conn, each)
    assert conn.execute("SELECT workers_canceled FROM pg_background_stats()").fetchone() == (3,)


def test_a_queued_job_in_the_middle_of_the_line_is_canceled(conn: Connection) -> None:
    busy = fill(conn)
    handles = [queue(conn, f"SELECT {n}") for n in range(5)]
    for n in (0, 2, 4):
        cancel(conn, handles[n])
    cancel(conn, busy[0])
    assert result(conn, handles[1], "n int") == [(1,)]
    assert result(conn, handles[3], "n int") == [(3,)]
    assert state(conn, handles[2]) == "canceled"
    cancel(conn, busy[1])


def test_a_detached_job_is_done_all_the_same(conn: Connection) -> None:
    conn.execute("CREATE TABLE t (a int)")
    busy = fill(conn)
    detach(conn, queue(conn, "INSERT INTO t VALUES (1)"))
    cancel(conn, busy[0])
    wait_until_sql(conn, "SELECT count(*) FROM t", expected=1)
    cancel(conn, busy[1])


def test_a_reader_may_come_before_the_worker(conn: Connection, connect: Connect) -> None:
    busy = fill(conn)
    handle = queue(conn, "SELECT generate_series(1, 100000)")
    reader = connect()
    with at_the_same_time(reader) as call:
        reading = call(result, reader, handle, "n int")
        wait_until_sql(
            conn,
            "SELECT wait_event_type FROM pg_stat_activity WHERE pid = %s",
            [reader.info.backend_pid],
            expected="Extension",
        )
        cancel(conn, busy[0])
        assert len(reading.result()) == 100000
    cancel(conn, busy[1])


def test_a_session_over_its_own_limit_queues_too(connect: Connect) -> None:
    conn = connect()
    conn.execute("SET pg_background.max_workers = 1")
    conn.execute("CREATE TABLE t (a int)")
    with closed_gate(connect()) as gate:
        first = launch(conn, gate.sql)
        second = queue(conn, "SELECT 1")
        assert state(conn, second) == "queued"
        with pytest.raises(errors.ConfigurationLimitExceeded, match="too many background workers"):
            launch(conn, "SELECT 2")
        assert conn.execute("SELECT workers_active FROM pg_background_stats()").fetchone() == (1,)
    assert wait(conn, first)
    assert result(conn, second, "n int") == [(1,)]


def test_the_limit_is_that_of_the_launch_and_holds_for_all_queued_jobs(connect: Connect) -> None:
    conn = connect()
    conn.execute("SET pg_background.max_workers = 2")
    conn.execute("CREATE TABLE t (n int)")
    with closed_gate(connect()) as gate:
        handles = [queue(conn, gate.sql) for _ in range(6)]
        states = [state(conn, handle) for handle in handles]
        assert states.count("queued") == 4
        # One that is started ahead of need is busy until it has begun to wait for a job.
        wait_until(lambda: registry(conn).busy_workers == 2, what="two busy workers")
    for handle in handles:
        assert wait(conn, handle)


def test_another_databases_job_is_not_kept_waiting_by_those_that_come_after_it(
    conn: Connection, connect: Connect, make_db: Callable[[str], str]
) -> None:
    other = connect(make_db("other"))
    busy = fill(conn)
    moment = "SELECT clock_timestamp()"
    away = queue(other, moment)
    handles = [queue(conn, moment) for _ in range(20)]
    cancel(conn, busy[0])
    ((began,),) = result(other, away, "at timestamptz")
    later = [result(conn, handle, "at timestamptz")[0][0] for handle in handles]
    assert began < min(later)
    cancel(conn, busy[1])


def test_an_idle_worker_of_another_role_makes_room(
    conn: Connection, connect: Connect, make_role: MakeRole
) -> None:
    role = make_role("LOGIN", member_of=("pgbackground_role",))
    theirs = connect(user=role)
    assert wait(theirs, launch(theirs, "SELECT 1"))
    busy = launch(conn, FOREVER)
    handle = queue(conn, "SELECT 2")
    assert result(conn, handle, "n int") == [(2,)]
    cancel(conn, busy)


def test_a_job_whose_database_was_dropped_meanwhile_fails(conn: Connection, server: Server) -> None:
    conn.execute("CREATE DATABASE goes")
    busy = fill(conn)
    handle = start(conn, "SELECT 1", on_full="queue", database="goes")
    assert handle.pid < 0
    conn.execute("DROP DATABASE goes")
    cancel(conn, busy[0])
    assert wait(conn, handle)
    assert state(conn, handle) == "error"
    with pytest.raises(errors.InvalidCatalogName, match="does not exist"):
        result(conn, handle)
    cancel(conn, busy[1])


def test_a_job_whose_role_was_dropped_meanwhile_fails(conn: Connection, server: Server) -> None:
    conn.execute("CREATE ROLE goes")
    conn.execute("GRANT pgbackground_role TO goes")
    conn.execute(
        "CREATE FUNCTION as_definer() RETURNS pg_background_handle LANGUAGE sql SECURITY DEFINER "
        "AS 'SELECT pg_background_start(''SELECT 1'', on_full => ''queue'')'"
    )
    conn.execute("GRANT CREATE ON SCHEMA public TO goes")
    conn.execute("ALTER FUNCTION as_definer OWNER TO goes")
    busy = fill(conn)
    row = conn.execute("SELECT pid, cookie FROM as_definer()").fetchone()
    assert row is not None
    conn.execute("ALTER FUNCTION as_definer OWNER TO postgres")
    conn.execute("REVOKE CREATE ON SCHEMA public FROM goes")
    conn.execute("DROP ROLE goes")
    cancel(conn, busy[0])
    with pytest.raises(errors.UndefinedObject, match="role with OID .* does not exist"):
        result(conn, Handle(*row), "n int")
    cancel(conn, busy[1])


def test_fresh_processes_serve_the_line_too(server: Server, connect: Connect) -> None:
    settings = {"pg_background.max_total_workers": 2, "pg_background.worker_idle_timeout": 0}
    with server.alter_system(settings):
        conn = connect()
        handles = [queue(conn, f"SELECT {n}") for n in range(30)]
        assert [result(conn, handle, "n int") for handle in handles] == [[(n,)] for n in range(30)]


# ---- the launch that waits


def waiting_start(conn: Connection) -> Handle:
    """Start a job when a worker is to be had."""
    return start(conn, "SELECT 7", on_full="wait")


def test_a_launch_waits_for_a_worker(conn: Connection, connect: Connect) -> None:
    busy = fill(conn)
    waiter = connect()
    with at_the_same_time(waiter) as call:
        starting = call(waiting_start, waiter)
        wait_until_sql(
            conn,
            "SELECT wait_event_type FROM pg_stat_activity WHERE pid = %s",
            [waiter.info.backend_pid],
            expected="Extension",
        )
        cancel(conn, busy[0])
        handle = starting.result()
    assert state(waiter, handle) != "queued"
    assert result(waiter, handle, "n int") == [(7,)]
    cancel(conn, busy[1])


def test_a_launch_that_waited_in_vain_is_refused_and_leaves_nothing(conn: Connection) -> None:
    busy = fill(conn)
    before = registry(conn)
    with pytest.raises(errors.ConfigurationLimitExceeded, match="too many background workers in the server"):
        start(conn, "SELECT 1", on_full="wait", timeout_ms=100)
    assert registry(conn) == before
    assert conn.execute("SELECT count(*) FROM pg_background_list").fetchone() == (2,)
    conn.execute("SET pg_background.max_workers = 2")
    with pytest.raises(errors.ConfigurationLimitExceeded) as caught:
        start(conn, "SELECT 1", on_full="wait", timeout_ms=100)
    assert caught.value.diag.message_detail == "This session runs 2 jobs; pg_background.max_workers is 2."
    for each in busy:
        cancel(conn, each)


def test_a_launch_that_is_canceled_while_it_waits_leaves_nothing(conn: Connection, connect: Connect) -> None:
    busy = fill(conn)
    waiter = connect()
    before = registry(conn)
    with at_the_same_time(waiter) as call:
        starting = call(waiting_start, waiter)
        wait_until(lambda: registry(conn).live == 3)
        waiter.cancel()
        with pytest.raises(errors.QueryCanceled):
            starting.result()
    assert registry(conn) == before
    # Nor one whose session ends.
    with at_the_same_time(waiter) as call:
        starting = call(waiting_start, waiter)
        wait_until(lambda: registry(conn).live == 3)
        conn.execute("SELECT pg_terminate_backend(%s)", [waiter.info.backend_pid])
        with pytest.raises(errors.AdminShutdown):
            starting.result()
    wait_until(lambda: registry(conn) == before)
    for each in busy:
        cancel(conn, each)


# ---- many


@pytest.mark.slow
def test_ten_thousand_may_wait(fresh_server: FreshServer) -> None:
    server = fresh_server(
        {
            "pg_background.max_jobs": 11000,
            "pg_background.job_memory": "256MB",
            "pg_background.max_total_workers": 3,
            "max_worker_processes": 12,
        }
    )
    with server.connect() as conn:
        conn.execute("CREATE TABLE t (n int)")
        before = registry(conn)
        busy = [launch(conn, FOREVER) for _ in range(3)]
        conn.execute(
            "SELECT pg_background_start(format('INSERT INTO t VALUES (%s)', n), on_full => 'queue', "
            "discard_result => true) FROM generate_series(1, 10000) AS n"
        )
        assert registry(conn).live == 10003
        for each in busy:
            cancel(conn, each)
            detach(conn, each)
        wait_until_sql(conn, "SELECT live FROM pg_background_registry()", expected=0, deadline=300)
        row = conn.execute("SELECT count(*), count(DISTINCT n), min(n), max(n) FROM t").fetchone()
        assert row == (10000, 10000, 1, 10000)
        after = wait_until_quiet(conn)
        assert after.entries == before.entries
