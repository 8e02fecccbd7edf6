"""A job ends whatever the size of its output, read or not."""

from __future__ import annotations

import pytest

from ...support.calls import nothing_is_left, query, read_result, value
from ...support.fix_db import Connect, Connection
from ...support.jobs import detach, launch, run, submit, wait, wait_for_state
from ...support.registry import registry

ROWS = "SELECT g, repeat('x', 100) FROM generate_series(1, {}) g"


@pytest.mark.parametrize("rows", [1, 500, 600, 700, 5_000, 200_000])
@pytest.mark.parametrize("queue_size", [0, 64, 1 << 20])
def test_wait_before_result(conn: Connection, rows: int, queue_size: int) -> None:
    """Sizes below, around and far above that of the queue."""
    handle = launch(conn, ROWS.format(rows), queue_size=queue_size)
    assert wait(conn, handle) is True
    found = read_result(conn, handle, "g int, x text", "count(*), sum(g), min(length(x)), max(length(x))")
    assert found == [(rows, rows * (rows + 1) // 2, 100, 100)]


def test_wait_has_not_to_be_followed_by_result(conn: Connection) -> None:
    with nothing_is_left(conn):
        before = registry(conn).spill_bytes
        handle = launch(conn, ROWS.format(50_000))
        assert wait(conn, handle) is True
        assert registry(conn).spill_bytes > before
        detach(conn, handle)


def test_order_of_rows_survives_the_way_through_queue_and_file(conn: Connection) -> None:
    handle = launch(conn, ROWS.format(100_000), queue_size=4096)
    wait(conn, handle)
    query(conn, "CREATE TEMP TABLE read (n bigserial, g int)")
    query(
        conn,
        "INSERT INTO read (g) SELECT g FROM pg_background_result(%s, %s) AS (g int, x text)",
        *handle,
    )
    assert query(conn, "SELECT count(*), bool_and(n = g) FROM read") == [(100_000, True)]


@pytest.mark.parametrize("output", ["a query's rows", "notices", "a wide row", "returned rows"])
def test_submit_with_output_commits_and_lets_go_of_its_locks(
    conn: Connection, connect: Connect, output: str
) -> None:
    query(conn, "CREATE TABLE locked (a int); INSERT INTO locked VALUES (0)")
    last = {
        "a query's rows": ROWS.format(20_000),
        "notices": "DO $$ BEGIN FOR i IN 1..2000 LOOP RAISE NOTICE '%', repeat('n', 100); END LOOP; END $$",
        "a wide row": "SELECT repeat('x', 3000000)",
        "returned rows": "INSERT INTO locked SELECT 5 FROM generate_series(1, 30000) RETURNING a, 'text'",
    }[output]
    with nothing_is_left(conn):
        handle = submit(conn, f"LOCK TABLE locked; UPDATE locked SET a = 1; CREATE TABLE made (); {last}")
        assert wait(conn, handle) is True
        # Until then its SQL stays for those who ask what it was.
        detach(conn, handle)
    other = connect(options="-c lock_timeout=15s")
    assert value(other, "SELECT count(*) FROM locked WHERE a = 1") == 1
    query(other, "DROP TABLE locked, made")


def test_launch_with_output_commits_before_anybody_reads(conn: Connection, connect: Connect) -> None:
    query(conn, "CREATE TABLE locked (a int)")
    handle = launch(conn, f"INSERT INTO locked VALUES (1); {ROWS.format(20_000)}")
    wait_for_state(conn, handle, "stopped")
    assert value(connect(), "SELECT count(*) FROM locked") == 1


def test_output_of_a_detached_job_goes_nowhere(conn: Connection) -> None:
    query(conn, "CREATE TABLE done ()")
    with nothing_is_left(conn, deadline=60):
        detach(conn, launch(conn, f"ALTER TABLE done ADD a int; {ROWS.format(300_000)}"))
    assert value(conn, "SELECT count(a) FROM done") == 0


def test_output_of_statements_before_the_last_goes_nowhere(conn: Connection) -> None:
    before = registry(conn).spill_bytes
    handle = launch(conn, f"{ROWS.format(200_000)}; SELECT 1")
    wait(conn, handle)
    assert registry(conn).spill_bytes == before
    assert read_result(conn, handle, "one int", "one") == [(1,)]


def test_many_small_results_at_once(conn: Connection) -> None:
    handles = [launch(conn, f"SELECT {n}, repeat('y', 20000 * {n})") for n in range(10)]
    for handle in handles:
        wait(conn, handle)
    found = [read_result(conn, handle, "n int, y text", "n, length(y)") for handle in reversed(handles)]
    assert found == [[(n, 20_000 * n)] for n in reversed(range(10))]


def test_empty_results(conn: Connection) -> None:
    assert run(conn, "SELECT 1 WHERE false", "n int") == []
    assert run(conn, "", "a int, b text") == []
