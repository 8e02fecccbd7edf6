"""What comes in between: notices inside of a message, ends that come late, limits of the transaction."""

from __future__ import annotations

import psycopg
import pytest

from ..support.calls import at_the_same_time, query, wait_until_blocked
from ..support.fix_db import Connect, Connection, MakeRole
from ..support.fix_server import FreshServer
from ..support.jobs import launch, run, state
from ..support.registry import registry
from ..support.server import Server
from ..support.waiting import wait_until
from ..support.workers import only_worker


@pytest.mark.parametrize("queue_size", [64, 1000, 0])
def test_notices_of_parallel_workers(conn: Connection, queue_size: int) -> None:
    """They arrive while the job waits for room in its queue, in the middle of a message of rows."""
    query(conn, "CREATE TABLE big AS SELECT i, repeat('x', 100) AS t FROM generate_series(1, 100000) AS i")
    query(conn, "ALTER TABLE big SET (parallel_workers = 2)")
    query(conn, "ANALYZE big")
    query(
        conn,
        """CREATE FUNCTION noisy(i int) RETURNS int LANGUAGE plpgsql PARALLEL SAFE AS $$
        BEGIN
          IF i % 100 = 0 THEN
            RAISE NOTICE 'at %', i;
          END IF;
          RETURN i;
        END $$""",
    )
    for setting in ("parallel_setup_cost", "parallel_tuple_cost", "min_parallel_table_scan_size"):
        query(conn, f"SET {setting} = 0")
    notices: list[str | None] = []
    conn.add_notice_handler(lambda diagnostic: notices.append(diagnostic.message_primary))
    handle = launch(conn, "SELECT noisy(i), t FROM big", queue_size=queue_size)
    read = query(
        conn,
        "SELECT count(*), sum(i), sum(length(t)) FROM pg_background_result(%s, %s) AS (i int, t text)",
        *handle,
    )
    assert read == [(100_000, 5_000_050_000, 10_000_000)]
    assert sorted(filter(None, notices)) == sorted(f"at {i}" for i in range(100, 100_001, 100))


def test_a_terminate_during_the_commit_spares_the_next_job(connect: Connect, server: Server) -> None:
    """The process of a job that has committed all the same is not given another one."""
    with only_worker(server):
        first, second = connect(), connect()
        query(first, "CREATE TABLE t (n int)")
        query(first, "SET commit_delay = 100000; SET commit_siblings = 0; SET synchronous_commit = on")
        for n in range(10):
            handle = launch(first, f"INSERT INTO t VALUES ({n})")
            query(second, "SELECT pg_background_cancel(%s, %s, 1)", *handle)
            assert run(second, "SELECT 1", "n int") == [(1,)]
            assert state(first, handle) in {"stopped", "canceled"}


def test_the_template_named_default(server: Server) -> None:
    """The library looks at the statement, and must bear all its forms."""
    server.execute("CREATE DATABASE from_default TEMPLATE = DEFAULT")
    server.execute("DROP DATABASE from_default")


def test_a_request_larger_than_all_job_memory(fresh_server: FreshServer) -> None:
    """It is refused before it takes the memory of others."""
    server = fresh_server({"pg_background.job_memory": "4MB"})
    with server.connect() as conn:
        submitted = query(conn, "SELECT pid, cookie FROM pg_background_submit('SELECT 1')")
        query(conn, "SELECT pg_background_wait(%s, %s)", *submitted[0])
        before = query(conn, "SELECT area_bytes FROM pg_background_registry()")
        with pytest.raises(psycopg.errors.OutOfMemory, match="out of job memory"):
            launch(conn, "SELECT 1 -- " + "x" * 5_000_000)
        assert query(conn, "SELECT area_bytes FROM pg_background_registry()") == before


def test_a_launch_that_is_canceled_while_it_looks_up_its_session_user(
    connect: Connect, make_role: MakeRole
) -> None:
    """It holds no job memory yet."""
    role = make_role("SUPERUSER LOGIN")
    session, other, watcher = connect(), connect(), connect()
    query(session, f"SET SESSION AUTHORIZATION {role}")
    query(session, "SET ROLE postgres")
    assert run(session, "SELECT 1", "n int") == [(1,)]
    before = registry(watcher).area_bytes
    query(other, f"ALTER ROLE {role} VALID UNTIL 'infinity'")
    with at_the_same_time(session) as call, other.transaction():
        query(other, "LOCK TABLE pg_authid")
        launching = call(launch, session, "SELECT 1")
        wait_until_blocked(watcher, session.info.backend_pid)
        session.cancel()
        assert launching.failure().sqlstate == "57014"
    assert registry(watcher).area_bytes == before


def test_encoding_after_a_job_that_set_it(connect: Connect, server: Server) -> None:
    """A euro sign, which LATIN1 has not, goes through: nothing leaves the server's encoding."""
    euro = "SELECT length(U&'\\20AC')"
    with only_worker(server):
        conn = connect(client_encoding="LATIN1")
        run(conn, "DO $$ BEGIN SET LOCAL client_encoding = 'SQL_ASCII'; END $$")
        raises = "DO $$ BEGIN RAISE LOG '%', U&'\\20AC'; END $$"
        for before in (f"SET client_min_messages = log; {raises}", "SET client_encoding = LATIN1"):
            assert run(conn, f"{before}; {euro}", "n int") == [(1,)]


def test_replication_slots_stay_with_their_job(connect: Connect, server: Server) -> None:
    passing = "SELECT slot_name::text FROM pg_create_physical_replication_slot('passing', true, true)"
    with only_worker(server):
        conn = connect()
        query(conn, "SELECT pg_create_physical_replication_slot('lasting', true)")
        try:
            # It has the slot when it fails: that is not to be advanced to where it was before.
            with pytest.raises(
                psycopg.errors.ObjectNotInPrerequisiteState, match="cannot advance replication slot"
            ):
                run(conn, "SELECT pg_replication_slot_advance('lasting', '0/1')")
            run(conn, passing)
            wait_until(
                lambda: (
                    query(conn, "SELECT slot_name, active FROM pg_replication_slots") == [("lasting", False)]
                ),
                what="the job's slots released",
            )
        finally:
            query(conn, "SELECT pg_drop_replication_slot('lasting')")
