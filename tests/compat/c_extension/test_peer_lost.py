"""No job is lost and nothing is kept, whichever side is first."""

from __future__ import annotations

import pytest

from ...support.calls import nothing_is_left, query, value
from ...support.fix_db import Connection
from ...support.jobs import detach, launch, result, run, wait, wait_for_state, wait_until_gone
from ...support.registry import registry
from ...support.server import Server
from ...support.waiting import wait_until_sql

INSERT = "INSERT INTO done DEFAULT VALUES"


@pytest.fixture
def done(conn: Connection) -> Connection:
    """A session, and a table that jobs write to."""
    query(conn, "CREATE TABLE done (id int GENERATED ALWAYS AS IDENTITY)")
    return conn


def count(conn: Connection, expected: int) -> None:
    wait_until_sql(conn, "SELECT count(*) FROM done", expected=expected)


@pytest.mark.parametrize("verb", ["launch", "submit", "launch_v2", "submit_v2"])
def test_psql_exits_at_once(done: Connection, server: Server, db: str, verb: str) -> None:
    for _ in range(10):
        server.psql(f"SELECT pg_background_{verb}('{INSERT}')", db)
    count(done, 10)


def test_detach_at_once_faster_than_the_workers(done: Connection) -> None:
    """Some launches are refused; each of the others has its effect."""
    query(done, "SET pg_background.max_workers = 1000")
    query(
        done,
        """CREATE FUNCTION start() RETURNS int LANGUAGE plpgsql AS $$
        DECLARE h record; n int := 0;
        BEGIN
          FOR i IN 1..1000 LOOP
            BEGIN
              SELECT * INTO h FROM pg_background_launch('INSERT INTO done DEFAULT VALUES');
              PERFORM pg_background_detach(h.pid, h.cookie);
              n := n + 1;
            EXCEPTION WHEN insufficient_resources OR configuration_limit_exceeded THEN
            END;
          END LOOP;
          RETURN n;
        END $$""",
    )
    launched = value(done, "SELECT start()")
    assert launched > 0
    assert value(done, "SELECT workers_launched FROM pg_background_stats()") == launched
    count(done, launched)


def test_ten_thousand_launches_in_one_transaction(conn: Connection) -> None:
    """Read, so that each is gone before the next."""
    run(conn, "SELECT 1", "a int")
    with nothing_is_left(conn):
        entries = registry(conn).entries
        query(
            conn,
            """DO $$ DECLARE h record; total int8 := 0; n int; BEGIN
            FOR i IN 1..10000 LOOP
              SELECT * INTO h FROM pg_background_launch('SELECT ' || i);
              SELECT a INTO n FROM pg_background_result(h.pid, h.cookie) AS (a int);
              total := total + n;
            END LOOP;
            IF total <> 50005000 THEN RAISE 'sum is %', total; END IF; END $$""",
        )
        assert registry(conn).entries <= entries


@pytest.mark.parametrize("queue_size", [64, 65536, 2 << 20])
def test_memory_of_many_queues_comes_back(conn: Connection, queue_size: int) -> None:
    """Of sizes with segments of their own too."""
    with nothing_is_left(conn):
        for n in range(100):
            handle = launch(conn, "SELECT repeat('x', 1000)", queue_size=queue_size)
            if n % 2:
                assert len(result(conn, handle)) == 1
            else:
                wait(conn, handle)
                detach(conn, handle)


def test_dsm_segments_do_not_add_up(conn: Connection) -> None:
    """Neither do those that the server knows by name."""
    query(conn, "SET pg_background.max_workers = 1000")
    handles = [launch(conn, "SELECT 1") for _ in range(10)]
    for _ in range(300):
        wait(conn, handles[-1])
        handles.append(launch(conn, "SELECT 1"))
    for handle in handles:
        wait(conn, handle)
    # A parallel query still gets its segment.
    forced = "debug_parallel_query" if conn.info.server_version >= 160000 else "force_parallel_mode"
    query(conn, f"SET {forced} = on")
    assert "Workers Launched: 1" in "\n".join(
        line for (line,) in query(conn, "EXPLAIN (ANALYZE, COSTS off) SELECT count(*) FROM pg_class")
    )
    for handle in handles:
        assert result(conn, handle, "a int") == [(1,)]


@pytest.mark.parametrize("job", ["SELECT 'x'", "SELECT 1/0", "CREATE TABLE made ()", ""])
@pytest.mark.parametrize("idle_timeout", ["0", "3s"])
def test_the_worker_is_first(conn: Connection, server: Server, job: str, idle_timeout: str) -> None:
    """The job, and its process too, are gone before anybody looks."""
    with server.alter_system({"pg_background.worker_idle_timeout": idle_timeout}):
        handle = launch(conn, job)
        wait_for_state(conn, handle, "error" if "/0" in job else "stopped")
        if idle_timeout == "0":
            wait_until_gone(conn, handle.pid)
        assert wait(conn, handle) is True
        assert value(conn, "SELECT pg_background_wait_v2_timeout(%s, %s, 0)", *handle) is True
        if "/0" not in job:
            assert len(result(conn, handle)) == (0 if job == "" else 1)
