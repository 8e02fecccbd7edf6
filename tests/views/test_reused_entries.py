"""Entries of jobs are used again and again: nothing that is told of a job is of the one before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from psycopg import errors as e

from ..support.calls import query, stats
from ..support.fix_server import FreshServer
from ..support.jobs import (
    FOREVER,
    Connection,
    cancel,
    detach,
    launch,
    progress,
    result,
    start,
    submit,
    wait,
    wait_until_asleep,
)
from ..support.outcomes import error_info, outcome, result_info
from ..support.registry import registry, wait_until_quiet
from ..support.server import Server
from ..support.waiting import wait_until

#: The least that there can be.
ENTRIES = 16


@pytest.fixture(scope="module")
def small(fresh_cluster: FreshServer) -> Server:
    """A server with few entries, whose unread results expire as soon as their session has gone."""
    return fresh_cluster(
        {
            "pg_background.max_jobs": ENTRIES,
            "pg_background.result_retention": 0,
        }
    )


@pytest.fixture
def conn(small: Server) -> Iterator[Connection]:
    """A session on it, which leaves nothing."""
    with small.connect() as conn:
        wait_until(lambda: registry(conn).entries == 0, what="all entries free")
        yield conn


def read(conn: Connection) -> None:
    job = launch(conn, "SELECT generate_series(1, 5), pg_background_progress(50, 'half')")
    assert len(result(conn, job, "a int, b text")) == 5


def fail(conn: Connection) -> None:
    job = launch(conn, "DO $$ BEGIN RAISE 'bad' USING DETAIL = 'very', HINT = 'not so'; END $$")
    assert wait(conn, job)
    detach(conn, job)


def run_out_of_time(conn: Connection) -> None:
    query(conn, f"SELECT pg_background_run('{FOREVER}', timeout_ms => 1)")


def be_canceled(conn: Connection) -> None:
    job = launch(conn, FOREVER)
    cancel(conn, job)
    assert wait(conn, job)
    detach(conn, job)


BEFORE = {"read": read, "failed": fail, "out of time": run_out_of_time, "canceled": be_canceled}


@pytest.fixture(params=BEFORE)
def used(conn: Connection, request: pytest.FixtureRequest) -> Connection:
    """The session; each entry was that of a job which left as much in it as one can."""
    act: Callable[[Connection], None] = BEFORE[request.param]
    for _ in range(ENTRIES):
        act(conn)
    return conn


def test_of_a_job_without_statements(used: Connection) -> None:
    job = launch(used, "")
    assert wait(used, job)
    assert outcome(used, job)[2:11] == ("stopped", False, True, False, 0, None, None, None, None)
    assert progress(used, job) == (None, None)
    detach(used, job)


def test_of_a_job_that_runs(used: Connection) -> None:
    job = launch(used, FOREVER)
    wait_until_asleep(used, job.pid)
    assert outcome(used, job)[2:11] == ("running", False, False, False, 0, None, None, None, None)
    found = result_info(used, job)
    assert (found.row_count, found.command_tag, found.finished_at) == (0, None, None)
    assert progress(used, job) == (None, None)
    cancel(used, job)
    assert wait(used, job)
    assert outcome(used, job)[2:10] == (
        *("canceled", False, True, True, 0, None),
        *("57014", "canceling statement due to user request"),
    )
    assert error_info(used, job)[2:] == (None,) * 7
    detach(used, job)


def test_of_a_job_that_waits_for_a_worker(used: Connection) -> None:
    query(used, "SET pg_background.max_workers = 1")
    busy = launch(used, FOREVER)
    job = start(used, "SELECT 1", on_full="queue")
    assert outcome(used, job)[2:11] == ("queued", False, False, False, 0, None, None, None, None)
    cancel(used, busy)
    assert wait(used, job)
    assert outcome(used, job).state == "stopped"
    for each in (busy, job):
        detach(used, each)


def test_of_a_job_whose_process_dies(used: Connection) -> None:
    job = launch(used, FOREVER)
    wait_until_asleep(used, job.pid)
    query(used, "SELECT pg_terminate_backend(%s)", job.pid)
    assert wait(used, job)
    message = f"lost connection to worker process with PID {job.pid}"
    assert outcome(used, job)[2:10] == ("lost", False, True, True, 0, None, "08006", message)
    with pytest.raises(e.ConnectionFailure, match=message):
        result(used, job)


def test_of_a_session_that_has_gone(small: Server, conn: Connection) -> None:
    """Their results were to expire: these are kept as long as their session lives."""
    with small.connect() as other:
        for _ in range(ENTRIES):
            assert wait(other, launch(other, "SELECT 1"))
    wait_until_quiet(conn)
    jobs = [launch(conn, f"SELECT {n}") for n in range(ENTRIES - 1)]
    for job in jobs:
        assert wait(conn, job)
    with small.connect() as other:
        # For this one the keeper looks at all.
        assert wait(other, launch(other, "SELECT 1"))
    wait_until(lambda: registry(conn).unread < ENTRIES, what="the keeper has looked")
    for n, job in enumerate(jobs):
        assert result(conn, job, "a int") == [(n,)]


def test_the_oldest_history_goes_first(conn: Connection) -> None:
    jobs = []
    for _ in range(ENTRIES + 1):
        jobs.append(launch(conn, "SELECT 1"))
        assert result(conn, jobs[-1], "a int") == [(1,)]
    assert [outcome(conn, job).state for job in jobs] == [None] + ["stopped"] * ENTRIES


def test_of_counters(used: Connection) -> None:
    before = stats(used)
    job = submit(used, "SELECT 1")
    assert wait(used, job)
    after = stats(used)
    names = ("launched", "completed", "failed", "canceled", "timed_out", "active")
    assert [after[name] - before[name] for name in names] == [1, 1, 0, 0, 0, 0]
    detach(used, job)
