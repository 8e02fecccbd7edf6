"""Limits of time: each call waits for as long as it was told, and its end is told at once."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

import psycopg
import pytest

from ..support.calls import at_the_same_time, query, wait_until_in_extension
from ..support.fix_db import Connect, Connection
from ..support.jobs import FOREVER, Handle, cancel, closed_gate, launch, wait, wait_until_asleep
from ..support.outcomes import outcome
from ..support.waiting import DEADLINE
from ..support.workers import launch_counting

#: Ten times as much is more than any call of these tests may take; a tenth is far less.
LIMIT = DEADLINE / 8

#: Whether the clocks of the server and of the tests agree is not what is tested.
ENOUGH = 0.9 * LIMIT

HANDLE = "({pid}, {cookie})::pg_background_handle"

#: Of a job that somebody waits for.
WAITS = {
    "wait": "SELECT pg_background_wait({pid}, {cookie}, {limit})",
    "wait_v2": "SELECT pg_background_wait_v2({pid}, {cookie}, {limit})",
    "wait_v2_timeout": "SELECT pg_background_wait_v2_timeout({pid}, {cookie}, {limit})",
    "await": "CALL pg_background_await({pid}, {cookie}, {limit})",
    "wait_any": f"SELECT pg_background_wait_any(ARRAY[{HANDLE}], {{limit}})",
    "drain": f"SELECT * FROM pg_background_drain(ARRAY[{HANDLE}], {{limit}})",
}

#: Of a job of the calls' own, or one that does not end by a cancel.
OTHERS = {
    "run": f"SELECT * FROM pg_background_run('{FOREVER}', timeout_ms => {{limit}})",
    "run_query": f"SELECT * FROM pg_background_run_query('{FOREVER}', timeout_ms => {{limit}}) AS (a text)",
    "start": "SELECT pg_background_start('SELECT 1', on_full => 'wait', timeout_ms => {limit})",
    "cancel": "SELECT pg_background_cancel({pid}, {cookie}, {limit})",
    "cancel_by_label": "SELECT pg_background_cancel_by_label('counts', {limit})",
}


def took(session: Connection, call: str) -> float:
    """Make a call, and return how many seconds that took."""
    began = time.monotonic()
    with suppress(psycopg.Error):
        query(session, call)
    return time.monotonic() - began


def test_waits_are_as_long_as_they_were_told(conn: Connection, connect: Connect) -> None:
    job = launch(conn, FOREVER)
    sessions = [connect() for _ in WAITS]
    with at_the_same_time(*sessions) as call:
        waits = {
            name: call(took, session, text.format(pid=job.pid, cookie=job.cookie, limit=round(LIMIT * 1000)))
            for session, (name, text) in zip(sessions, WAITS.items(), strict=True)
        }
        seconds = {name: waiting.result() for name, waiting in waits.items()}
    assert {name for name, lasted in seconds.items() if lasted < ENOUGH} == set()
    assert outcome(conn, job).state == "running"
    cancel(conn, job)


@pytest.mark.parametrize("name", OTHERS)
def test_jobs_have_as_long_as_they_were_told(conn: Connection, connect: Connect, name: str) -> None:
    session = connect()
    if name == "start":
        query(session, "SET pg_background.max_workers = 1")
    if name in ("cancel", "cancel_by_label"):
        job = launch_counting(session, label="counts")
    else:
        job = launch(session, FOREVER)
    text = OTHERS[name].format(pid=job.pid, cookie=job.cookie, limit=round(LIMIT * 1000))
    with at_the_same_time(session) as call:
        assert call(took, session, text).result() >= ENOUGH
    if name in ("cancel", "cancel_by_label"):
        assert outcome(session, job).state == "canceled"
    cancel(session, job)


def test_a_job_has_its_worker_timeout(conn: Connection) -> None:
    query(conn, f"SET pg_background.worker_timeout = {round(LIMIT * 1000)}")
    began = time.monotonic()
    job = launch(conn, FOREVER)
    assert wait(conn, job, round(DEADLINE * 1000))
    assert time.monotonic() - began >= ENOUGH
    assert outcome(conn, job).state == "timed_out"


# ---- woken, not found out by the next look


@pytest.fixture
def sleeper(connect: Connect) -> Connection:
    """A session that looks for itself once an hour only."""
    session = connect()
    query(session, "SET deadlock_timeout = '1h'")
    return session


WOKEN = {
    **{name: text.replace(", {limit}", "") for name, text in WAITS.items() if name != "wait_v2_timeout"},
    "result": "SELECT * FROM pg_background_result({pid}, {cookie}) AS (a text)",
    "describe": "SELECT * FROM pg_background_describe({pid}, {cookie})",
}


@pytest.mark.parametrize("name", WOKEN)
def test_the_end_wakes_who_waits(conn: Connection, connect: Connect, sleeper: Connection, name: str) -> None:
    with closed_gate(connect()) as gate:
        job = launch(conn, f"{gate.sql}; SELECT 'x'")
        with at_the_same_time(sleeper) as call:
            waiting = call(query, sleeper, WOKEN[name].format(pid=job.pid, cookie=job.cookie))
            wait_until_in_extension(conn, sleeper)
            gate.open()
            waiting.result()
            gate.close()


def test_the_end_wakes_who_cancels(conn: Connection, sleeper: Connection) -> None:
    job = launch(conn, FOREVER)
    wait_until_asleep(conn, job.pid)
    os.kill(job.pid, signal.SIGSTOP)
    try:
        with at_the_same_time(sleeper) as call:
            canceling = call(cancel, sleeper, job, 3_600_000)
            wait_until_in_extension(conn, sleeper)
            os.kill(job.pid, signal.SIGCONT)
            canceling.result()
    finally:
        os.kill(job.pid, signal.SIGCONT)
    assert outcome(conn, job).state == "canceled"


def test_the_begin_wakes_a_launch_that_waits(conn: Connection, sleeper: Connection) -> None:
    query(sleeper, "SET pg_background.max_workers = 1")
    busy = launch(sleeper, FOREVER)
    with at_the_same_time(sleeper) as call:
        # Not a short one, whose end would wake it too.
        starting = call(start, sleeper, FOREVER, "wait")
        wait_until_in_extension(conn, sleeper)
        cancel(conn, busy)
        cancel(conn, starting.result())


def start(session: Connection, sql: str, on_full: str) -> Handle:
    call = "SELECT pid, cookie FROM pg_background_start(%s, on_full => %s)"
    ((pid, cookie),) = query(session, call, sql, on_full)
    return Handle(pid, cookie)
