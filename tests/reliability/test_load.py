"""Many sessions, jobs of every kind: each ends once, is done once, is counted once, and leaves nothing."""

from __future__ import annotations

import pytest

from ..support.fix_server import FreshServer
from ..support.jobs import run
from .crew import Crew
from .extent import Extent
from .kinds import SET_UP
from .leaks import assert_not_grown, assert_nothing_is_left, held
from .tally import Tally

pytestmark = pytest.mark.slow

#: The part of the jobs after which no process may grow: each session has had every kind by then.
WARM_UP = 0.2


@pytest.mark.parametrize("max_jobs", [16, 10_000])
@pytest.mark.parametrize("processes", [8, 32, 128])
def test_each_job_is_done_once(
    fresh_server: FreshServer, extent: Extent, tally: Tally, processes: int, max_jobs: int
) -> None:
    """Whatever is short, a launch is refused or its job is done."""
    server = fresh_server(
        {
            "max_worker_processes": processes,
            "max_connections": extent.sessions + 20,
            "pg_background.max_jobs": max_jobs,
            # Workers that stay can be compared.
            "pg_background.worker_idle_timeout": "1h",
            "log_min_messages": "fatal",
        }
    )
    server.psql(SET_UP)
    crew = Crew(server.connect, extent.sessions, f"load {processes} {max_jobs}")
    with server.connect() as watcher:
        crew.run(int(extent.jobs * WARM_UP))
        before = held(server)
        crew.run(int(extent.jobs * (1 - WARM_UP)))
        after = held(server)
        crew.close()
        assert_nothing_is_left(watcher)
        crew.ledger.check_effects(watcher, tally)
        crew.ledger.check_ends()
        crew.ledger.check_totals(watcher)
        assert set(crew.ledger.refusals) <= {"53400", "53000"}
        tally.add("processes whose memory was compared", assert_not_grown(before, after))
        assert run(watcher, "SELECT 'next'") == [("next",)]
