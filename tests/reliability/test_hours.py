"""Load and faults, for as long as RELIABILITY_HOURS says: all promises hold, and nothing grows."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial

import pytest

from ..support.fix_server import FreshServer
from ..support.jobs import Connection
from ..support.proxy import Proxy
from ..support.server import Server
from . import extent as extents
from . import soak_report
from .crew import Crew
from .faults import Injector, kill_postmaster
from .samples import Sampler
from .tally import Tally
from .under_load import check, under_load

pytestmark = [pytest.mark.slow, pytest.mark.crashes]

#: Seconds after which all that was done is compared with what was told.
ROUND = 120.0

#: Seconds between two faults, and between two that end the server's life, on the average.
PAUSE = 0.3
LIFE = 30.0

#: The part of the sessions that come by the proxy.
BY_PROXY = 0.3


class Bad:
    """What happens to a server on a bad day."""

    def __init__(self, server: Server, crew: Crew, injector: Injector, chance: random.Random) -> None:
        self._server = server
        self._crew = crew
        self._injector = injector
        self._chance = chance

    def small(self) -> tuple[str, int]:
        """A fault that the server survives; its name, and whether it has met something."""
        victims = self._chance.choice(["workers", "idle_workers", "launchers", "readers", "keeper"])
        sent = self._chance.choice([signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGSTOP])
        return f"{sent.name} {victims}", self._injector.send(sent, getattr(self._injector, victims))

    def large(self) -> tuple[str, int]:
        """One that ends all its processes."""
        injector = self._injector
        kinds: dict[str, Callable[[], int]] = {
            f"SIGKILL {victims}": partial(
                injector.crash, partial(injector.send, signal.SIGKILL, getattr(injector, victims))
            )
            for victims in ("workers", "idle_workers", "launchers", "readers", "keeper")
        }
        kinds["shutdown fast"] = partial(injector.stop_and_start, partial(self._server.cluster.stop, "fast"))
        kinds["shutdown immediate"] = partial(
            injector.stop_and_start, partial(self._server.cluster.stop, "immediate")
        )
        kinds["SIGKILL postmaster"] = partial(injector.stop_and_start, partial(kill_postmaster, self._server))
        name = self._chance.choice(list(kinds))
        return name, kinds[name]()


class Entrance:
    """Leads sessions to the server, some of them by a proxy that cuts them off."""

    def __init__(self, server: Server, chance: random.Random) -> None:
        self._server = server
        self._chance = chance
        self._lock = threading.Lock()
        #: by the socket that each leads to: in each life the server has another one
        self._proxies: dict[str, Proxy] = {}

    def connect(self, *, user: str, application_name: str = "") -> Connection:
        """Open a session."""
        with self._lock:
            if self._chance.random() >= BY_PROXY:
                return self._server.connect(user=user, application_name=application_name)
            running = self._server.cluster.postmaster()
            address = f"{running.socket_directory}/.s.PGSQL.{running.port}"
            if address not in self._proxies:
                self._proxies[address] = Proxy(address, self._chance)
            port = self._proxies[address].port
        return self._server.connect(user=user, application_name=application_name, host="127.0.0.1", port=port)

    def cuts(self) -> int:
        """How many connections were cut."""
        return sum(proxy.cuts for proxy in tuple(self._proxies.values()))

    def close(self) -> None:
        """Cut all."""
        for proxy in self._proxies.values():
            proxy.close()


def test_soak(fresh_server: FreshServer, tally: Tally) -> None:
    seconds = extents.soak_seconds()
    server = fresh_server({"log_min_messages": "log"})
    chance = extents.chance("soak")
    entrance = Entrance(server, extents.chance("soak", "entrance"))
    began = time.monotonic()
    with closing(entrance), under_load(server, "soak", tally, entrance.connect) as (crew, injector):
        bad = Bad(server, crew, injector, chance)
        sampler = Sampler(server, crew, tally, max(0.5, seconds / 1000))
        try:
            with sampler:
                while (left := seconds - (time.monotonic() - began)) > 0:
                    do_round(min(ROUND, left), bad, crew, chance, tally)
                    crew.stop()
                    check(server, crew, tally)
                    begin_anew(server, crew)
                    crew.start()
        finally:
            # Of a soak that fails, too.
            tally.faults("connection cut by the proxy", entrance.cuts())
            facts: dict[str, object] = {
                "PostgreSQL": server.cluster.runtime.installation.version,
                "seconds": round(time.monotonic() - began),
                "seed": extents.seed(),
                "sessions": len(crew.drivers),
            }
            print(soak_report.write(sampler, tally.counts, facts))
    tally.add("processes whose memory was compared", sampler.assert_nothing_grows())


def do_round(seconds: float, bad: Bad, crew: Crew, chance: random.Random, tally: Tally) -> None:
    """Let faults come for a time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        crew.sleep(chance.uniform(0, 2 * PAUSE))
        is_large = chance.random() < PAUSE / LIFE
        name, met = bad.large() if is_large else bad.small()
        if met:
            tally.faults(name)


def begin_anew(server: Server, crew: Crew) -> None:
    """Forget the jobs that were compared: a soak has more than can be remembered."""
    crew.ledger.jobs.clear()
    # The server's counters go on.
    crew.ledger.life += 2
    server.execute("TRUNCATE effects")
