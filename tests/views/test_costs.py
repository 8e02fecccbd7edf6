"""What jobs took: pg_background_resources, pg_background_histograms, columns of pg_background_totals."""

from __future__ import annotations

import math
from typing import Any

import pytest
from psycopg.rows import DictRow, dict_row

from ..support.calls import query, value
from ..support.fix_db import Connect, Connection, MakeRole
from ..support.jobs import (
    FOREVER,
    Handle,
    cancel,
    closed_gate,
    detach,
    launch,
    result,
    start,
    submit,
    wait,
    wait_until_asleep,
)
from ..support.waiting import wait_until

TIMES = ("cpu_user_ms", "cpu_system_ms", "blk_read_ms", "blk_write_ms")
BOUNDS = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 60, 300, 900, 3600, 7200, 14400, math.inf]


def resources(conn: Connection, handle: Handle) -> DictRow:
    """Return the job's row."""
    with conn.cursor(row_factory=dict_row) as cursor:
        cursor.execute(
            "SELECT * FROM pg_background_resources WHERE (pid, cookie) = (%s, %s)",
            [handle.pid, handle.cookie],
        )
        (row,) = cursor.fetchall()
    return row


def amounts(row: DictRow) -> dict[str, Any]:
    """Return what it took, without whose it is."""
    return dict(list(row.items())[6:])


def of(conn: Connection, job: str) -> DictRow:
    """Run a job and return its row."""
    handle = launch(conn, job)
    assert wait(conn, handle)
    row = resources(conn, handle)
    detach(conn, handle)
    return row


def totals(conn: Connection, role: str = "postgres") -> DictRow:
    """Return the row of this database and role."""
    with conn.cursor(row_factory=dict_row) as cursor:
        cursor.execute(
            "SELECT * FROM pg_background_totals WHERE (database, role) = (current_database(), %s)", [role]
        )
        (row,) = cursor.fetchall()
    return row


def histogram(conn: Connection, metric: str) -> dict[float, int]:
    """Return how many jobs took no longer, by the bound, of this database."""
    found = query(
        conn,
        "SELECT le, jobs FROM pg_background_histograms"
        " WHERE (database, role, metric) = (current_database(), 'postgres', %s)",
        metric,
    )
    assert [le for le, _ in found] == BOUNDS
    return dict(found)


def test_a_job_that_writes(conn: Connection, db: str) -> None:
    handle = launch(
        conn, "CREATE TABLE made AS SELECT n FROM generate_series(1, 20000) AS n", label="the writer"
    )
    assert wait(conn, handle)
    row = resources(conn, handle)
    assert (row["database"], row["role"], row["label"], row["state"]) == (
        db,
        "postgres",
        "the writer",
        "stopped",
    )
    assert row["wal_records"] > 0
    assert row["wal_bytes"] > 20000
    assert row["shared_blks_dirtied"] > 50
    assert row["shared_blks_hit"] > 50
    assert 0 < row["cpu_user_ms"] + row["cpu_system_ms"] < 60000
    assert row["temp_blks_written"] == 0
    # it is the only job of its database
    assert dict(list(totals(conn).items())[-13:]) == pytest.approx(amounts(row))


def test_a_job_that_reads_and_sorts_on_disk(conn: Connection) -> None:
    conn.execute("SET work_mem = '64kB'")
    conn.execute("CREATE TABLE big AS SELECT n, repeat('x', 100) AS t FROM generate_series(1, 20000) AS n")
    row = of(conn, "SELECT count(*) FROM (SELECT * FROM big ORDER BY t, n DESC OFFSET 1) AS s")
    assert row["temp_blks_written"] > 100
    assert row["temp_blks_read"] > 100
    assert row["shared_blks_hit"] + row["shared_blks_read"] > 200


def test_the_processor_time_is_that_of_the_job(conn: Connection) -> None:
    busy = of(conn, "SELECT count(*) FROM generate_series(1, 1000000)")
    idle = of(conn, "SELECT 1")
    assert busy["cpu_user_ms"] > 20
    assert idle["cpu_user_ms"] < busy["cpu_user_ms"]


