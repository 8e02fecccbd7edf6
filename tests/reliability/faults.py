"""Faults that meet the processes of a server at random moments."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress

import psycopg

from pg_background.server import ServerError

from ..support.calls import query
from ..support.jobs import Connection
from ..support.processes import pids_titled
from ..support.server import Server
from .crew import Crew
from .driver import APPLICATION, RECOVERY

#: Its own session, in which it looks for processes and ends jobs that nobody knows of.
_WATCHER = "watcher"

#: A job that lasts longer may have lost its session before that knew of it: it is ended, to keep no worker.
_LONGEST = "2 s"

_SWEEP = f"""
DO $$ DECLARE job record; BEGIN
  FOR job IN SELECT pid, cookie FROM pg_background_jobs
             WHERE finished_at IS NULL AND queued_at < clock_timestamp() - interval '{_LONGEST}' LOOP
    BEGIN
      PERFORM pg_background_cancel(job.pid, job.cookie);
    EXCEPTION WHEN undefined_object OR object_not_in_prerequisite_state THEN
      NULL;
    END;
  END LOOP;
END $$
"""


class Injector:
    """Finds processes of a server under load, and does something to them."""

    def __init__(self, server: Server, crew: Crew, chance: random.Random) -> None:
        self._server = server
        self._crew = crew
        self._chance = chance
        self._conn: Connection | None = None
        self._swept = 0.0

    def close(self) -> None:
        """End its session."""
        if self._conn is not None:
            self._conn.close()
            self._conn = None

    def inject(self, count: int, fault: Callable[[], int], *, pause: float = 0.02) -> int:
        """Let a fault happen so often, at random moments, and return how often it met something."""
        met = 0
        end = time.monotonic() + RECOVERY
        while met < count:
            assert time.monotonic() < end, f"{met} of {count} faults have met something"
            self._crew.sleep(self._chance.uniform(0, pause))
            self.sweep()
            if found := fault():
                met += found
                end = time.monotonic() + RECOVERY
        return met

    def sweep(self) -> None:
        """End jobs that nobody knows of, from time to time."""
        if time.monotonic() > self._swept + 1:
            self._swept = time.monotonic()
            self._query(_SWEEP)

    # ---- whom it meets

    def workers(self) -> list[int]:
        """Processes that run a job."""
        return self._pids("backend_type = 'pg_background' AND state <> 'idle'")

    def idle_workers(self) -> list[int]:
        """Processes that wait for a job, which may come at any moment."""
        return self._pids("backend_type = 'pg_background' AND state = 'idle'")

    def launchers(self) -> list[int]:
        """Sessions whose last call was a launch, and which mostly are in it or right after it."""
        return self._pids(f"application_name = '{APPLICATION}' AND query LIKE '%-- launch'")

    def readers(self) -> list[int]:
        """Sessions that read a result, or wait for one."""
        return self._pids(
            f"application_name = '{APPLICATION}' AND state = 'active' AND query LIKE '%_result(%'"
        )

    def keeper(self) -> list[int]:
        """The process that serves the queue."""
        return pids_titled(self._server, "pg_background keeper")

    def _pids(self, condition: str) -> list[int]:
        return [pid for (pid,) in self._query(f"SELECT pid FROM pg_stat_activity WHERE {condition}")]

    def _query(self, sql: str) -> list[tuple[int, ...]]:
        """Ask, also of a server that has just come back."""
        end = time.monotonic() + RECOVERY
        while True:
            try:
                if self._conn is None:
                    self._conn = self._server.connect(application_name=_WATCHER)
                return query(self._conn, sql)
            except (psycopg.OperationalError, ServerError):
                self.close()
                if time.monotonic() > end:
                    raise
                time.sleep(0.01)

    # ---- what it does

    def send(self, sent: signal.Signals, victims: Callable[[], list[int]]) -> int:
        """Send a signal to one of the processes; returns how many it has met."""
        found = victims()
        if not found:
            return 0
        pid = self._chance.choice(found)
        try:
            os.kill(pid, sent)
            if sent is signal.SIGSTOP:
                try:
                    time.sleep(self._chance.uniform(0.001, 0.03))
                finally:
                    os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            return 0
        return 1

    def crash(self, fault: Callable[[], int]) -> int:
        """Let a fault end the server's life, and wait until it has a new one."""
        mark = self._server.log.mark()
        # Odd until it is over: what is launched meanwhile may be of either life.
        self._crew.ledger.life += 1
        met = fault()
        if met:
            self._server.log.wait_for(
                "database system is ready to accept connections", mark, deadline=RECOVERY
            )
        self._crew.ledger.life += 1
        return met

    def stop_and_start(self, stop: Callable[[], object]) -> int:
        """Stop the server in some way, and start it again."""
        self._crew.ledger.life += 1
        self.close()
        stop()
        self._start()
        self._crew.ledger.life += 1
        return 1

    def _start(self) -> None:
        end = time.monotonic() + RECOVERY
        while True:
            try:
                self._server.start()
                return
            except ServerError:
                # Processes of a killed postmaster hold its shared memory until they notice.
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)


def kill_postmaster(server: Server) -> None:
    """End the postmaster by SIGKILL: its processes have to notice by themselves."""
    pid = server.pid
    os.kill(pid, signal.SIGKILL)
    with suppress(ProcessLookupError):
        while server.is_running():
            time.sleep(0.01)
