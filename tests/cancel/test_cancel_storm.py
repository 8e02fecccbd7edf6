"""Five thousand cancels by several sessions against the end of jobs: none hits another, all are counted."""

from __future__ import annotations

import threading
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor
from concurrent.futures import wait as wait_for_tasks
from contextlib import suppress

import psycopg
import pytest
from psycopg import errors as e

from ..support.calls import stats
from ..support.fix_db import Connect, Connection
from ..support.jobs import Handle, launch, result
from ..support.registry import registry
from ..support.server import Server
from ..support.waiting import wait_until
from ..support.workers import only_worker

CANCELS = 5000
#: Jobs that they are for: most cancels come before the end or soon after it.
ROUNDS = 1000
CANCELLERS = 3
LAUNCHERS = 2


def launch_somehow(conn: Connection, job: str) -> Handle:
    """Launch, as soon as there is a worker to be had."""
    while True:
        with suppress(e.ConfigurationLimitExceeded):
            return launch(conn, job)


class Storm:
    """What the sessions share: handles of jobs that may be canceled, and what became of all."""

    def __init__(self) -> None:
        self.targets: list[Handle | None] = [None] * LAUNCHERS
        self.stop = threading.Event()
        self._lock = threading.Lock()
        self.sent = 0
        self.hit = 0
        self.rounds = 0

    def cancel_all_the_time(self, conn: Connection, number: int) -> None:
        """Cancel whatever is a target, running or just over."""
        while not self.stop.is_set():
            target = self.targets[number % LAUNCHERS]
            number += 1
            if target is None:
                continue
            try:
                conn.execute("SELECT pg_background_cancel(%s, %s)", target)
            except (e.UndefinedObject, e.ObjectNotInPrerequisiteState):
                # Consumed meanwhile.
                continue
            with self._lock:
                self.sent += 1
                if self.sent >= CANCELS and self.rounds >= ROUNDS:
                    self.stop.set()

    def launch_all_the_time(self, conn: Connection, number: int) -> None:
        """Offer a target, and right after it run a job that nobody may hit."""
        round_ = 0
        while not self.stop.is_set():
            round_ += 1
            # Long enough for some of them to be hit, short enough for others to have ended.
            target = launch_somehow(
                conn, f"SELECT count(*)::int FROM generate_series(1, {round_ % 20 * 2000})"
            )
            self.targets[number] = target
            spared = launch_somehow(conn, f"SELECT {round_}")
            assert result(conn, spared, "n int") == [(round_,)]
            try:
                assert result(conn, target, "n int") == [(round_ % 20 * 2000,)]
            except e.QueryCanceled:
                with self._lock:
                    self.hit += 1
            with self._lock:
                self.rounds += 1


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2, 8])
def test_storm(server: Server, connect: Connect, workers: int) -> None:
    """With few workers each target's worker gets the next job at once."""
    with server.alter_system({"pg_background.max_total_workers": workers}):
        watcher = connect()
        before = registry(watcher)
        storm = Storm()
        launchers = [connect() for _ in range(LAUNCHERS if workers > 1 else 1)]
        with ThreadPoolExecutor(8) as pool:
            tasks = [pool.submit(storm.cancel_all_the_time, connect(), n) for n in range(CANCELLERS)]
            tasks += [pool.submit(storm.launch_all_the_time, conn, n) for n, conn in enumerate(launchers)]
            try:
                wait_for_tasks(tasks, timeout=300, return_when=FIRST_EXCEPTION)
            finally:
                storm.stop.set()
            for task in tasks:
                task.result()
        assert storm.sent >= CANCELS
        # Both kinds were there, or it was no race.
        assert 0 < storm.hit < storm.rounds
        found = [stats(conn) for conn in launchers]
        assert sum(one["canceled"] for one in found) == storm.hit
        assert sum(one["failed"] for one in found) == 0
        assert sum(one["active"] for one in found) == 0
        wait_until(lambda: registry(watcher).live == before.live, what="no job left")


def test_late_cancels_of_one_handle(server: Server, connect: Connect) -> None:
    """A finished job's handle, canceled while the same worker runs the next one, hits nobody."""
    with only_worker(server):
        conn, other = connect(), connect()
        old = launch(conn, "SELECT 0")
        stop = threading.Event()
        sent = 0

        def keep_cancelling() -> None:
            nonlocal sent
            while not stop.is_set():
                other.execute("SELECT pg_background_cancel(%s, %s)", old)
                sent += 1

        assert conn.execute("SELECT pg_background_wait(%s, %s)", old).fetchone() == (True,)
        with ThreadPoolExecutor(1) as pool:
            task = pool.submit(keep_cancelling)
            try:
                n = 0
                while sent < 1000 and not task.done():
                    n += 1
                    handle = launch(conn, f"SELECT {n}")
                    assert handle.pid == old.pid
                    assert result(conn, handle, "n int") == [(n,)]
            finally:
                stop.set()
            task.result()
        assert result(conn, old, "n int") == [(0,)]
        with pytest.raises(psycopg.errors.UndefinedObject):
            other.execute("SELECT pg_background_cancel(%s, %s)", old)
