"""Sessions that do everything to each other's jobs at once: no job is lost, nothing crashes or stays."""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg import errors as e

from ..support.fix_server import FreshServer
from ..support.jobs import (
    Connection,
    Handle,
    cancel,
    detach,
    has_ended,
    launch,
    progress,
    result,
    submit,
    wait,
)
from ..support.registry import registry, wait_until_quiet
from ..support.waiting import wait_until

pytestmark = pytest.mark.slow

SESSIONS = 6
STEPS = 1500

#: What a session may be told about a job that others use too.
EXPECTED = {
    "42704",  # consumed or detached by another one
    "55000",  # and its worker has the next job
    "55006",  # being read by another one
    "57014",  # canceled
    "08006",  # its worker was terminated
    "22012",  # its own error
    "42804",  # its columns are others
    "0A000",  # submitted
    "53400",  # a limit reached
    "53000",  # no slot
    "53200",  # no job memory
}

JOBS = [
    "SELECT 1",
    "SELECT 1 / 0",
    "SELECT repeat('x', 1000) FROM generate_series(1, 500)",
    "SELECT pg_sleep(0.01)",
    "SELECT pg_background_progress(50, 'half'); SELECT 2",
    "DO $$ BEGIN FOR i IN 1..50 LOOP RAISE NOTICE '%', repeat('x', 100); END LOOP; END $$",
    "SET work_mem = '64kB'; CREATE TEMP TABLE t AS SELECT 1 AS a; SELECT pg_advisory_lock(a) FROM t",
    "DO $$ BEGIN LOOP BEGIN PERFORM pg_sleep(0.05); EXIT; EXCEPTION WHEN query_canceled THEN NULL; END; "
    "END LOOP; END $$",
]


def step(conn: Connection, handles: list[Handle], chance: random.Random) -> None:
    """Do one thing."""
    what = chance.random()
    if what < 0.4 or not handles:
        start = launch if chance.random() < 0.8 else submit
        handles.append(start(conn, chance.choice(JOBS), queue_size=chance.choice([0, 64, 1000, 300_000])))
        return
    if what < 0.8:
        # Mostly what nobody has used up yet, so that entries don't run out.
        handle = handles.pop(chance.randrange(len(handles)))
        if chance.random() < 0.2:
            handles.append(handle)
        if what < 0.6:
            try:
                result(conn, handle, chance.choice(["a int", "value text"]))
            except e.DatatypeMismatch:
                handles.append(handle)
                raise
        else:
            detach(conn, handle)
        return
    handle = chance.choice(handles)
    if what < 0.85:
        wait(conn, handle, chance.choice([0, 1, 10]))
    elif what < 0.88:
        has_ended(conn, handle)
    elif what < 0.95:
        cancel(conn, handle, chance.choice([0, 0, 1]))
    elif what < 0.97:
        progress(conn, handle)
    elif what < 0.985:
        conn.execute("SELECT count(*) FROM pg_background_list").fetchone()
    else:
        conn.execute("SELECT pg_terminate_backend(pid) FROM pg_background_list LIMIT 1")


def act(conn: Connection, handles: list[Handle], seed: int) -> Counter[str]:
    """Do many things, and return how often each error was met."""
    chance = random.Random(seed)
    met = Counter[str]()
    for _ in range(STEPS):
        try:
            step(conn, handles, chance)
        except IndexError:
            continue  # another session took the last handle
        except psycopg.Error as error:
            met[error.diag.sqlstate or str(error)] += 1
            if isinstance(error, (e.ConfigurationLimitExceeded, e.InsufficientResources)):
                conn.execute("SELECT pg_sleep(0.003)")
    return met


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"pg_background.max_total_workers": 3},
        {"pg_background.worker_idle_timeout": 0},
        {"pg_background.job_memory": "4MB", "pg_background.max_jobs": 40},
    ],
    ids=["plenty", "few workers", "fresh processes", "little memory"],
)
def test_everything_at_once(fresh_server: FreshServer, settings: dict[str, object]) -> None:
    server = fresh_server({"pg_background.result_retention": 0, "log_min_messages": "fatal", **settings})
    with server.connect() as watcher, ThreadPoolExecutor(SESSIONS) as threads:
        sessions = [server.connect() for _ in range(SESSIONS)]
        for session in sessions:
            session.execute("SET client_min_messages = error")
        handles: list[Handle] = []
        calls = [threads.submit(act, session, handles, seed) for seed, session in enumerate(sessions)]
        met = sum((call.result() for call in calls), Counter[str]())
        print(dict(met))
        assert set(met) <= EXPECTED
        for session in sessions:
            row = session.execute("SELECT * FROM pg_background_stats()").fetchone()
            assert row is not None
            wait_until(lambda session=session: active(session) == 0, what="its jobs' end")  # type: ignore[misc]
            session.close()
        wait_until_quiet(watcher)
        # Entries in the history may hold the SQL of submitted jobs until they are used again.
        conn = server.connect()
        for _ in range(int(str(settings.get("pg_background.max_jobs", 1024)))):
            detach(conn, launch(conn, "SELECT 1"))
            wait_until(lambda: active(conn) < 2, what="room")
        conn.close()
        wait_until_quiet(watcher, area_bytes=0)
        assert registry(watcher).entries == 0
        assert watcher.execute("SELECT count(*) FROM pg_ls_tmpdir()").fetchone() == (0,)


def active(conn: Connection) -> int:
    """Return how many jobs of the session run, by the counters, which must add up."""
    row = conn.execute("SELECT * FROM pg_background_stats()").fetchone()
    assert row is not None
    launched, completed, failed, canceled, timed_out, running = row[:6]
    assert launched == completed + failed + canceled + timed_out + running
    return int(running)
