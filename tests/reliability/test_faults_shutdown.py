"""The server stops in every way under load: what was told of a job stays true in its next life."""

from __future__ import annotations

from functools import partial
from threading import Thread
from typing import Literal

import pytest

from ..support.fix_server import FreshServer
from ..support.processes import children, is_alive
from ..support.server import Server
from ..support.waiting import wait_until
from .extent import Extent
from .faults import kill_postmaster
from .leaks import PATIENCE
from .tally import Tally
from .under_load import under_load

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_stop(
    fresh_server: FreshServer, extent: Extent, tally: Tally, mode: Literal["fast", "immediate"]
) -> None:
    server = fresh_server({"log_min_messages": "log"})
    with under_load(server, mode, tally) as (_, injector):
        stop = partial(server.cluster.stop, mode, timeout=PATIENCE)
        tally.faults(
            f"shutdown {mode}",
            injector.inject(extent.crashes, partial(injector.stop_and_start, stop), pause=0.5),
        )


def test_smart_stop(fresh_server: FreshServer, extent: Extent, tally: Tally) -> None:
    """Sessions go on until they end by themselves; then the workers end, whatever they run."""
    server = fresh_server({"log_min_messages": "log"})
    with under_load(server, "smart", tally) as (crew, injector):

        def stop() -> None:
            stopping = Thread(target=server.cluster.stop, args=("smart",), kwargs={"timeout": PATIENCE})
            stopping.start()
            crew.sleep(0.1)
            crew.stop()
            for driver in crew.drivers:
                driver.close()
            stopping.join()
            assert not server.is_running()
            crew.start()

        tally.faults(
            "shutdown smart",
            injector.inject(extent.crashes, partial(injector.stop_and_start, stop), pause=0.5),
        )


@pytest.mark.crashes
def test_killed_postmaster(fresh_server: FreshServer, extent: Extent, tally: Tally) -> None:
    """All its processes notice, also those that run jobs, and end: else no server could start again."""
    server = fresh_server({"log_min_messages": "log"})
    with under_load(server, "postmaster", tally) as (_, injector):
        tally.faults(
            "SIGKILL postmaster",
            injector.inject(
                extent.crashes,
                partial(injector.stop_and_start, partial(kill_with_its_processes, server)),
                pause=0.5,
            ),
        )


def kill_with_its_processes(server: Server) -> None:
    """End the postmaster, and wait until none of its processes is left."""
    left = children(server.pid)
    kill_postmaster(server)
    wait_until(lambda: not any(is_alive(pid) for pid in left), deadline=PATIENCE, what=f"the end of {left}")
