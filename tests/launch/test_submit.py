"""Fire and forget: a submitted job's rows are dropped where they are made."""

from __future__ import annotations

import pytest
from psycopg import errors as e

from ..support.fix_db import Connect, Connection
from ..support.jobs import closed_gate, detach, launch, result, state, submit, wait, wait_until_gone
from ..support.registry import registry
from ..support.waiting import wait_until


def test_it_commits(conn: Connection) -> None:
    conn.execute("CREATE TABLE kept (a int)")
    handle = submit(conn, "INSERT INTO kept VALUES (1) RETURNING a")
    assert wait(conn, handle)
    assert state(conn, handle) == "stopped"
    assert conn.execute("SELECT count(*) FROM kept").fetchone() == (1,)


def test_its_result_is_refused(conn: Connection) -> None:
    handle = submit(conn, "SELECT 1")
    message = rf"results are disabled for PID {handle.pid} \(submitted via pg_background_submit\)"
    for _ in range(2):
        with pytest.raises(e.FeatureNotSupported, match=message):
            result(conn, handle, "a int")
    assert wait(conn, handle)
    with pytest.raises(e.FeatureNotSupported, match=message):
        result(conn, handle, "a int")


def test_huge_output_never_blocks_it_nor_fills_the_disk(conn: Connection) -> None:
    conn.execute("CREATE TABLE kept (a int)")
    before = registry(conn)
    with closed_gate(conn) as gate:
        handle = submit(
            conn,
            "INSERT INTO kept VALUES (1); SELECT repeat('x', 1000) FROM generate_series(1, 100000);"
            f"SELECT repeat('x', 1000) FROM generate_series(1, 100000), ({gate.sql}) AS gate",
        )
        assert registry(conn).spill_bytes == before.spill_bytes
    assert wait(conn, handle)
    assert conn.execute("SELECT count(*) FROM kept").fetchone() == (1,)
    assert registry(conn).spill_bytes == before.spill_bytes


def test_a_failed_one_is_an_error(conn: Connection) -> None:
    handle = submit(conn, "SELECT 1 / 0")
    assert wait(conn, handle)
    assert state(conn, handle) == "error"
    row = conn.execute("SELECT last_error FROM pg_background_list WHERE pid = %s", [handle.pid]).fetchone()
    assert row == ("division by zero",)


def test_its_end_does_not_hang_on_the_caller(conn: Connection, connect: Connect) -> None:
    conn.execute("CREATE TABLE kept (a int)")
    caller = connect(autocommit=False)
    backend = caller.info.backend_pid
    with closed_gate(conn) as gate:
        submit(caller, f"{gate.sql}; INSERT INTO kept VALUES (1)")
        caller.rollback()
        caller.close()
        wait_until_gone(conn, backend)
    wait_until(lambda: conn.execute("SELECT count(*) FROM kept").fetchone() == (1,), what="the row")


def test_finished_ones_are_history_and_hold_nothing(conn: Connection) -> None:
    before = registry(conn)
    handles = [submit(conn, "SELECT 1") for _ in range(10)]
    for handle in handles:
        assert wait(conn, handle)
    after = registry(conn)
    assert after[:3] == before[:3]
    # Still in the list of this session, until detached or needed.
    assert [state(conn, handle) for handle in handles] == ["stopped"] * 10
    for handle in handles:
        detach(conn, handle)
        assert state(conn, handle) is None


def test_notices_of_it_are_dropped(conn: Connection) -> None:
    before = registry(conn)
    handle = submit(
        conn, "DO $$ BEGIN FOR i IN 1..10000 LOOP RAISE NOTICE '%', repeat('x', 100); END LOOP; END $$"
    )
    assert wait(conn, handle)
    assert state(conn, handle) == "stopped"
    assert registry(conn).spill_bytes == before.spill_bytes


def test_statistics_count_it(conn: Connection) -> None:
    for job in ("SELECT 1", "SELECT 1 / 0"):
        assert wait(conn, submit(conn, job))
    assert wait(conn, launch(conn, "SELECT 1"))
    row = conn.execute(
        "SELECT workers_launched, workers_completed, workers_failed FROM pg_background_stats()"
    ).fetchone()
    assert row == (3, 2, 1)
