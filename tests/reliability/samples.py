"""How a server fares over time: its memory, descriptors and files, and what gets done."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass

import psycopg

from pg_background.server import ServerError

from ..support.registry import registry
from ..support.server import Server
from .crew import Crew
from .leaks import BYTES, Held, held
from .tally import Tally

#: Seconds that a process must have lived for its growth to tell anything: it has seen all kinds of jobs.
_GROWN_UP = 120.0


@dataclass
class Sample:
    """A moment."""

    seconds: float
    jobs: int
    refused: int
    faults: int
    interrupted: int
    #: of the largest process of a kind; None while the server is away
    keeper_bytes: int | None = None
    worker_bytes: int | None = None
    session_bytes: int | None = None
    postmaster_bytes: int | None = None
    #: of all of them
    processes: int | None = None
    descriptors: int | None = None
    area_bytes: int | None = None
    spill_bytes: int | None = None
    live: int | None = None


class Sampler:
    """Takes samples in a thread of its own."""

    def __init__(self, server: Server, crew: Crew, tally: Tally, interval: float) -> None:
        self.samples: list[Sample] = []
        self._server = server
        self._crew = crew
        self._tally = tally
        self._interval = interval
        self._began = time.monotonic()
        self._stop = threading.Event()
        self._sizes: dict[int, list[tuple[float, Held]]] = {}
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            self._take()
            if self._stop.wait(self._interval):
                return

    def _take(self) -> None:
        ledger = self._crew.ledger
        sample = Sample(
            seconds=time.monotonic() - self._began,
            jobs=self._tally.counts["jobs run"] + len(ledger.jobs),
            refused=sum(ledger.refusals.values()),
            faults=self._tally.counts["faults injected"],
            interrupted=sum(ledger.interrupted.values()),
        )
        self.samples.append(sample)
        with suppress(ServerError, psycopg.Error, FileNotFoundError, ProcessLookupError):
            processes = held(self._server)
            for pid, found in processes.items():
                self._sizes.setdefault(pid, []).append((sample.seconds, found))
            sample.postmaster_bytes = processes[self._server.pid].bytes
            sample.keeper_bytes = _largest(processes, "pg_background keeper")
            sample.worker_bytes = _largest(processes, "pg_background worker")
            sample.session_bytes = max(_largest(processes, "[local]"), _largest(processes, "127.0.0.1"))
            sample.processes = len(processes)
            sample.descriptors = sum(found.descriptors for found in processes.values())
            with self._server.connect() as conn:
                now = registry(conn)
            sample.area_bytes, sample.spill_bytes, sample.live = now.area_bytes, now.spill_bytes, now.live

    def assert_nothing_grows(self) -> int:
        """In the second half of its life no process has got more; returns how many were looked at."""
        grown = []
        looked_at = 0
        for pid, sizes in self._sizes.items():
            born, died = sizes[0][0], sizes[-1][0]
            if died - born < _GROWN_UP:
                continue
            looked_at += 1
            middle = next(found for at, found in sizes if at >= (born + died) / 2)
            last = sizes[-1][1]
            if last.bytes > middle.bytes + BYTES:
                grown.append(f"{pid}: {middle} -> {last}")
        assert not grown, "\n".join(grown)
        return looked_at


def _largest(processes: dict[int, Held], mark: str) -> int:
    return max((found.bytes for found in processes.values() if mark in found.title), default=0)
