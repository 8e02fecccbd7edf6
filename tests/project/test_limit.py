"""A test that hangs fails, and says where; those after it run."""

from __future__ import annotations

import signal

import pytest

from pg_background.server import Installation

from ..support.pages import ROOT

HANGS = '''
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.jobs import wait_until_asleep

SLEEP = "SELECT pg_sleep(3600)"


def ring(watcher, *sleeping):
    """Let the alarm ring once all hang."""
    for session in sleeping:
        wait_until_asleep(watcher, session.info.backend_pid)
    os.kill(os.getpid(), signal.SIGALRM)


def test_in_a_session_while_a_thread_hangs_too(connect):
    mine, theirs, watcher = connect(), connect(), connect()
    with ThreadPoolExecutor() as threads:
        threads.submit(theirs.execute, SLEEP)
        threads.submit(ring, watcher, mine, theirs)
        mine.execute(SLEEP)


@pytest.fixture
def hanging_at_the_end(connect):
    yield
    mine, watcher = connect(), connect()
    with ThreadPoolExecutor() as threads:
        threads.submit(ring, watcher, mine)
        mine.execute(SLEEP)


def test_at_the_end_of_a_failed_one(hanging_at_the_end):
    assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
    raise ValueError


async def test_in_an_event_loop(server, connect):
    mine, watcher = await server.aconnect(), connect()
    with ThreadPoolExecutor() as threads:
        threads.submit(ring, watcher, mine)
        await mine.execute(SLEEP)


def test_that_comes_after_them(conn):
    conn.execute("SELECT 1")
'''


def test_a_hang_is_a_failure(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, installation: Installation
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makeconftest((ROOT / "tests" / "conftest.py").read_text())
    pytester.makepyfile(HANGS)
    done = pytester.runpytest_subprocess(
        "--timeout=300", "--asyncio-mode=auto", f"--pg-config={installation.pg_config}"
    )
    done.assert_outcomes(passed=1, failed=3, errors=1)
    text = done.stdout.str()
    assert text.count("the test takes more than 300 s") >= 3
    # what a thread did, what a process did, and what the server logged
    assert "ThreadPoolExecutor-0_0:\n" in text
    assert "client backend active Timeout/PgSleep: SELECT pg_sleep(3600)" in text
    assert "terminating connection due to administrator command" in text


def test_each_test_has_a_limit() -> None:
    seconds, again = signal.getitimer(signal.ITIMER_REAL)
    assert 0 < seconds <= 600
    assert again > 0
