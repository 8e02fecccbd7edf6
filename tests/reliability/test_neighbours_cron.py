"""pg_cron launches jobs under load, from sessions of its own and from its own workers."""

from __future__ import annotations

import signal
from functools import partial

import pytest
from psycopg.conninfo import conninfo_to_dict

from ..support.calls import query
from ..support.fix_server import FreshServer
from ..support.server import Server
from ..support.waiting import wait_until
from .extent import Extent
from .leaks import PATIENCE
from .neighbours import provide
from .tally import Tally
from .under_load import under_load

pytestmark = pytest.mark.slow


@pytest.fixture(params=[False, True], ids=["sessions", "workers"])
def server(fresh_server: FreshServer, request: pytest.FixtureRequest) -> Server:
    """One with pg_cron, which runs its schedules in either way."""
    server = fresh_server(
        {
            "cron.use_background_workers": "on" if request.param else "off",
            "max_worker_processes": 64,
            "log_min_messages": "log",
        }
    )
    provide(server, "pg_cron")
    server.restart({"shared_preload_libraries": "pg_cron,pg_background"})
    # It stays so at each start, and its settings are known only where it is loaded.
    server.execute("ALTER SYSTEM SET shared_preload_libraries = pg_cron, pg_background")
    server.execute(f"ALTER SYSTEM SET cron.host = '{conninfo_to_dict(server.dsn())['host']}'")
    server.restart()
    server.execute("CREATE EXTENSION pg_cron")
    return server


@pytest.mark.crashes
def test_scheduled_jobs(server: Server, extent: Extent, tally: Tally) -> None:
    """What a schedule submits runs once, and neither keeps the other from its processes."""
    schedules = 2 * extent.neighbours
    server.execute("CREATE TABLE scheduled (n int)")
    with server.connect() as conn:
        for n in range(schedules):
            # Whenever pg_cron starts: any other schedule comes once a minute at most.
            query(
                conn,
                "SELECT cron.schedule(%s, '@reboot', %s)",
                f"schedule {n}",
                f"SELECT pg_background_submit('INSERT INTO scheduled VALUES ({n})')",
            )
    with under_load(server, "pg_cron", tally) as (crew, injector):
        for begun in range(1, extent.crashes + 1):
            # Not a restart: each schedule has the port that the server had.
            sigkill = partial(injector.send, signal.SIGKILL, injector.workers)
            tally.faults("SIGKILL beside pg_cron", injector.inject(1, partial(injector.crash, sigkill)))

            def all_done(wanted: int = begun * schedules) -> bool:
                crew.check()
                injector.sweep()
                return ended(server) == wanted and rows(server) == wanted

            wait_until(all_done, deadline=PATIENCE, what=f"the schedules of start {begun}")
    with server.connect() as conn:
        often = query(
            conn, "SELECT DISTINCT n FROM (SELECT count(*) AS n FROM scheduled GROUP BY scheduled.n) s"
        )
    assert often == [(extent.crashes,)]
    tally.add("jobs that pg_cron has submitted", rows(server))


def ended(server: Server) -> int:
    """How many runs of schedules are over; none has failed."""
    with server.connect() as conn:
        states = query(
            conn, "SELECT status, return_message, count(*)::int FROM cron.job_run_details GROUP BY 1, 2"
        )
    failed = [row for row in states if row[0] == "failed"]
    assert not failed, failed
    return sum(count for status, _, count in states if status == "succeeded")


def rows(server: Server) -> int:
    """How many submitted jobs have committed."""
    found = server.execute("SELECT count(*) FROM scheduled")
    assert isinstance(found, int)
    return found
