# Made from _waits_async.py by tools/async_to_sync.py: edit that one.
"""What a client's waits ask the server: which jobs are final, and whether they wait for the client itself."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from time import monotonic

import psycopg

from . import tracing
from ._connections import Connections
from ._watch import Watch, Watcher
from .handles import arrays_of
from .model import Handle, Outcome
from .statements import LISTEN, NUDGE

#: How often a listener looks whether the client is closed, if nothing wakes it, in seconds.
LISTEN_SECONDS = 5.0

#: How often waits that can't end are looked for; as the server's own deadlock_timeout.
DEADLOCK_SECONDS = 1.0


class Waits:
    """The jobs that a client waits for, watched over its connections."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._watcher = Watcher(self._ask, self._listen)
        self._last_deadlock_check = monotonic()
        connections.when_moved(self._begin_anew)

    @property
    def is_listening(self) -> bool:
        """Whether there is a connection over which jobs tell their ends."""
        return self._watcher.listening

    @property
    def wants_notices(self) -> bool:
        """Whether the jobs to come are expected to take long, by those that came before."""
        return self._watcher.wants_notices

    def watch(self, *, is_notified: bool, earlier: Watch | None = None) -> Watch:
        """Return what tells that a job is over, once `begin` was called.

        Args:
            is_notified: whether the server gives notice when it ends.
            earlier: what the caller has of this job; it is returned if it still is of use.
        """
        self._connections.move_here()
        # In a forked child, and in another event loop, nobody watches for the former one, and that it ended
        # there is no error here.
        if earlier is not None and (earlier.watcher is self._watcher or earlier.outcome is not None):
            return earlier
        return Watch(self._watcher, is_notified)

    @staticmethod
    def begin(handle: Handle, watch: Watch) -> Watch:
        """Watch the job until it is over, and return the watch."""
        if not watch.is_over:
            watch.watcher.add(handle, watch)
        return watch

    def close(self) -> None:
        """Stop; whoever still waits is told."""
        self._watcher.closed = True
        try:
            if self._watcher.listening:
                with suppress(psycopg.Error), self._connections.lend() as connection:
                    connection.execute(NUDGE)
        finally:
            self._watcher.close()

    def _begin_anew(self) -> None:
        # Whoever watched for the one before is not here.
        self._watcher = Watcher(self._ask, self._listen)

    def _ask(self, handles: Sequence[Handle]) -> list[Outcome]:
        """Return those that are final or unknown."""
        rows = self._connections.rows("finished", *arrays_of(handles))
        is_due = monotonic() - self._last_deadlock_check >= DEADLOCK_SECONDS
        if is_due and self._connections.source.is_in_transaction:
            self._last_deadlock_check = monotonic()
            self._end_deadlocks(handles)
        return self._with_times([Outcome.of(row) for row in rows])

    def _with_times(self, outcomes: list[Outcome]) -> list[Outcome]:
        """Return them with their times if somebody follows jobs; before their results are read."""
        known = [outcome.handle for outcome in outcomes if outcome.state is not None]
        if tracing.tracer is None or not known:
            return outcomes
        timed = {outcome.handle: outcome for outcome in self._connections.ended(known, 1)}
        return [timed.get(outcome.handle, outcome) for outcome in outcomes]

    def _end_deadlocks(self, handles: Sequence[Handle]) -> None:
        """Tell those who wait, in an open transaction, for jobs that wait for its end."""
        for pid, cookie in self._connections.rows("held_up", *arrays_of(handles)):
            error = psycopg.errors.DeadlockDetected(
                f"the job with PID {pid} waits for what this connection's open transaction holds\n"
                "HINT:  End the transaction, or wait over another connection."
            )
            self._watcher.fail(Handle(pid, cookie), error)

    def _listen(self, watcher: Watcher) -> None:
        """Hear the notices of jobs that ended; without them it takes a bit longer to learn of it."""
        if not self._connections.source.can_listen:
            return
        with suppress(psycopg.Error), self._connections.lend(private=True) as connection:
            connection.execute(LISTEN)
            watcher.listening = True
            # For what ended just before.
            watcher.wake.set()
            while not watcher.closed:
                for notice in connection.notifies(timeout=LISTEN_SECONDS, stop_after=1):
                    watcher.hear(notice.payload)
