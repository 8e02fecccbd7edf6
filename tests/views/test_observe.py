"""list, its view, stats and registry: states as they become true, and counters that tell the truth."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg import errors as e

from ..support.calls import failure, value
from ..support.fix_db import Connect, Connection
from ..support.jobs import (
    FOREVER,
    Handle,
    cancel,
    closed_gate,
    detach,
    launch,
    result,
    run,
    start,
    state,
    submit,
    wait,
    wait_until_asleep,
)
from ..support.outcomes import result_info
from ..support.registry import registry
from ..support.waiting import wait_until

NINE = (
    "pid int4, cookie int8, launched_at timestamptz, user_id oid, queue_size int4, state text, "
    "sql_preview text, last_error text, consumed bool"
)
TEN = f"{NINE}, label text"


def stats(conn: Connection) -> dict[str, Any]:
    """Return the session's counters."""
    row = conn.execute("SELECT to_jsonb(s) FROM pg_background_stats() s").fetchone()
    assert row is not None
    found: dict[str, Any] = row[0]
    return found


def counted(conn: Connection) -> tuple[int, ...]:
    """Return launched, completed, failed, canceled, timed out, active."""
    return stats_in_order(conn)[:6]


def stats_in_order(conn: Connection) -> tuple[Any, ...]:
    """Return the session's counters as they are declared."""
    row = conn.execute("SELECT * FROM pg_background_stats()").fetchone()
    assert row is not None
    return row


def column(conn: Connection, handle: Handle, name: str) -> Any:
    """Return a column of a job's row in the view."""
    row = conn.execute(
        f"SELECT {name} FROM pg_background_list WHERE (pid, cookie) = (%s, %s)".encode(), handle
    ).fetchone()
    assert row is not None
    return row[0]


# ---- list


def test_states_as_they_become_true(conn: Connection, connect: Connect) -> None:
    with closed_gate(connect()) as gate:
        handle = launch(conn, gate.sql)
        wait_until_asleep(conn, handle.pid, "advisory")
        assert state(conn, handle) == "running"
    assert wait(conn, handle)
    assert state(conn, handle) == "stopped"
    failed = submit(conn, "SELECT 1 / 0")
    assert wait(conn, failed)
    assert state(conn, failed) == "error"
    canceled = submit(conn, FOREVER)
    cancel(conn, canceled)
    assert wait(conn, canceled)
    assert state(conn, canceled) == "canceled"
    conn.execute("SET pg_background.worker_timeout = 10")
    timed_out = submit(conn, FOREVER)
    assert wait(conn, timed_out)
    assert state(conn, timed_out) == "timed_out"
    conn.execute("RESET pg_background.worker_timeout")
    lost = submit(conn, FOREVER)
    wait_until_asleep(conn, lost.pid)
    conn.execute("SELECT pg_terminate_backend(%s)", [lost.pid])
    assert wait(conn, lost)
    assert state(conn, lost) == "lost"


def test_last_error_without_reading(conn: Connection) -> None:
    fine = launch(conn, "SELECT 1")
    failed = launch(conn, "SELECT 1 / 0")
    for handle in (fine, failed):
        assert wait(conn, handle)
    assert column(conn, fine, "last_error") is None
    assert column(conn, failed, "last_error") == "division by zero"
    with pytest.raises(e.DivisionByZero):
        result(conn, failed, "a int")
    detach(conn, fine)


def test_columns(conn: Connection) -> None:
    handle = launch(conn, "SELECT 1", queue_size=4096, label="mine")
    row = conn.execute(
        "SELECT pid, cookie, launched_at BETWEEN now() - interval '1 min' AND clock_timestamp(), "
        "user_id::regrole::text, queue_size, sql_preview, consumed, label FROM pg_background_list"
    ).fetchone()
    assert row == (*handle, True, "postgres", 4096, "SELECT 1", False, "mine")
    default = submit(conn, "SELECT 2")
    assert column(conn, default, "queue_size") == 65536
    assert column(conn, default, "label") is None


@pytest.mark.parametrize("function", ["pg_background_list", "pg_background_list_v2"])
def test_nine_and_ten_columns(conn: Connection, function: str) -> None:
    handle = launch(conn, "SELECT 1", label="mine")
    nine = conn.execute(f"SELECT * FROM {function}() AS ({NINE})".encode()).fetchall()
    ten = conn.execute(f"SELECT * FROM {function}() AS ({TEN})".encode()).fetchall()
    assert nine[0][:2] == handle
    assert ten[0] == (*ten[0][:9], "mine")
    assert ten[0][:5] == nine[0][:5]


