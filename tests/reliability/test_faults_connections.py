"""Connections of clients are cut, delayed and split in every phase: the jobs of those who go go on."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from ..support.fix_server import FreshServer
from ..support.jobs import Connection
from ..support.proxy import Proxy
from ..support.server import Server
from . import extent as extents
from .extent import Extent
from .tally import Tally
from .under_load import under_load

pytestmark = pytest.mark.slow

#: In which a connection can be cut; the last is while a session learns what became of a job.
PHASES = ("connect", "launch", "wait", "outcome", "read", "settle")


def connect_through(server: Server, proxy: Proxy, *, user: str, application_name: str = "") -> Connection:
    """Open a session by way of the proxy."""
    return server.connect(user=user, application_name=application_name, host="127.0.0.1", port=proxy.port)


def test_cut_at_any_byte(fresh_server: FreshServer, extent: Extent, tally: Tally) -> None:
    server = fresh_server({"log_min_messages": "fatal"})
    running = server.cluster.postmaster()
    socket = Path(running.socket_directory) / f".s.PGSQL.{running.port}"
    proxy = Proxy(str(socket), extents.chance("proxy"))
    try:
        with under_load(server, "proxy", tally, partial(connect_through, server, proxy)) as (crew, injector):
            wanted = extent.faults * len(PHASES)
            injector.inject(
                1,
                lambda: proxy.cuts >= wanted and all(crew.ledger.interrupted[phase] for phase in PHASES),
            )
            proxy.troubles = False
    finally:
        proxy.close()
    tally.faults("connection cut by the proxy", proxy.cuts)
    tally.add("pieces that the proxy made", proxy.done["pieces"])
    tally.add("delays by the proxy", proxy.done["delays"])
