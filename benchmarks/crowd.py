"""Several sessions at once, each a process of its own with psycopg."""

from __future__ import annotations

import gc
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from threading import Barrier

from .hosts import Hosts
from .throughput import Run
from .ways import opened

_WARM_UP = 20

#: Longer than any of the processes takes to connect.
_START_SECONDS = 60

#: In each process of a crowd: where all wait for each other.
_barrier: Barrier


class Crowd:
    """So many processes."""

    def __init__(self, sessions: int) -> None:
        # Not forks: they would have this process's connections and threads.
        context = multiprocessing.get_context("spawn")
        self._sessions = sessions
        self._pool = context.Pool(sessions, _take_barrier, [context.Barrier(sessions)])

    def run(self, hosts: Hosts, way: str, seconds: float) -> Run:
        """Let each run jobs by this way, for so long."""
        # One task each: who has one waits until all have.
        parts = self._pool.map(_work, [(hosts, way, seconds)] * self._sessions, chunksize=1)
        latencies = list(chain.from_iterable(parts))
        return Run(len(latencies) / seconds, latencies)

    def close(self) -> None:
        """End the processes."""
        self._pool.terminate()
        self._pool.join()


@contextmanager
def crowd(sessions: int) -> Iterator[Crowd]:
    """Start so many processes, and end them."""
    made = Crowd(sessions)
    try:
        yield made
    finally:
        made.close()


def _take_barrier(barrier: Barrier) -> None:
    global _barrier
    _barrier = barrier


def _work(task: tuple[Hosts, str, float]) -> Sequence[float]:
    """Return how long each job took that ended in time."""
    hosts, way, seconds = task
    latencies = []
    with opened(hosts, way) as session:
        for _ in range(_WARM_UP):
            session.launch_result()
        gc.disable()
        _barrier.wait(_START_SECONDS)
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            latencies.append(session.launch_result())
        gc.enable()
    return latencies