@pytest.mark.parametrize(
    "columns",
    [
        "pid text",
        "pid int4",
        NINE.replace("cookie int8", "cookie int4"),
        NINE.replace("pid int4", "pid int8"),
        f"{TEN}, more text",
        f"{NINE}, label varchar",
    ],
)
@pytest.mark.parametrize("function", ["pg_background_list", "pg_background_list_v2"])
def test_other_column_lists(conn: Connection, function: str, columns: str) -> None:
    handle = launch(conn, "SELECT 1")
    with pytest.raises(e.DatatypeMismatch):
        conn.execute(f"SELECT * FROM {function}() AS ({columns})".encode())
    detach(conn, handle)
    with pytest.raises(e.DatatypeMismatch):
        conn.execute(f"SELECT * FROM {function}() AS ({columns})".encode())


def test_list_in_a_target_list(conn: Connection) -> None:
    launch(conn, "SELECT 1")
    with pytest.raises(e.FeatureNotSupported):
        conn.execute("SELECT pg_background_list()")


def test_order_is_that_of_launch(conn: Connection) -> None:
    handles = [launch(conn, f"SELECT {n}") for n in range(12)]
    for handle in handles[::2]:
        assert wait(conn, handle)
        detach(conn, handle)
    more = [submit(conn, "SELECT 1") for _ in range(4)]
    rows = conn.execute("SELECT pid, cookie FROM pg_background_list").fetchall()
    assert rows == handles[1::2] + more


def test_list_is_this_session_s(conn: Connection, connect: Connect) -> None:
    handle = launch(conn, "SELECT 1")
    other = connect()
    mine = launch(other, "SELECT 2")
    assert conn.execute("SELECT pid, cookie FROM pg_background_list").fetchall() == [handle]
    assert other.execute("SELECT pid, cookie FROM pg_background_list").fetchall() == [mine]


@pytest.mark.parametrize("character", ["a", "ä", "€", "😀"])
def test_preview_is_clipped_between_characters(conn: Connection, character: str) -> None:
    text = character * 200
    handle = launch(conn, f"SELECT '{text}'")
    preview = column(conn, handle, "sql_preview")
    assert preview == f"SELECT '{text}"[:120]
    assert result(conn, handle) == [(text,)]


@pytest.mark.parametrize("label", ["", "x", "a 'quoted' one", "😀" * 64])
def test_labels(conn: Connection, label: str) -> None:
    handle = launch(conn, "SELECT 1", label=label)
    assert column(conn, handle, "label") in ({label} if label else {"", None})


@pytest.mark.parametrize("control", ["\n", "\t", "\r", "\x01", "\x1b[2J", "\x7f", "\x80", "\x9b2J"])
def test_a_label_with_control_characters(conn: Connection, control: str) -> None:
    for call in (
        "SELECT pg_background_launch('SELECT 1', 0, %s)",
        "SELECT pg_background_submit_v2('SELECT 1', 0, %s)",
        "SELECT pg_background_start('SELECT 1', label => %s)",
        "SELECT pg_background_run('SELECT 1', label => %s)",
        "SELECT * FROM pg_background_run_query('SELECT 1', label => %s) AS (a int)",
    ):
        for label in (control, f"a{control}b"):
            found = failure(conn, call, label)
            assert found[:2] == ("22023", "label must not contain control characters")
    assert counted(conn) == (0, 0, 0, 0, 0, 0)
    assert column(conn, launch(conn, "SELECT 1", label="\xa0 €"), "label") == "\xa0 €"


def test_control_characters_in_a_preview(conn: Connection) -> None:
    """They do nothing to the terminal where the list is shown; the SQL itself stays as it is."""
    job = "SELECT 'a\x1b[2J\x07\x7f\x9bé\r'\n\t::text"
    handle = launch(conn, job)
    assert column(conn, handle, "sql_preview") == "SELECT 'a [2J    é '\n\t::text"
    assert value(conn, "SELECT pg_background_full_sql(%s, %s)", *handle) == job
    assert result(conn, handle) == [("a\x1b[2J\x07\x7f\x9bé\r",)]


@pytest.mark.parametrize("start", [launch, submit])
def test_a_label_that_is_too_long(conn: Connection, start: Any) -> None:
    with pytest.raises(e.StringDataRightTruncation, match="label too long"):
        start(conn, "SELECT 1", label="x" * 65)
    assert counted(conn) == (0, 0, 0, 0, 0, 0)


# ---- stats


