"""A job in a notebook, shown as it goes, while the kernel is free."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from html import escape
from typing import TYPE_CHECKING, Any

import psycopg
from IPython.display import DisplayHandle, display

from ...client.model import Progress, in_words
from ...client.notebook import rows_of, shown_of
from ...client.result import Result
from .tables import text_table

if TYPE_CHECKING:
    from ...client.job import Job

#: Seconds between two polls of a job.
POLL_SECONDS = 0.5

#: How long a job may take to be shown with its rows at once.
AT_ONCE_SECONDS = 0.1

#: Of lines that are not wrapped, or the caret would not stand under its word.
_ERROR_STYLE = "color: #c0392b; font-family: monospace; white-space: pre; overflow-x: auto"

_threads: set[threading.Thread] = set()


class Card:
    """A job at one moment."""

    def __init__(
        self,
        job: Job[Any],
        state: str,
        seconds: float,
        progress: Progress,
        outcome: Result[Any] | Exception | None,
    ) -> None:
        """
        Args:
            seconds: since it is shown.
            outcome: its result or its error; None as long as it runs.
        """
        self._job = job
        self._state = state
        self._seconds = seconds
        self._progress = progress
        self._outcome = outcome

    def __repr__(self) -> str:
        if isinstance(self._outcome, Exception):
            return f"{self._summary()}\n{self._outcome}"
        if self._outcome is not None and self._outcome.columns:
            return f"{self._summary()}\n{text_table(self._outcome)}".rstrip()
        return self._summary()

    def _repr_html_(self) -> str:
        parts = [f"<div><b>{escape(self._job.name)}</b> {self._bar()} {escape(self._status())}</div>"]
        if isinstance(self._outcome, Exception):
            parts.append(f'<pre style="{_ERROR_STYLE}">{escape(str(self._outcome))}</pre>')
        elif self._outcome is not None and self._outcome.columns:
            parts.append(rows_of(self._outcome))
        return "".join(parts)

    def _bar(self) -> str:
        if self._outcome is not None:
            return ""
        # Without a value the bar says that nobody knows.
        value = "" if self._progress.percent is None else f' value="{self._progress.percent}"'
        return f'<progress max="100"{value}></progress>'

    def _status(self) -> str:
        parts = [in_words(self._state), f"{self._seconds:.1f} s"]
        if self._outcome is None and self._progress.percent is not None:
            parts += [f"{self._progress.percent} %", self._progress.message or ""]
        elif isinstance(self._outcome, Result):
            rows = shown_of(self._outcome) if self._outcome.columns else None
            parts.append(rows or self._outcome.statusmessage or "")
        return " · ".join(filter(None, parts))

    def _summary(self) -> str:
        return f"{self._job.name}: {self._status()}"


def show(job: Job[Any]) -> None:
    """Display a job, and go on doing so beside the caller until it has ended."""
    began = time.monotonic()
    if _has_ended(job, AT_ONCE_SECONDS):
        display(_last_card(job, began))
        return
    handle = display(_card(job, began), display_id=True)
    thread = threading.Thread(target=_follow, args=(job, handle, began), name=f"show {job.name}", daemon=True)
    _threads.add(thread)
    thread.start()


def wait_shown() -> None:
    """Wait until all jobs that are shown have ended and are shown so."""
    for thread in list(_threads):
        # In slices: a join without a limit can't be interrupted everywhere.
        while thread.is_alive():
            thread.join(POLL_SECONDS)


def _follow(job: Job[Any], handle: DisplayHandle, began: float) -> None:
    try:
        while not _has_ended(job, POLL_SECONDS):
            handle.update(_card(job, began))
        handle.update(_last_card(job, began))
    finally:
        _threads.discard(threading.current_thread())


def _has_ended(job: Job[Any], seconds: float) -> bool:
    try:
        return job.wait(seconds)
    except (psycopg.Error, RuntimeError):
        # Nothing more can be learned of it, and the last card says why.
        return True


def _card(job: Job[Any], began: float) -> Card:
    state, progress = job.last_state, Progress(None, None)
    # Whatever is wrong, the last card says it.
    with suppress(psycopg.Error, RuntimeError):
        state, progress = job.state, job.progress
    return Card(job, state, time.monotonic() - began, progress, None)


def _last_card(job: Job[Any], began: float) -> Card:
    outcome: Result[Any] | Exception
    seconds = time.monotonic() - began
    try:
        outcome = job.exception(0) or job.result(0)
    except (psycopg.Error, RuntimeError, TimeoutError) as error:
        outcome = error
    return Card(job, job.last_state, seconds, Progress(None, None), outcome)
