"""Idle workers listen to what all processes of a server are told, and hold back none of its work."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..support.calls import failure, query, value
from ..support.fix_db import Connection
from ..support.fix_server import FreshServer, fills_job_memory
from ..support.jobs import (
    FOREVER,
    Handle,
    cancel,
    closed_gate,
    detach,
    launch,
    result,
    run,
    state,
    wait,
    wait_until_asleep,
)
from ..support.registry import registry, wait_until_quiet
from ..support.server import Server
from ..support.tablespaces import make_tablespace
from ..support.waiting import wait_until, wait_until_sql
from ..support.workers import wait_until_idle


@pytest.fixture(scope="module")
def own_server(fresh_cluster: FreshServer) -> Server:
    """A server whose one worker stays, without autovacuum's processes, and with logical decoding."""
    return fresh_cluster(
        {
            "pg_background.worker_idle_timeout": "1h",
            "pg_background.max_total_workers": 1,
            "autovacuum": "off",
            "wal_level": "logical",
            "max_worker_processes": 16,
        }
    )


@pytest.fixture
def conn(own_server: Server) -> Iterator[Connection]:
    with own_server.connect(options="-c statement_timeout=60s") as conn:
        yield conn


@pytest.fixture
def idle(conn: Connection) -> int:
    """An idle worker, as warm as it gets: it has had work of all kinds."""
    handle = launch(
        conn,
        "CREATE TEMP TABLE t (a int); INSERT INTO t VALUES (1); SELECT count(*) FROM pg_class JOIN t ON true",
    )
    assert wait(conn, handle)
    detach(conn, handle)
    wait_until_idle(conn, handle.pid)
    return handle.pid


def of_worker(conn: Connection, pid: int, expression: str) -> str:
    """Evaluate an expression in a job that must run in this worker."""
    handle = launch(conn, f"SELECT ({expression})::text")
    assert handle.pid == pid
    ((found,),) = result(conn, handle)
    wait_until_idle(conn, pid)
    return str(found)


@pytest.mark.parametrize(
    ("setting", "new"), [("work_mem", "7MB"), ("autovacuum_naptime", "77s"), ("lock_timeout", "7777ms")]
)
def test_reloaded_configuration(
    own_server: Server, conn: Connection, idle: int, setting: str, new: str
) -> None:
    """It reaches idle workers, and its end does."""
    shown = f"current_setting('{setting}')"
    before = of_worker(conn, idle, shown)
    with own_server.alter_system({setting: new}):
        wait_until_sql(conn, f"SELECT {shown}", expected=new)
        assert of_worker(conn, idle, shown) == new
    wait_until_sql(conn, f"SELECT {shown}", expected=before)
    assert of_worker(conn, idle, shown) == before


@pytest.mark.usefixtures("idle")
def test_barriers(own_server: Server, conn: Connection, open_tmp_path: Path) -> None:
    """Nobody waits for an answer of an idle worker."""
    mark = own_server.log.mark()
    for n in range(3):
        make_tablespace(own_server, open_tmp_path, f"barrier_{n}")
        query(conn, f"CREATE TABLE placed (a int) TABLESPACE barrier_{n}")
        query(conn, "DROP TABLE placed")
        query(conn, f"DROP TABLESPACE barrier_{n}")
        query(conn, "CREATE DATABASE passing")
        query(conn, "DROP DATABASE passing")
    assert "still waiting for backend" not in own_server.log.since(mark)


def test_barriers_beside_a_busy_worker(conn: Connection) -> None:
    """It answers too: dropping any database asks each process of the server."""
    handle = launch(conn, FOREVER)
    wait_until_asleep(conn, handle.pid)
    for _ in range(2):
        query(conn, "CREATE DATABASE passing")
        query(conn, "DROP DATABASE passing")
    assert state(conn, handle) == "running"
    cancel(conn, handle)
    assert wait(conn, handle)
    detach(conn, handle)


def test_idle_workers_hold_no_snapshot_and_no_lock(conn: Connection, idle: int) -> None:
    query(conn, "CREATE TABLE held (a int)")
    job = "LOCK held; SELECT pg_advisory_lock(5); CREATE TEMP TABLE t (a int); INSERT INTO held VALUES (1)"
    run(conn, job)
    wait_until_idle(conn, idle)
    activity = "SELECT backend_xmin, backend_xid, xact_start FROM pg_stat_activity WHERE pid = %s"
    assert query(conn, activity, idle) == [(None, None, None)]
    assert value(conn, "SELECT count(*) FROM pg_locks WHERE pid = %s", idle) == 0
    query(conn, "DROP TABLE held")


def test_catch_up_with_invalidations(own_server: Server, conn: Connection, idle: int) -> None:
    """One that has not looked for long is asked to, and does without a job."""
    with own_server.alter_system({"log_min_messages": "debug4"}):
        query(conn, "SET log_min_messages = 'debug4'")
        mark = own_server.log.mark()
        query(
            conn,
            """DO $$ BEGIN
              FOR i IN 1..600 LOOP
                EXECUTE 'CREATE TABLE many (a int)';
                EXECUTE 'ALTER TABLE many ADD b int';
                EXECUTE 'DROP TABLE many';
              END LOOP;
            END $$""",
        )
        own_server.log.wait_for(rf"\[{idle}\].* ProcessCatchupEvent outside transaction", mark)
        query(conn, "RESET log_min_messages")
    query(conn, "CREATE TABLE many (late text DEFAULT 'x')")
    assert of_worker(conn, idle, "SELECT count(*) FROM many") == "0"
    query(conn, "DROP TABLE many")


