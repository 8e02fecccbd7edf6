"""Prepared transactions, REINDEX and parallel queries of other sessions, under load."""

from __future__ import annotations

import re
from functools import partial

import pytest

from ..support.calls import query, value
from ..support.fix_server import FreshServer
from ..support.jobs import Connection, launch, result
from .extent import Extent
from .leaks import PATIENCE
from .tally import Tally
from .under_load import under_load

pytestmark = pytest.mark.slow

#: Of processes that scan together.
PARALLEL = "SELECT count(*), sum(n) FROM scanned"
PARALLEL_SETTINGS = {
    "parallel_setup_cost": 0,
    "parallel_tuple_cost": 0,
    "min_parallel_table_scan_size": 0,
    "max_parallel_workers_per_gather": 2,
}


def test_prepared_transactions(fresh_server: FreshServer, extent: Extent, tally: Tally) -> None:
    """Jobs wait for locks of a transaction that no process has, also over a crash, and go on at its end."""
    server = fresh_server({"max_prepared_transactions": 8, "log_min_messages": "fatal"})
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'effects'::regclass"
    with under_load(server, "prepared", tally) as (crew, injector):

        def prepare(end: str) -> int:
            with server.connect() as conn:
                query(conn, "BEGIN; LOCK effects IN SHARE MODE; PREPARE TRANSACTION 'neighbour'")
            return int(
                # It is about jobs that wait.
                injector.inject(1, lambda: int(server.execute(waiting) > 0)) and finish(end)
            )

        def finish(end: str) -> int:
            server.execute(f"{end} PREPARED 'neighbour'")
            return 1

        for end in ("COMMIT", "ROLLBACK"):
            tally.faults(
                f"lock of a prepared transaction, {end}",
                injector.inject(extent.neighbours, partial(prepare, end), pause=0.05),
            )

        def crash() -> int:
            with server.connect() as conn:
                query(conn, "BEGIN; LOCK effects IN SHARE MODE; PREPARE TRANSACTION 'neighbour'")
            injector.stop_and_start(partial(server.cluster.stop, "immediate", timeout=PATIENCE))
            injector.inject(1, lambda: int(server.execute(waiting) > 0))
            return finish("COMMIT")

        tally.faults(
            "shutdown immediate with a prepared transaction", injector.inject(extent.crashes // 2, crash)
        )
    assert not any(job.state == "lost" for job in crew.ledger.jobs)


def test_reindex(fresh_server: FreshServer, extent: Extent, tally: Tally) -> None:
    """It ends, beside jobs of all kinds, and finds all that they have committed."""
    server = fresh_server({"log_min_messages": "fatal"})
    kinds = (
        "REINDEX TABLE effects",
        "REINDEX TABLE CONCURRENTLY effects",
        "REINDEX INDEX CONCURRENTLY effects_job",
        # What each job looks into.
        "REINDEX TABLE pg_proc",
        "REINDEX TABLE pg_type",
    )
    with under_load(server, "reindex", tally) as (_, injector), server.connect() as conn:
        query(conn, "CREATE INDEX effects_job ON effects (job)")
        for sql in kinds:

            def reindex(sql: str = sql) -> int:
                query(conn, sql)
                return 1

            tally.faults(sql, injector.inject(extent.neighbours, reindex, pause=0.05))
    with server.connect() as conn:
        assert value(conn, "SELECT bool_and(indisvalid) FROM pg_index")
        counts = []
        for name in ("enable_indexscan", "enable_seqscan"):
            query(conn, f"SET {name} = off; SET enable_bitmapscan = off; SET enable_indexonlyscan = off")
            counts.append(value(conn, "SELECT count(*) FROM (SELECT job FROM effects ORDER BY job) e"))
            query(conn, "RESET ALL")
        assert counts[0] == counts[1]
        if value(conn, "SELECT count(*) FROM pg_available_extensions WHERE name = 'amcheck'"):
            query(conn, "CREATE EXTENSION amcheck")
            checked = query(
                conn,
                "SELECT bt_index_check(indexrelid, true) FROM pg_index JOIN pg_class i ON i.oid = indexrelid "
                "JOIN pg_am a ON a.oid = i.relam AND amname = 'btree' WHERE relpersistence = 'p'",
            )
            tally.add("indexes checked by amcheck", len(checked))


def test_parallel_queries(fresh_server: FreshServer, extent: Extent, tally: Tally) -> None:
    """Sessions and jobs that want more processes get what is free, and the whole answer."""
    server = fresh_server({"max_worker_processes": 16, "log_min_messages": "fatal", **PARALLEL_SETTINGS})
    server.execute("CREATE TABLE scanned AS SELECT generate_series(1, 10000) AS n")
    server.execute("GRANT SELECT ON scanned TO PUBLIC")
    expected = (10000, 50005000)
    helped = 0
    with (
        under_load(server, "parallel", tally) as (_, injector),
        server.connect() as conn,
        # Whose jobs are none of the load's.
        server.connect(user="greedy") as greedy,
    ):

        def in_a_session() -> int:
            nonlocal helped
            assert query(conn, PARALLEL) == [expected]
            helped += launched(conn)
            return 1

        def in_a_job() -> int:
            handle = launch(greedy, PARALLEL)
            assert result(greedy, handle, "count int8, sum int8") == [expected]
            return 1

        tally.add("parallel queries", injector.inject(8 * extent.neighbours, in_a_session))
        tally.add("parallel queries of jobs", injector.inject(8 * extent.neighbours, in_a_job))
    tally.add("parallel workers that they had", helped)
    # The load is over and its workers are idle: one process is left whatever they are.
    with server.connect() as conn:
        assert launched(conn) >= 1


def launched(conn: Connection) -> int:
    """Run a parallel query, and return how many workers it had."""
    plan = "\n".join(line for (line,) in query(conn, f"EXPLAIN (ANALYZE) {PARALLEL}"))
    found = re.search(r"Workers Launched: (\d+)", plan)
    assert found is not None, plan
    return int(found[1])
