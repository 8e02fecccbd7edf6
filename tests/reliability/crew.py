"""All sessions of a load, in threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import count, cycle

from ..support.calls import query
from . import extent as extents
from .driver import Connect, Driver
from .kinds import IDENTITIES, Identities
from .ledger import Ledger

#: Seconds in which a job that was begun must have ended when all are to stop.
PATIENCE = 180.0


class Crew:
    """Drivers at work."""

    def __init__(
        self,
        connect: Connect,
        sessions: int,
        what: str,
        *,
        faults: bool = False,
        identities: Identities = IDENTITIES,
    ) -> None:
        """
        Args:
            what: the run's name; what is done at random goes by it.
            identities: who the sessions are, in turn.
        """
        self._connect = connect
        self.ledger = Ledger()
        numbers = count(1)
        self.drivers = [
            Driver(connect, self.ledger, numbers, identity, extents.chance(what, place), faults=faults)
            for place, identity in zip(range(sessions), cycle(identities), strict=False)
        ]
        self._stop = threading.Event()
        self._threads = ThreadPoolExecutor(sessions)
        self._calls: list[Future[None]] = []

    def start(self, jobs: int | None = None) -> None:
        """Begin to work: each driver does its share of jobs, or goes on until it is to stop."""
        self._stop.clear()
        share = None if jobs is None else max(1, jobs // len(self.drivers))
        self._calls = [self._threads.submit(self._work, driver, share) for driver in self.drivers]

    def _work(self, driver: Driver, share: int | None) -> None:
        try:
            done = 0
            while not self._stop.is_set() and done != share:
                done += driver.do_one()
        except BaseException:
            # The others need not go on.
            self._stop.set()
            raise

    def check(self) -> None:
        """Raise what a driver has met that it must not."""
        for call in self._calls:
            if call.done():
                call.result()

    def join(self) -> None:
        """Wait until each has done its share."""
        for call in self._calls:
            call.result()

    def stop(self) -> None:
        """Let each end its job, and stop."""
        self._stop.set()
        wait(self._calls, PATIENCE)
        hung = sum(not call.done() for call in self._calls)
        self.check()
        assert not hung, f"{hung} sessions still wait after {PATIENCE:g} s:\n{self._shown()}"

    def _shown(self) -> str:
        """What the server's processes do, and its jobs."""
        with self._connect(user="postgres") as conn:
            rows = [
                *query(
                    conn,
                    "SELECT pid, backend_type, state, wait_event, now() - query_start, query "
                    "FROM pg_stat_activity WHERE pid <> pg_backend_pid()",
                ),
                *query(
                    conn,
                    "SELECT worker_pid, cookie, state, now(), queued_at, started_at, sql_preview "
                    "FROM pg_background_jobs WHERE finished_at IS NULL",
                ),
            ]
        open_jobs = [job for job in self.ledger.jobs if job.handle and not job.state and not job.is_taken]
        return "\n".join([*(" ".join(map(str, row)) for row in rows), *map(str, open_jobs[-30:])])

    def run(self, jobs: int) -> None:
        """Do so many jobs."""
        self.start(jobs)
        self.join()

    def sleep(self, seconds: float) -> None:
        """Let them work for a time."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.check()
            time.sleep(min(left, 0.2))

    def close(self) -> None:
        """End all sessions."""
        for driver in self.drivers:
            driver.close()
        self._threads.shutdown(wait=False, cancel_futures=True)


@contextmanager
def crew_at_work(
    connect: Connect, sessions: int, what: str, identities: Identities = IDENTITIES
) -> Iterator[Crew]:
    """Drivers that work, prepared for faults, during the block."""
    crew = Crew(connect, sessions, what, faults=True, identities=identities)
    crew.start()
    try:
        yield crew
        crew.stop()
    finally:
        crew._stop.set()
        crew.close()
