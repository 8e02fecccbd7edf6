# Made from _watch_async.py by tools/async_to_sync.py: edit that one.
"""Waiting for any number of jobs, with one statement over all of them when there may be news.

It is for jobs that take a while: who wants one alone looks first whether it ends at once (`Job.result`).

No session waits in the server, so nothing there has a snapshot or a lock, and the client's connection is
free: it is asked soon after a job was added, then less and less often. What takes longer is told by NOTIFY,
to a connection that only listens, where there can be one.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from .acompat import LINGER, Event, Lock, Task, join, spawn, wait_event
from .model import Handle, Outcome

#: Seconds between two questions while no job ends: they begin with the first and grow to the second.
SOON = 0.001
LATE = 0.1
#: The same where notices come: a process that dies gives none.
SAFE = 1.0

_GROWTH = 1.5

_logger = logging.getLogger("pg_background")

Callback = Callable[[], object]


class Watch:
    """One job that is waited for."""

    def __init__(self, watcher: Watcher, is_notified: bool) -> None:
        self.watcher = watcher
        self.is_notified = is_notified
        #: whether the watcher asks for it; before that nothing of it costs anything
        self.begun = False
        #: whether the job is final, or that can't be learned any more
        self.is_over = False
        self.outcome: Outcome | None = None
        self.error: Exception | None = None
        #: held while the job's output is read
        self.reading = Lock()
        self._event: Event | None = None
        self._callbacks: list[Callback] = []
        self._mutex = threading.Lock()

    def wait(self, timeout: float | None) -> bool:
        """Wait until it is over, at most so many seconds; return whether it is."""
        with self._mutex:
            if self.is_over:
                return True
            if self._event is None:
                self._event = Event()
        return wait_event(self._event, timeout)

    def when_over(self, callback: Callback) -> None:
        """Call it then, or at once if it is over."""
        with self._mutex:
            if not self.is_over:
                self._callbacks.append(callback)
                return
        callback()

    def settle(self, outcome: Outcome | None, error: Exception | None = None) -> None:
        """Say what has become of the job, once."""
        with self._mutex:
            if self.is_over:
                return
            self.outcome, self.error = outcome, error
            self.is_over = True
            if self._event is not None:
                self._event.set()
            callbacks, self._callbacks = self._callbacks, []
        self._call(callbacks)

    def _call(self, callbacks: list[Callback]) -> None:
        """Call each, whatever the others do."""
        for number, callback in enumerate(callbacks, 1):
            try:
                callback()
            except Exception:
                # As with concurrent.futures: one caller's mistake is not the others'.
                _logger.exception("a callback of a finished job failed")
            except BaseException:
                self._call(callbacks[number:])
                raise


class Watcher:
    """Watches the jobs of a client, beside it, while there are any."""

    def __init__(
        self,
        ask: Callable[[Sequence[Handle]], list[Outcome]],
        listen: Callable[[Watcher], None],
    ) -> None:
        """
        Args:
            ask: returns those that are final or unknown, of these.
            listen: sets `listening`, and calls `hear` for each notice, until `closed`; ends at once if there
                can be none.
        """
        self.wake = Event()
        self.listening = False
        self.closed = False
        #: whether jobs are expected to take so long that it is worth their while to tell of their ends
        self.wants_notices = True
        self._ask = ask
        self._listen = listen
        self._open: dict[Handle, list[Watch]] = {}
        self._mutex = threading.Lock()
        self._asking: Task | None = None
        self._hearing: Task | None = None

    def add(self, handle: Handle, watch: Watch) -> None:
        """Watch a job until it is over, if that was not begun yet."""
        with self._mutex:
            if watch.begun:
                return
            watch.begun = True
            if not self.closed:
                self._open.setdefault(handle, []).append(watch)
                if self._asking is None:
                    self._asking = spawn("pg_background wait", self._run)
                self.wake.set()
                return
        watch.settle(None, self._why_in_vain())

    def hear(self, payload: str) -> None:
        """Take a notice: it may be of another client's job."""
        with self._mutex:
            mine = any(payload == str(handle.pid) for handle in self._open)
        if mine:
            self.wake.set()

    def fail(self, handle: Handle, error: Exception) -> None:
        """Say that waiting for a job is in vain."""
        for watch in self._take(handle):
            watch.settle(None, error)

    def close(self) -> None:
        """Stop; whoever still waits is told."""
        self.closed = True
        self.wake.set()
        try:
            if self._asking is not None:
                join(self._asking)
            # Afterwards: the other one begins it.
            if self._hearing is not None:
                join(self._hearing)
        finally:
            self._settle_all(self._why_in_vain())

    def _hear(self) -> None:
        try:
            self._listen(self)
        finally:
            if self.listening:
                # Its connection broke: the next long wait has another one.
                self._hearing = None
            self.listening = False

    def _run(self) -> None:
        try:
            self._ask_until_none_is_open()
        except BaseException:
            # Who waits must not do so for ever: whoever cancels all tasks cancels this one too, and a
            # callback may raise what ends a thread.
            with self._mutex:
                self._asking = None
            self._settle_all(self._why_in_vain())
            raise

    def _ask_until_none_is_open(self) -> None:
        pause = SOON
        while not self.closed:
            self.wake.clear()
            handles = self._still_open()
            if not handles:
                if not wait_event(self.wake, LINGER) and self._has_ended():
                    return
                pause = SOON
                continue
            try:
                finished = self._ask(handles)
            except Exception as error:
                self._settle_all(error)
                continue
            for outcome in finished:
                for watch in self._take(outcome.handle):
                    watch.settle(outcome)
            if pause >= LATE:
                self.wants_notices = True
                if self._hearing is None:
                    self._hearing = spawn("pg_background listen", self._hear)
            hears_all = self.listening and self._are_all_notified()
            woken = wait_event(self.wake, SAFE if hears_all else pause)
            pause = SOON if woken or finished else min(pause * _GROWTH, LATE)

    def _still_open(self) -> list[Handle]:
        with self._mutex:
            return list(self._open)

    def _has_ended(self) -> bool:
        """Tell that none is left to ask about: the next one to be added starts anew."""
        with self._mutex:
            if self._open:
                return False
            self._asking = None
            return True

    def _are_all_notified(self) -> bool:
        with self._mutex:
            return all(watch.is_notified for watches in self._open.values() for watch in watches)

    def _take(self, handle: Handle) -> list[Watch]:
        with self._mutex:
            return self._open.pop(handle, [])

    def _why_in_vain(self) -> RuntimeError:
        return RuntimeError(
            "the client was closed while it waited for the job"
            if self.closed
            else "what asks for the client's jobs was cancelled while it waited for the job"
        )

    def _settle_all(self, error: Exception) -> None:
        with self._mutex:
            opened, self._open = list(self._open.values()), {}
        for watches in opened:
            for watch in watches:
                watch.settle(None, error)