def test_stats_of_each_kind(conn: Connection) -> None:
    jobs = [
        launch(conn, "SELECT 1"),
        submit(conn, "SELECT 1"),
        launch(conn, "SELECT 1 / 0"),
        submit(conn, "SELECT 1 / 0"),
        launch(conn, "DO $$ BEGIN RAISE NOTICE 'no failure'; RAISE WARNING 'nor this'; END $$"),
    ]
    for handle in jobs:
        assert wait(conn, handle)
    canceled = launch(conn, FOREVER)
    assert counted(conn) == (6, 3, 2, 0, 0, 1)
    cancel(conn, canceled)
    assert wait(conn, canceled)
    conn.execute("SET pg_background.worker_timeout = 10")
    timed_out = launch(conn, FOREVER)
    assert wait(conn, timed_out)
    assert counted(conn) == (7, 3, 2, 1, 1, 0)


def test_reading_and_detaching_change_no_counter(conn: Connection) -> None:
    handle = launch(conn, "DO $$ BEGIN RAISE NOTICE 'x'; END $$")
    assert result(conn, handle) == [("DO",)]
    detached = launch(conn, "SELECT pg_sleep(0.02)")
    detach(conn, detached)
    wait_until(lambda: counted(conn)[5] == 0, what="its end")
    assert counted(conn) == (2, 2, 0, 0, 0, 0)


def test_a_cancel_after_the_end_is_none(conn: Connection) -> None:
    for job in ("SELECT 1", "SELECT 1 / 0"):
        handle = launch(conn, job)
        assert wait(conn, handle)
        cancel(conn, handle)
    assert counted(conn) == (2, 1, 1, 0, 0, 0)


def test_average_is_the_job_s_own_time(conn: Connection) -> None:
    assert stats(conn)["avg_execution_ms"] == 0
    handle = launch(conn, "SELECT pg_sleep(0.2)")
    assert wait(conn, handle)
    # Time passes until it is looked at.
    conn.execute("SELECT pg_sleep(0.5)")
    detach(conn, handle)
    average = stats(conn)["avg_execution_ms"]
    row = conn.execute("SELECT 1").fetchone()
    assert row == (1,)
    assert average >= 200
    quick = submit(conn, "SELECT 1")
    assert wait(conn, quick)
    # Two jobs, of which one took next to nothing.
    assert 100 <= stats(conn)["avg_execution_ms"] < average


def test_max_workers_is_the_setting(conn: Connection) -> None:
    assert stats(conn)["max_workers"] == 16
    conn.execute("SET pg_background.max_workers = 3")
    assert stats(conn)["max_workers"] == 3


def test_stats_are_this_session_s(conn: Connection, connect: Connect) -> None:
    other = connect()
    assert run(conn, "SELECT 1", "a int") == [(1,)]
    assert counted(other) == (0, 0, 0, 0, 0, 0)
    assert counted(conn) == (1, 1, 0, 0, 0, 0)
    assert conn.execute("SELECT pg_background_stats() = pg_background_stats_v2()").fetchone() == (True,)


# ---- registry


def test_registry_counts(conn: Connection, connect: Connect) -> None:
    before = registry(conn)
    with closed_gate(connect()) as gate:
        running = launch(conn, gate.sql)
        finished = launch(conn, "SELECT 1")
        assert wait(conn, finished)
        wait_until_asleep(conn, running.pid, "advisory")
        now = registry(conn)
        assert (now.entries - before.entries, now.live, now.unread - before.unread) == (2, before.live + 1, 1)
        assert now.area_bytes > 65536
        assert now.busy_workers >= 1
    assert result(conn, finished, "a int") == [(1,)]
    assert wait(conn, running)
    detach(conn, running)
    assert registry(conn)[:3] == before[:3]


def test_the_average_is_that_of_the_jobs_own_times(conn: Connection) -> None:
    """Of those that have begun; one that was canceled while it waited for a worker has no time."""
    conn.execute("SET pg_background.max_workers = 1")
    with closed_gate(conn) as gate:
        jobs = [launch(conn, gate.sql)]
        cancel(conn, start(conn, "SELECT 1", on_full="queue"))
    assert wait(conn, jobs[0])
    for sql in ("SELECT 1 / 0", "SELECT pg_sleep(0.05)"):
        jobs.append(launch(conn, sql))
        assert wait(conn, jobs[-1])
    times = [result_info(conn, job) for job in jobs]
    lasted = [(info.finished_at - info.started_at).total_seconds() * 1000 for info in times]  # type: ignore[operator]
    assert stats(conn)["avg_execution_ms"] == pytest.approx(sum(lasted) / 3)
    assert counted(conn) == (4, 2, 1, 1, 0, 0)
