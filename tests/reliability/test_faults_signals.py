"""Signals meet workers, sessions and keeper at random moments: no job is lost, doubled or told wrongly."""

from __future__ import annotations

import signal
from functools import partial

import pytest

from ..support.fix_server import FreshServer
from .extent import Extent
from .tally import Tally
from .under_load import under_load

pytestmark = pytest.mark.slow

VICTIMS = ("workers", "idle_workers", "launchers", "readers", "keeper")

#: Those that a process answers, or does not notice.
SURVIVED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGSTOP)


@pytest.mark.parametrize("sent", SURVIVED, ids=lambda sent: sent.name)
def test_one_process(fresh_server: FreshServer, extent: Extent, tally: Tally, sent: signal.Signals) -> None:
    """The others go on, and each job has one end, by which its effect is there or not."""
    server = fresh_server({"log_min_messages": "log"})
    with under_load(server, sent.name, tally) as (_, injector):
        for victims in VICTIMS:
            fault = partial(injector.send, sent, getattr(injector, victims))
            tally.faults(f"{sent.name} {victims}", injector.inject(extent.faults, fault))
    # One life: the counters have all jobs, and nobody's handle was forgotten.
    assert "reinitializing" not in server.log.since(0)


@pytest.mark.crashes
def test_sigkill(fresh_server: FreshServer, extent: Extent, tally: Tally) -> None:
    """The server begins anew: what was told of a job before stays true, and nothing is left of the others."""
    server = fresh_server({"log_min_messages": "log"})
    with under_load(server, "SIGKILL", tally) as (_, injector):
        for victims in VICTIMS:
            kill = partial(injector.send, signal.SIGKILL, getattr(injector, victims))
            met = injector.inject(extent.crashes, partial(injector.crash, kill), pause=0.5)
            tally.faults(f"SIGKILL {victims}", met)
