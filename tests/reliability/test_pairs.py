"""Every two operations on one handle at once, from two sessions: they say what the contract allows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from ..support.fix_server import FreshServer
from . import extent as extents
from .extent import Extent
from .leaks import assert_nothing_is_left
from .pairs import BEGINNINGS, every_pair, wrong
from .ring import Ring
from .tally import Tally

pytestmark = pytest.mark.slow


@pytest.fixture
def ring(fresh_server: FreshServer) -> Iterator[Ring]:
    server = fresh_server({"log_min_messages": "fatal"})
    with ExitStack() as stack:
        ring = Ring(*(stack.enter_context(server.connect()) for _ in range(3)))
        stack.callback(ring.close)
        yield ring


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_every_pair(ring: Ring, extent: Extent, tally: Tally, beginning: str) -> None:
    chance = extents.chance("pairs", beginning)
    found = []
    pairs = [pair for pair in every_pair() if pair.beginning == beginning]
    for _ in range(extent.rounds):
        chance.shuffle(pairs)
        for pair in pairs:
            handle = ring.begin(pair)
            first, second = ring.meet(pair, handle)
            if said := wrong(pair, first, second):
                found.append(said)
            ring.tidy()
    tally.jobs(extent.rounds * len(pairs))
    tally.add("pairs that met", extent.rounds * len(pairs))
    assert not found, "\n".join(sorted(set(found))[:60])
    assert_nothing_is_left(ring.busy)
