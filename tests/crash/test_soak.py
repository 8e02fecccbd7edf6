"""Twenty thousand jobs: none is lost or refused without a reason, and nothing grows."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from ..support.fix_server import FreshServer
from ..support.jobs import Connection
from ..support.processes import keeper_pid, private_bytes
from ..support.registry import registry, wait_until_quiet
from ..support.server import Server
from ..support.workers import pids

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

JOBS = 20_000
SESSIONS = 8

#: Jobs after which no process may grow.
WARM_UP = 1000

#: What a process may grow by after its first thousand jobs; one lost byte per job and session would show
#: as memory of a new page of an allocator sooner or later, and a lost kilobyte at once.
TOLERANCE = 1 << 20

#: Each job in one of the ways in which sessions use them, the third one as an error; refusals, which only
#: a server short of slots may give, are counted and tried again.
PROCEDURE = """
CREATE FUNCTION soak(first int, last int, OUT refused int) LANGUAGE plpgsql AS $body$
DECLARE
  h pg_background_handle;
  answer int;
  n int := first;
BEGIN
  refused := 0;
  WHILE n <= last LOOP
    BEGIN
      CASE n % 10
        WHEN 0 THEN
          h := pg_background_submit('INSERT INTO submitted VALUES (' || n || ')');
        WHEN 1 THEN
          h := pg_background_launch('SELECT 1 / (' || n || ' - ' || n || ')');
        WHEN 2 THEN
          h := pg_background_launch('SELECT repeat(''x'', 1000), g FROM generate_series(1, 200) g');
        ELSE
          h := pg_background_launch('SELECT ' || n);
      END CASE;
    EXCEPTION WHEN insufficient_resources OR configuration_limit_exceeded THEN
      IF SQLSTATE NOT IN ('53000', '53400') THEN
        RAISE;
      END IF;
      refused := refused + 1;
      PERFORM pg_sleep(0.0005);
      CONTINUE;
    END;
    IF n % 10 IN (0, 2, 3) THEN
      -- wait, and leave the rest to detach: rows nobody wants, on disk too
      IF NOT pg_background_wait(h) THEN
        RAISE EXCEPTION 'job % has not ended', n;
      END IF;
      PERFORM pg_background_detach(h);
    ELSIF n % 10 = 1 THEN
      BEGIN
        PERFORM FROM pg_background_result(h) AS (a int);
        RAISE EXCEPTION 'job % has not failed', n;
      EXCEPTION WHEN division_by_zero THEN
        NULL;
      END;
    ELSE
      SELECT a INTO STRICT answer FROM pg_background_result(h) AS (a int);
      IF answer IS DISTINCT FROM n THEN
        RAISE EXCEPTION 'job % gives %', n, answer;
      END IF;
    END IF;
    n := n + 1;
  END LOOP;
END $body$;
CREATE TABLE submitted (n int)
"""


def soak(conn: Connection, first: int, last: int, at_once: int = 1) -> int:
    """Run jobs first..last, so many to a statement, and return how many launches were refused."""
    refused = 0
    for start in range(first, last + 1, at_once):
        row = conn.execute("SELECT soak(%s, %s)", [start, min(start + at_once - 1, last)]).fetchone()
        assert row is not None
        refused += row[0]
    return refused


def prepared(server: Server) -> Connection:
    """A first session, with what the jobs need."""
    conn = server.connect()
    conn.execute(PROCEDURE.encode())
    return conn


class Memory:
    """What processes have now, to see that they have no more later."""

    def __init__(self, processes: Iterable[int]) -> None:
        self._before = {pid: private_bytes(pid) for pid in processes}

    def assert_not_grown(self) -> None:
        grown = {}
        for pid, before in self._before.items():
            # Where places are few, a launch may have asked a worker to leave.
            with suppress(FileNotFoundError):
                grown[pid] = private_bytes(pid) - before
        assert max(grown.values()) <= TOLERANCE, f"{grown} more than {self._before}"


def assert_all_done(conn: Connection, jobs: int) -> None:
    """Each submitted job was done once, and nothing is left of any."""
    wait_until_quiet(conn)
    assert conn.execute("SELECT count(*), count(DISTINCT n) FROM submitted").fetchone() == (
        jobs // 10,
        jobs // 10,
    )
    after = registry(conn)
    assert (after.entries, after.live, after.unread, after.spill_bytes) == (0, 0, 0, 0)
    assert after.area_bytes == 0
    assert conn.execute("SELECT count(*) FROM pg_ls_tmpdir()").fetchone() == (0,)


def test_from_one_session(fresh_server: FreshServer) -> None:
    # Its worker must live as long as the session, to be measured.
    server = fresh_server({"pg_background.worker_idle_timeout": "10min"})
    with prepared(server) as conn:
        assert registry(conn)[:3] == (0, 0, 0)
        assert soak(conn, 1, WARM_UP) == 0
        workers = pids(conn)
        memory = Memory([conn.info.backend_pid, keeper_pid(server), *workers])
        assert soak(conn, WARM_UP + 1, JOBS) == 0
        memory.assert_not_grown()
        assert_all_done(conn, JOBS)
        # One session's jobs one after the other need one worker, and one in advance.
        assert pids(conn) == workers
        stats = conn.execute(
            "SELECT workers_launched, workers_completed, workers_failed, workers_active "
            "FROM pg_background_stats()"
        ).fetchone()
        assert stats == (JOBS, JOBS * 9 // 10, JOBS // 10, 0)


@pytest.mark.parametrize(
    ("settings", "jobs", "may_refuse"),
    [
        ({}, JOBS, False),
        ({"pg_background.max_total_workers": SESSIONS}, JOBS, True),
        ({"max_worker_processes": SESSIONS + 3}, JOBS, True),
        ({"pg_background.max_total_workers": 4}, JOBS // 4, True),
        ({"max_worker_processes": 8, "pg_background.max_total_workers": 8}, JOBS // 4, True),
    ],
    ids=["32 slots", "8 slots", "8 processes", "4 slots", "8 slots in fewer processes"],
)
def test_from_eight_sessions(
    fresh_server: FreshServer, settings: dict[str, object], jobs: int, may_refuse: bool
) -> None:
    server = fresh_server({"pg_background.worker_idle_timeout": "10min", **settings})
    with prepared(server) as conn, ThreadPoolExecutor(SESSIONS) as threads:
        sessions = [server.connect() for _ in range(SESSIONS)]

        def soak_all(first: int, last: int) -> int:
            """Share the jobs out, and return how many launches were refused."""
            share = (last - first + 1) // SESSIONS
            calls = [
                threads.submit(soak, session, first + n * share, first + (n + 1) * share - 1, 100)
                for n, session in enumerate(sessions)
            ]
            return sum(call.result() for call in calls)

        refused = soak_all(1, WARM_UP)
        memory = Memory(
            [*(session.info.backend_pid for session in sessions), keeper_pid(server), *pids(conn)]
        )
        refused += soak_all(WARM_UP + 1, jobs)
        memory.assert_not_grown()
        for session in sessions:
            session.close()
        print(f"{refused} of {jobs + refused} launches were refused")
        assert refused == 0 or may_refuse
        assert_all_done(conn, jobs)


def test_of_one_transaction(fresh_server: FreshServer) -> None:
    """Nothing that a launch makes lives until the transaction's end."""
    server = fresh_server()
    with prepared(server) as conn, conn.transaction():
        soak(conn, 1, 1000, 500)
        before = private_bytes(conn.info.backend_pid)
        soak(conn, 1001, 10000, 500)
        assert private_bytes(conn.info.backend_pid) - before < TOLERANCE