def test_vacuum_beside_idle_workers(conn: Connection, idle: int) -> None:
    """Dead rows go; while a job's transaction may still see them, they stay."""
    query(conn, "DROP TABLE IF EXISTS dead; CREATE TABLE dead AS SELECT generate_series(1, 10000) AS n")
    # The worker has just read it.
    assert of_worker(conn, idle, "SELECT count(*) FROM dead") == "10000"
    busy = launch(conn, FOREVER)
    assert busy.pid == idle
    wait_until_asleep(conn, idle)
    query(conn, "DELETE FROM dead")
    query(conn, "VACUUM dead")
    assert value(conn, "SELECT pg_relation_size('dead')") > 0
    cancel(conn, busy)
    assert wait(conn, busy)
    wait_until_idle(conn, idle)
    detach(conn, busy)
    held = "SELECT backend_xmin, backend_xid, xact_start FROM pg_stat_activity WHERE pid = %s"
    assert query(conn, held, idle) == [(None, None, None)]
    query(conn, "VACUUM dead")
    assert value(conn, "SELECT pg_relation_size('dead')") == 0


@pytest.mark.usefixtures("idle")
def test_replication_slot_beside_idle_workers(conn: Connection) -> None:
    """One can be made, and moves on."""
    query(conn, "SELECT pg_create_logical_replication_slot('moving', 'pgoutput')")
    query(conn, "DROP TABLE IF EXISTS replicated; CREATE TABLE replicated (n int); CREATE PUBLICATION moving")
    oldest = "SELECT age(catalog_xmin) FROM pg_replication_slots WHERE slot_name = 'moving'"
    changes = (
        "SELECT count(*) FROM pg_logical_slot_get_binary_changes('moving', NULL, NULL, "
        "'proto_version', '1', 'publication_names', 'moving')"
    )
    for n in range(100):
        query(conn, f"INSERT INTO replicated VALUES ({n})")

    def has_moved() -> bool:
        query(conn, "CHECKPOINT")
        query(conn, changes)
        return int(value(conn, oldest)) < 50

    assert value(conn, oldest) > 100
    wait_until(has_moved, what="the slot moves on")
    query(conn, "SELECT pg_drop_replication_slot('moving'); DROP PUBLICATION moving")


# ---- parallel query

PARALLEL = (
    "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;"
    "SET max_parallel_workers_per_gather = 2"
)


def parallel_workers(conn: Connection) -> int:
    """Return how many workers a parallel query gets."""
    query(conn, "CREATE TABLE IF NOT EXISTS scanned AS SELECT generate_series(1, 1000) AS n")
    query(conn, PARALLEL)
    plan = "\n".join(line for (line,) in query(conn, "EXPLAIN (ANALYZE) SELECT count(*) FROM scanned"))
    found = re.search(r"Workers Launched: (\d+)", plan)
    assert found is not None, plan
    return int(found[1])


@pytest.mark.parametrize("busy", [True, False], ids=["busy", "idle"])
def test_parallel_query_beside_a_full_pool(fresh_server: FreshServer, busy: bool) -> None:
    """The default leaves three processes: the keeper, the server's own for replication, and one for this."""
    server = fresh_server({"max_worker_processes": 8, "pg_background.worker_idle_timeout": "1h"})
    with server.connect() as conn:
        handles = [launch(conn, FOREVER) for _ in range(5)]
        assert failure(conn, "SELECT pg_background_launch('SELECT 1')").sqlstate == "53400"
        if not busy:
            for handle in handles:
                cancel(conn, handle)
                assert wait(conn, handle)
                wait_until_idle(conn, handle.pid)
            assert registry(conn).idle_workers == 5
        launched = parallel_workers(conn)
        assert launched >= 1, query(conn, "SELECT pid, backend_type, state FROM pg_stat_activity")


def test_parallel_query_in_every_job_of_a_full_pool(fresh_server: FreshServer) -> None:
    """Jobs that want parallel workers and get none run without."""
    server = fresh_server({"max_worker_processes": 8})
    with server.connect() as holder, server.connect() as conn:
        parallel_workers(conn)
        with closed_gate(holder) as gate:
            handles = [launch(conn, f"{gate.sql}; SELECT count(*) FROM scanned") for _ in range(5)]
        assert [result(conn, handle, "n int8") for handle in handles] == [[(1000,)]] * 5
        wait_until_quiet(conn, area_bytes=0)


@pytest.mark.slow
@fills_job_memory
def test_parallel_query_beside_a_thousand_unread_results(fresh_server: FreshServer) -> None:
    """They hold none of the segments that it needs."""
    server = fresh_server({"pg_background.max_jobs": 1100})
    with server.connect() as conn:
        handles: list[Handle] = []
        for n in range(1000):
            handles.append(launch(conn, f"SELECT {n}"))
            assert wait(conn, handles[-1])
        assert registry(conn).unread == 1000
        assert parallel_workers(conn) == 2
        assert [result(conn, handle, "n int") for handle in handles] == [[(n,)] for n in range(1000)]
        wait_until_quiet(conn, area_bytes=0)


# ---- smart shutdown


def test_smart_shutdown_lets_sessions_finish(fresh_server: FreshServer) -> None:
    """While a session is left, its jobs go on and it may launch; then all stops."""
    server = fresh_server()
    with server.connect() as conn:
        running = launch(conn, "SELECT 'went on' FROM pg_sleep(0.2)")
        mark = server.log.mark()
        os.kill(server.pid, signal.SIGTERM)
        server.log.wait_for("received smart shutdown request", mark)
        assert result(conn, running) == [("went on",)]
        assert run(conn, "SELECT 'launched'") == [("launched",)]
    wait_until(lambda: not server.is_running(), what="the server is down")
