"""A job ends whatever the size of its output, read or not."""

from __future__ import annotations

import pytest

from ...support.calls import nothing_is_left, query, read_result, value
from ...support.fix_db import Connect, Connection
from ...support.jobs import detach, launch, submit, wait, wait_for_state

ROWS = "SELECT g, repeat('x', 100) FROM generate_series(1, {}) g"


@pytest.mark.parametrize("rows", [1, 500, 600, 700, 5_000, 200_000])
@pytest.mark.parametrize("queue_size", [0, 64, 1 << 20])
def test_wait_before_result(conn: Connection, rows: int, queue_size: int) -> None:
    """Sizes below, around and far above that of the queue."""
    handle = launch(conn, ROWS.format(rows), queue_size=queue_size)
    assert wait(conn, handle) is True
    found = read_result(conn, handle, "g int, x text", "count(*), sum(g), min(length(x)), max(length(x))")
    assert found == [(rows, rows * (rows + 1) // 2, 100, 100)]


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