def test_io_times_where_the_server_takes_them(conn: Connection) -> None:
    conn.execute("SET track_io_timing = on")
    row = of(conn, "CREATE TABLE read AS SELECT n FROM generate_series(1, 10000) AS n; CHECKPOINT")
    assert [row[name] >= 0 for name in TIMES] == [True] * 4


def test_what_a_failed_job_took(conn: Connection) -> None:
    row = of(conn, "CREATE TABLE t AS SELECT n FROM generate_series(1, 10000) AS n; SELECT 1 / 0")
    assert row["state"] == "error"
    assert row["wal_bytes"] > 10000


@pytest.mark.crashes
def test_what_a_job_took_whose_process_was_ended(conn: Connection) -> None:
    handle = launch(conn, "CREATE TABLE t AS SELECT n FROM generate_series(1, 10000) AS n; " + FOREVER)
    wait_until_asleep(conn, handle.pid)
    conn.execute("SELECT pg_terminate_backend(%s)", [handle.pid])
    assert wait(conn, handle)
    row = resources(conn, handle)
    assert row["state"] == "lost"
    assert row["wal_bytes"] > 10000
    assert totals(conn)["wal_bytes"] >= row["wal_bytes"]


def test_one_that_runs_and_one_that_never_did(conn: Connection) -> None:
    conn.execute("SET pg_background.max_workers = 1")
    runs = start(conn, FOREVER, on_full="queue")
    queued = start(conn, "SELECT 1", on_full="queue")
    assert set(amounts(resources(conn, runs)).values()) == {None}
    cancel(conn, queued)
    assert set(amounts(resources(conn, queued)).values()) == {0}
    cancel(conn, runs)
    assert wait(conn, runs)
    assert None not in amounts(resources(conn, runs)).values()


def test_bounds_are_upper_ones(conn: Connection) -> None:
    with closed_gate(conn) as gate:
        handle = submit(conn, gate.sql)
        wait_until(lambda: value(conn, "SELECT count(*) FROM pg_background_jobs WHERE state = 'running'"))
        conn.execute("SELECT pg_sleep(0.02)")
    assert wait(conn, handle)
    run = histogram(conn, "run")
    assert run[0.003] == run[0.01] == 0
    assert run[60] == run[math.inf] == 1
    queue_wait = histogram(conn, "queue_wait")
    assert queue_wait[math.inf] == 1
    assert list(run.values()) == sorted(run.values())


def test_histograms_count_what_has_begun(conn: Connection) -> None:
    conn.execute("SET pg_background.max_workers = 1")
    runs = start(conn, FOREVER, on_full="queue")
    queued = start(conn, "SELECT 1", on_full="queue")
    cancel(conn, queued)
    cancel(conn, runs)
    assert wait(conn, runs)
    assert totals(conn)["canceled"] == 2
    assert histogram(conn, "run")[math.inf] == histogram(conn, "queue_wait")[math.inf] == 1


def test_who_sees_what(conn: Connection, connect: Connect, make_role: MakeRole) -> None:
    handle = launch(conn, "SELECT 1", label="secret costs")
    assert wait(conn, handle)
    other = connect(user=make_role(member_of=("pgbackground_role",)))
    monitor = connect(user=make_role(member_of=("pg_monitor",)))
    seen = "SELECT label, cookie IS NULL FROM pg_background_resources WHERE label = 'secret costs'"
    assert query(other, seen) == []
    assert query(monitor, seen) == [("secret costs", True)]
    counted = "SELECT count(*) > 0 FROM pg_background_histograms WHERE role = 'postgres'"
    assert query(other, counted) == [(False,)]
    assert query(monitor, counted) == [(True,)]
    own = launch(other, "SELECT 1", label="own")
    assert wait(other, own)
    assert query(other, "SELECT label FROM pg_background_resources") == [("own",)]
    assert query(other, "SELECT DISTINCT metric FROM pg_background_histograms ORDER BY 1") == [
        ("queue_wait",),
        ("run",),
    ]
    assert result(other, own, "n int") == [(1,)]
