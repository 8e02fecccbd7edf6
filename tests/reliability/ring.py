"""Two sessions that meet over the handle of a job."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

from ..support.calls import query
from ..support.jobs import Connection, Gate, Handle, detach, launch, start, wait
from ..support.registry import registry
from ..support.waiting import wait_until
from ..support.workers import pids
from .operations import PATIENCE, Operation, answer
from .pairs import Pair

ROWS = "SELECT n::text AS value FROM generate_series(1, 3) n"

#: By the state that a job is found in; `{gate}` is shut until all is tidied.
JOBS = {
    "queued": ROWS,
    "running": f"{{gate}}; {ROWS}",
    "ending": f"SELECT pg_sleep(0.003); {ROWS}",
    "stopped": ROWS,
    "error": "SELECT (1 / (g - 1))::text AS value FROM generate_series(1, 1) g",
}


class Ring:
    """The sessions that meet over handles."""

    def __init__(self, *sessions: Connection) -> None:
        self.first, self.second, self.busy = sessions
        for session in (self.first, self.second):
            query(session, "SET client_min_messages = error")
        self._gate = Gate(self.busy)
        self._threads = ThreadPoolExecutor(2)

    def begin(self, pair: Pair) -> Handle:
        """Launch a job, and let it come to where the pair is to find it."""
        beginning = pair.beginning
        self._gate.close()
        if beginning == "queued":
            # Behind another one, at the session's limit.
            query(self.first, "SET pg_background.max_workers = 1")
            detach(self.first, launch(self.first, self._gate.sql))
        handle = start(self.first, JOBS[beginning].format(gate=self._gate.sql), on_full="queue")
        if beginning in ("stopped", "error"):
            assert wait(self.first, handle)
        if beginning in ("queued", "running"):
            # Those who read would wait for ever.
            for session, operation in ((self.first, pair.first), (self.second, pair.second)):
                if operation.claims:
                    query(session, f"SET statement_timeout = {2 * PATIENCE}")
        return handle

    def call(self, session: Connection, operation: Operation, handle: Handle) -> Future[str]:
        """Begin an operation."""
        return self._threads.submit(answer, session, operation.call, handle)

    def meet(self, pair: Pair, handle: Handle) -> tuple[str, str]:
        """Do both at once."""
        first = self.call(self.first, pair.first, handle)
        second = self.call(self.second, pair.second, handle)
        return first.result(), second.result()

    def tidy(self) -> None:
        """Leave nothing of the job, nor of the one before it."""
        self._gate.open()
        for session in (self.first, self.second):
            query(session, "RESET statement_timeout")
        query(self.first, "RESET pg_background.max_workers; SELECT pg_background_detach_all()")
        # Their workers, too: one that resets itself would stop at the next point.
        wait_until(
            lambda: registry(self.busy).live == 0 and pids(self.busy) == pids(self.busy, only_idle=True),
            what="the end of both jobs",
        )

    def close(self) -> None:
        """End its threads."""
        self._threads.shutdown()
