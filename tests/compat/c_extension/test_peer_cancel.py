"""A cancel with a short grace period ends the worker, and never the server."""

from __future__ import annotations

import pytest

from ...support.calls import query, stats, value
from ...support.fix_db import Connection
from ...support.jobs import Handle, cancel, launch, run, state, wait, wait_for_state
from ...support.server import Server

#: Each of these is interrupted in another place.
BUSY = {
    "sleep": "SELECT pg_sleep(3600)",
    "loop": "DO $$ BEGIN LOOP NULL; END LOOP; END $$",
    "sort": "SELECT g FROM generate_series(1, 100000000) g ORDER BY md5(g::text)",
    "join": "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b",
    "writes": "INSERT INTO target SELECT repeat('x', 100) FROM generate_series(1, 100000000)",
    "output": "SELECT g, repeat('x', 1000) FROM generate_series(1, 100000000) g",
    "index": "CREATE INDEX ON source (md5(a::text || md5(a::text)))",
    "subtransactions": "DO $$ BEGIN LOOP BEGIN PERFORM 1/0; EXCEPTION WHEN division_by_zero THEN END;"
    " END LOOP; END $$",
    "catches all": "DO $$ BEGIN LOOP BEGIN PERFORM pg_sleep(0.01);"
    " EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END $$",
}


@pytest.mark.parametrize("job", BUSY.values(), ids=BUSY)
@pytest.mark.parametrize("grace_ms", [1, 100])
def test_short_grace(conn: Connection, server: Server, job: str, grace_ms: int) -> None:
    query(conn, "CREATE TABLE target (a text)")
    query(conn, "CREATE TABLE source AS SELECT a FROM generate_series(1, 300000) a")
    pid = server.pid
    handle = launch(conn, job)
    wait_for_state(conn, handle, "running")
    query(conn, "SELECT pg_background_cancel_v2_grace(%s, %s, %s)", *handle, grace_ms)
    assert wait(conn, handle)
    assert state(conn, handle) == "canceled"
    assert value(conn, "SELECT count(*) FROM target") == 0
    assert server.pid == pid
    assert run(conn, "SELECT 'next'") == [("next",)]


@pytest.mark.parametrize("grace_ms", [-1, 0, 1, 3_600_000, 2_147_483_647])
def test_any_grace(conn: Connection, grace_ms: int) -> None:
    """However long, it ends with the job."""
    handle = launch(conn, BUSY["sleep"])
    cancel(conn, handle, grace_ms)
    assert wait(conn, handle)
    assert state(conn, handle) == "canceled"


def test_many_at_once(conn: Connection) -> None:
    handles = [launch(conn, job) for job in [BUSY["loop"], BUSY["sleep"], BUSY["output"]] * 4]
    query(
        conn,
        "SELECT pg_background_cancel_v2_grace(pid, cookie, 1) FROM pg_background_list",
    )
    for handle in handles:
        assert wait(conn, handle)
        assert state(conn, handle) == "canceled"
    assert stats(conn)["canceled"] == 12


def test_cancel_hits_only_its_job(conn: Connection) -> None:
    """The next job may run in the same process by the time the signal comes."""
    for n in range(200):
        first = launch(conn, "SELECT 1")
        cancel(conn, first)
        assert run(conn, f"SELECT {n}", "n int") == [(n,)]
        wait(conn, first)
        query(conn, "SELECT pg_background_detach(%s, %s)", *first)


def test_cancel_of_a_finished_job_changes_nothing(conn: Connection) -> None:
    handle: Handle = launch(conn, "SELECT 'kept'")
    wait(conn, handle)
    for grace_ms in (0, 1, 1000):
        cancel(conn, handle, grace_ms)
    assert state(conn, handle) == "stopped"
    assert query(conn, "SELECT * FROM pg_background_result(%s, %s) AS (a text)", *handle) == [("kept",)]
    assert stats(conn)["canceled"] == 0
