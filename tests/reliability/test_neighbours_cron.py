"""pg_cron launches jobs, by its sessions and by its own workers, under load."""

from __future__ import annotations

import pytest

from ..support.calls import query, value
from ..support.fix_server import FreshServer
from ..support.waiting import wait_until
from .extent import Extent
from .neighbours import provide
from .tally import Tally
from .under_load import under_load

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("in_workers", [False, True], ids=["sessions", "workers"])
def test_scheduled_jobs(fresh_server: FreshServer, extent: Extent, tally: Tally, in_workers: bool) -> None:
    """What a schedule launches runs once, is counted, and neither takes the other's processes."""
    server = fresh_server()
    provide(server, "pg_cron")
    server.restart(
        {
            "shared_preload_libraries": "pg_cron,pg_background",
            "cron.use_background_workers": "on" if in_workers else "off",
            "cron.host": server.cluster.path,
            "log_min_messages": "log",
        }
    )
    server.execute("CREATE EXTENSION pg_cron")
    server.execute("CREATE TABLE scheduled (n int)")
    schedules = 2 * extent.neighbours
    with server.connect() as conn:
        for n in range(schedules):
            # The only time of this pg_cron that comes within a minute.
            query(
                conn,
                "SELECT cron.schedule(%s, '@reboot', %s)",
                f"schedule {n}",
                f"SELECT pg_background_submit('INSERT INTO scheduled VALUES ({n})')",
            )
    server.restart()
