"""A test that hangs fails, with the stacks of its threads and what its servers' processes were doing.

pytest-timeout has the limit: `timeout` in pyproject.toml, and the marker for a test that needs another one.
Its own alarm rings once, in the main thread: not enough where a `with` block then waits for threads that hang
in a session.
"""

from __future__ import annotations

import signal
import sys
import threading
import traceback
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from pytest_timeout import Settings, is_debugging

from .fix_crash import servers_of
from .server import Server

#: Seconds until the alarm rings again, in what the test does at its end.
_AGAIN = 30.0

_hung_key = pytest.StashKey[list[tuple[str, str]]]()
_settings_key = pytest.StashKey[Settings]()

_PROCESSES = """
SELECT format('%s %s %s %s/%s: %s', pid, backend_type, state, wait_event_type, wait_event, query)
FROM pg_stat_activity WHERE pid <> pg_backend_pid() ORDER BY pid
"""
_END_SESSIONS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE pid <> pg_backend_pid() AND backend_type IN ('client backend', 'pg_background')
"""


@pytest.hookimpl
def pytest_timeout_set_timer(item: pytest.Item, settings: Settings) -> bool:
    item.stash[_settings_key] = settings

    def expired(signum: int, frame: object) -> None:
        if is_debugging() and not settings.disable_debugger_detection:
            return
        if _hung_key not in item.stash:
            item.stash[_hung_key] = [("stacks", _stacks())]
        # Each time: one of them may have begun another call meanwhile.
        for server in servers_of(item):
            item.stash[_hung_key].append((f"processes of {server.cluster.path.name}", _end_sessions(server)))
        pytest.fail(f"the test takes more than {settings.timeout:g} s")

    signal.signal(signal.SIGALRM, expired)
    signal.setitimer(signal.ITIMER_REAL, settings.timeout, _AGAIN)
    return True


@pytest.hookimpl
def pytest_timeout_cancel_timer(item: pytest.Item) -> bool:
    signal.setitimer(signal.ITIMER_REAL, 0)
    return True


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    # A failed test has none any more: pytest-timeout takes it for one that is being debugged.
    if settings := item.stash.get(_settings_key, None):
        pytest_timeout_set_timer(item, settings)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    report = yield
    if report.failed:
        report.sections.extend(item.stash.get(_hung_key, []))
    return report


def _stacks() -> str:
    """Return the Python stack of each thread but this one, whose stack the failure has."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return "\n".join(
        f"{names.get(ident)}:\n{''.join(traceback.format_stack(frame))}"
        for ident, frame in sys._current_frames().items()
        if ident != threading.get_ident()
    )


def _end_sessions(server: Server) -> str:
    """End what sessions and jobs do on a server, and return what that was."""
    with (
        suppress(psycopg.Error),
        server.connect(connect_timeout=5, options="-c statement_timeout=5s") as conn,
    ):
        rows = conn.execute(_PROCESSES).fetchall()
        conn.execute(_END_SESSIONS)
        return "\n".join(line for (line,) in rows)
    return "the server does not answer"
