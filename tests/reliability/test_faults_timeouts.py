"""Timeouts of all kinds come at random moments: of the session, of its transaction, of the job."""

from __future__ import annotations

import random

import pytest

from ..support.calls import query
from ..support.fix_server import FreshServer
from ..support.jobs import Connection
from .extent import Extent
from .tally import Tally
from .under_load import under_load

pytestmark = pytest.mark.slow

#: In milliseconds; 0 is none.
TIMES = (0, 0, 1, 2, 3, 5, 10, 20)


def test_timeouts(fresh_server: FreshServer, extent: Extent, tally: Tally) -> None:
    """They act in the session and, as its settings, in its jobs."""
    server = fresh_server({"log_min_messages": "fatal"})
    names = [
        "statement_timeout",
        "lock_timeout",
        "idle_session_timeout",
        "pg_background.worker_timeout",
        *(["transaction_timeout"] if server.major >= 17 else []),
    ]
    set_times = 0

    def before_job(conn: Connection, chance: random.Random) -> None:
        nonlocal set_times
        for name in names:
            query(conn, f"SET {name} = 0")
        time = chance.choice(TIMES)
        set_times += time > 0
        query(conn, f"SET {chance.choice(names)} = {time}")

    with under_load(server, "timeouts", tally) as (crew, injector):
        for driver in crew.drivers:
            driver.before_job = before_job
        wanted = extent.faults * len(names)
        injector.inject(1, lambda: set_times >= wanted)
    tally.faults("timeout set", set_times)
    met = sum(crew.ledger.interrupted.values()) + sum(
        job.state in ("timed_out", "error") and not job.kind.ends & {"timed_out", "error"}
        for job in crew.ledger.jobs
    )
    tally.add("timeouts that struck", met)
    assert met > 0
