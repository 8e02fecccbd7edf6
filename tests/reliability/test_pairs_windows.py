"""Two operations on one handle while a debug point holds the worker, or one of the two, on its way."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent import futures

import pytest

from ..support.points import Scene
from . import extent as extents
from .extent import Extent
from .operations import OPERATIONS
from .pairs import Pair, every_pair, wrong
from .ring import Ring
from .tally import Tally

pytestmark = pytest.mark.slow

#: Where a worker is held, and the states in which the job is there or right after.
WORKER_WINDOWS = {
    "worker_before_job": {"running", "stopped"},
    "job_before_statements": {"running", "stopped"},
    "job_before_commit": {"running", "stopped"},
    "job_before_finish": {"running", "stopped"},
    "worker_before_reset": {"stopped"},
    "worker_after_reset": {"stopped"},
}

#: From this one on the job is `stopped`, whoever cancels it.
COMMITTED = ("job_before_finish", "worker_before_reset", "worker_after_reset")

#: Where one of the two is held, and in which operations it comes there.
CALLER_WINDOWS = {
    "reader_before_columns": ("result", "result_json"),
    "reader_before_taking": ("result", "result_json"),
    "set_before_reading": ("wait_any", "drain"),
}


@pytest.fixture
def ring(scene: Scene) -> Iterator[Ring]:
    ring = Ring(scene.launcher, scene.reader, scene.watcher)
    yield ring
    ring.close()


def chosen(pairs: list[Pair], extent: Extent, chance: random.Random) -> list[Pair]:
    """All pairs in an order of chance, or some of them."""
    return chance.sample(pairs, min(len(pairs), extent.window_pairs or len(pairs)))


@pytest.mark.parametrize("name", WORKER_WINDOWS)
def test_while_the_worker_is_held(scene: Scene, ring: Ring, extent: Extent, tally: Tally, name: str) -> None:
    chance = extents.chance("windows", name)
    found = []
    pairs = chosen([pair for pair in every_pair() if pair.beginning == "ending"], extent, chance)
    for pair in pairs:
        with scene.point(name) as point:
            handle = ring.begin(pair)
            point.reached()
            calls = [
                ring.call(ring.first, pair.first, handle),
                ring.call(ring.second, pair.second, handle),
            ]
            # One of them may have its answer before the worker goes on.
            futures.wait(calls, chance.choice([0, 0.005, 0.02]), futures.FIRST_COMPLETED)
            point.open()
            first, second = (call.result() for call in calls)
        committed = name in COMMITTED
        if said := wrong(pair, first, second, WORKER_WINDOWS[name], has_committed=committed):
            found.append(said)
        ring.tidy()
    tally.jobs(len(pairs))
    tally.add("pairs that met in a window", len(pairs))
    assert not found, "\n".join(sorted(set(found)))


@pytest.mark.parametrize("name", CALLER_WINDOWS)
def test_while_one_of_them_is_held(scene: Scene, ring: Ring, extent: Extent, tally: Tally, name: str) -> None:
    chance = extents.chance("windows", name)
    found = []
    held = [operation for operation in OPERATIONS if operation.name in CALLER_WINDOWS[name]]
    pairs = chosen([Pair(other, one, "stopped") for one in held for other in OPERATIONS], extent, chance)
    for pair in pairs:
        handle = ring.begin(pair)
        with scene.point(name) as point:
            second = ring.call(ring.second, pair.second, handle)
            assert point.reached() == ring.second.info.backend_pid
            # It may come to the same point.
            first = ring.call(ring.first, pair.first, handle)
            if pair.first.name not in CALLER_WINDOWS[name]:
                first.result()
            point.open()
            if said := wrong(pair, first.result(), second.result()):
                found.append(said)
        ring.tidy()
    tally.jobs(len(pairs))
    tally.add("pairs that met in a window", len(pairs))
    assert not found, "\n".join(sorted(set(found)))
