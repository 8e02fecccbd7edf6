"""What the counters, the list and the limits say about jobs is true."""

from __future__ import annotations

import time

import pytest

from ...support.calls import query, sqlstate, stats, tags, value
from ...support.fix_db import Connect, Connection
from ...support.jobs import (
    FOREVER,
    Handle,
    cancel,
    closed_gate,
    detach,
    launch,
    result,
    run,
    state,
    submit,
    wait,
    wait_for_state,
)
from ...support.waiting import wait_until

COUNTERS = ("launched", "completed", "failed", "canceled", "timed_out", "active")


def counters(conn: Connection) -> dict[str, int]:
    """What has happened so far, without zeros."""
    found = stats(conn)
    return {name: found[name] for name in COUNTERS if found[name]}


def last_error(conn: Connection, handle: Handle) -> str | None:
    found: str | None = value(
        conn, "SELECT last_error FROM pg_background_list WHERE (pid, cookie) = (%s, %s)", *handle
    )
    return found


@pytest.mark.parametrize("severity", ["debug", "log", "info", "notice", "warning"])
def test_a_notice_is_no_failure(conn: Connection, severity: str) -> None:
    query(conn, "SET client_min_messages = debug1")
    tags(conn, f"DO $$ BEGIN RAISE {severity} 'hello'; END $$")
    assert counters(conn) == {"launched": 1, "completed": 1}


def test_an_error_that_the_job_catches_is_no_failure(conn: Connection) -> None:
    tags(
        conn,
        "DO $$ BEGIN PERFORM 1/0; EXCEPTION WHEN division_by_zero THEN RAISE WARNING '%', SQLERRM; END $$",
    )
    assert counters(conn) == {"launched": 1, "completed": 1}


@pytest.mark.parametrize("start", [launch, submit])
def test_a_failure_is_counted_as_one(conn: Connection, start: type) -> None:
    """Read, detached, or neither."""
    handle = start(conn, "SELECT 1/0")
    wait(conn, handle)
    assert counters(conn) == {"launched": 1, "failed": 1}
    detach(conn, handle)
    assert counters(conn) == {"launched": 1, "failed": 1}


def test_a_failure_after_detach_is_counted(conn: Connection, connect: Connect) -> None:
    with closed_gate(connect()) as gate:
        detach(conn, submit(conn, f"{gate.sql}; SELECT 1/0"))
        assert counters(conn) == {"launched": 1, "active": 1}
    wait_until(lambda: counters(conn) == {"launched": 1, "failed": 1})


def test_run_time_ends_with_the_job(conn: Connection) -> None:
    """However long its result stays unread. The session's clock bounds the job's."""
    began = time.monotonic()
    handle = launch(conn, "SELECT 1")
    wait(conn, handle)
    taken = (time.monotonic() - began) * 1000
    query(conn, "SELECT pg_sleep(0.3)")
    detach(conn, handle)
    assert counters(conn) == {"launched": 1, "completed": 1}
    assert 0 < stats(conn)["avg_execution_ms"] < taken


def test_run_time_is_that_of_the_job(conn: Connection) -> None:
    run(conn, "SELECT 1 FROM pg_sleep(0.2)", "n int")
    assert stats(conn)["avg_execution_ms"] >= 200


def test_run_time_is_an_average(conn: Connection) -> None:
    for _ in range(3):
        run(conn, "SELECT 1", "n int")
    quick = stats(conn)["avg_execution_ms"]
    began = time.monotonic()
    run(conn, "SELECT 1 FROM pg_sleep(0.2)", "n int")
    taken = (time.monotonic() - began) * 1000
    assert (3 * quick + 200) / 4 <= stats(conn)["avg_execution_ms"] + 1
    assert stats(conn)["avg_execution_ms"] < (3 * quick + taken) / 4 + 1


def test_cancel_after_the_end_is_no_cancel(conn: Connection) -> None:
    finished, failed = launch(conn, "SELECT 1"), launch(conn, "SELECT 1/0")
    for handle in finished, failed:
        wait(conn, handle)
        cancel(conn, handle)
        cancel(conn, handle, grace_ms=10)
    assert counters(conn) == {"launched": 2, "completed": 1, "failed": 1}
    assert (state(conn, finished), state(conn, failed)) == ("stopped", "error")


