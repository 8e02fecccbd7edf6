"""How long calls take, from a client in a session of its own."""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from .ways import C_EXTENSION, COLD, DBLINK_NEW, Way

#: Jobs of each way in a round. One that starts a process takes ten times as long.
JOBS = 200
COLD_JOBS = 60


class Samples:
    """Seconds, by what was timed and by which way."""

    def __init__(self) -> None:
        self._seconds: dict[tuple[str, str], list[float]] = defaultdict(list)

    def add(self, way: str, times: Mapping[str, float]) -> None:
        """Keep one job's times."""
        for what, seconds in times.items():
            self._seconds[what, way].append(seconds)

    def of(self, what: str, way: str) -> Sequence[float]:
        """Return one thing's, by one way."""
        return self._seconds[what, way]

    def __iter__(self) -> Iterator[tuple[str, str, list[float]]]:
        for (what, way), seconds in self._seconds.items():
            yield what, way, seconds


def together(rounds: Sequence[Samples]) -> Samples:
    """Return the samples of all rounds."""
    all_of_them = Samples()
    for samples in rounds:
        for what, way, seconds in samples:
            for second in seconds:
                all_of_them.add(way, {what: second})
    return all_of_them


def measure_round(ways: Sequence[Way]) -> Samples:
    """Run each way's jobs, so that what disturbs the machine meanwhile disturbs all of them."""
    samples = Samples()
    with _no_collection():
        for way in ways:
            jobs = COLD_JOBS if way.name in (COLD, DBLINK_NEW, C_EXTENSION) else JOBS
            # Each call by itself: in a mixture each would be timed after the pause that the others make.
            for turn in way.turns():
                for _ in range(jobs // 4):
                    turn()
                for _ in range(jobs):
                    samples.add(way.name, turn())
    return samples


@contextmanager
def _no_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