def test_a_cancel_is_counted_once(conn: Connection) -> None:
    handle = launch(conn, FOREVER)
    wait_for_state(conn, handle, "running")
    for _ in range(3):
        cancel(conn, handle)
    wait(conn, handle)
    cancel(conn, handle, grace_ms=10)
    assert counters(conn) == {"launched": 1, "canceled": 1}


def test_a_timeout_is_counted_as_one(conn: Connection) -> None:
    """Neither a cancel nor a failure."""
    query(conn, "SET pg_background.worker_timeout = '50ms'")
    handle = launch(conn, FOREVER)
    wait(conn, handle)
    assert counters(conn) == {"launched": 1, "timed_out": 1}
    assert state(conn, handle) == "timed_out"


def test_a_failed_job_is_listed_as_one_before_it_is_read(conn: Connection) -> None:
    handle = launch(conn, "SELECT 1/0")
    wait_for_state(conn, handle, "error")
    assert last_error(conn, handle) == "division by zero"


@pytest.mark.parametrize(
    ("job", "expected", "error"),
    [
        ("SELECT 1", "stopped", None),
        ("SELEC 1", "error", 'syntax error at or near "SELEC"'),
        ("SELECT * FROM nowhere", "error", 'relation "nowhere" does not exist'),
        ("DO $$ BEGIN RAISE 'own %', 'message'; END $$", "error", "own message"),
        ("DO $$ BEGIN RAISE NOTICE 'only this'; END $$", "stopped", None),
    ],
)
def test_list_of_unread_jobs(conn: Connection, job: str, expected: str, error: str | None) -> None:
    handle = launch(conn, job)
    wait(conn, handle)
    assert (state(conn, handle), last_error(conn, handle)) == (expected, error)
    assert value(conn, "SELECT consumed FROM pg_background_list WHERE cookie = %s", handle.cookie) is False


def test_states_on_the_way(conn: Connection, connect: Connect) -> None:
    with closed_gate(connect()) as gate:
        handle = launch(conn, f"{gate.sql}; SELECT 'x'")
        wait_for_state(conn, handle, "running")
        assert last_error(conn, handle) is None
    wait_for_state(conn, handle, "stopped")
    assert result(conn, handle) == [("x",)]
    assert state(conn, handle) is None


@pytest.mark.parametrize("start", [launch, submit])
def test_finished_jobs_do_not_count_against_the_limit(conn: Connection, start: type) -> None:
    for _ in range(40):
        wait(conn, start(conn, "SELECT 1"))
    assert counters(conn) == {"launched": 40, "completed": 40}


def test_only_running_jobs_count(conn: Connection, connect: Connect) -> None:
    query(conn, "SET pg_background.max_workers = 2")
    wait(conn, launch(conn, "SELECT 'unread'"))
    with closed_gate(connect()) as gate:
        running = [launch(conn, gate.sql), submit(conn, gate.sql)]
        assert sqlstate(conn, "SELECT pg_background_launch('SELECT 1')") == "53400"
        assert counters(conn) == {"launched": 3, "completed": 1, "active": 2}
    for handle in running:
        wait(conn, handle)
    assert run(conn, "SELECT 'again'") == [("again",)]


def test_a_refused_launch_is_not_counted(conn: Connection) -> None:
    assert sqlstate(conn, "SELECT pg_background_launch('SELECT 1', 5)") == "22023"
    assert counters(conn) == {}


def test_counters_are_of_the_session(conn: Connection, connect: Connect) -> None:
    run(conn, "SELECT 1", "n int")
    other = connect()
    assert counters(other) == {}
    handle = launch(conn, "SELECT 'x'")
    assert result(other, handle) == [("x",)]
    assert counters(other) == {}
    assert counters(conn) == {"launched": 2, "completed": 2}


def test_max_workers_is_shown(conn: Connection) -> None:
    assert stats(conn)["max_workers"] == 16
    query(conn, "SET pg_background.max_workers = 5")
    assert stats(conn)["max_workers"] == 5
    assert stats(conn)["avg_execution_ms"] == 0
