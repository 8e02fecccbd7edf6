"""While a worker takes over a launcher's settings: interruptions, locks of others, and sizes."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from ..support.calls import Failure, failure, query, value
from ..support.fix_db import Connect, Connection
from ..support.jobs import Handle, cancel, detach, launch, result, run, wait, wait_until_asleep
from ..support.registry import registry
from ..support.server import Server
from ..support.workers import only_worker


@pytest.fixture
def holder(connect: Connect) -> Connection:
    """A session that holds locks until it is told not to."""
    return connect(autocommit=False)


@pytest.fixture
def stuck(server: Server, conn: Connection, connect: Connect, holder: Connection) -> Iterator[Handle]:
    """A job whose settings can't be restored while a catalogue is locked: one of them names an object."""
    with only_worker(server):
        query(conn, "CREATE TEXT SEARCH CONFIGURATION own (COPY = simple)")
        warm = launch(conn, "SELECT 1")
        assert wait(conn, warm)
        session = connect()
        query(session, "SET default_text_search_config = 'public.own'")
        query(session, "SET pg_background.notify_channel = 'ends'")
        query(holder, "LOCK TABLE pg_ts_config IN ACCESS EXCLUSIVE MODE")
        handle = launch(session, "SELECT 1")
        assert handle.pid == warm.pid
        wait_until_asleep(conn, handle.pid, "relation")
        yield handle
        holder.rollback()


@pytest.fixture
def ear(connect: Connect) -> Connection:
    """A session that listens."""
    ear = connect()
    query(ear, "LISTEN ends")
    return ear


def state(conn: Connection, handle: Handle) -> object:
    """Of any session's job."""
    return value(conn, "SELECT state FROM pg_background_outcome(%s, %s)", *handle)


@pytest.mark.parametrize("how", ["cancel", "pg_cancel_backend"])
def test_a_cancel_acts(ear: Connection, conn: Connection, stuck: Handle, how: str) -> None:
    """And the end is told where the launching session wanted it told."""
    if how == "cancel":
        cancel(conn, stuck)
    else:
        query(conn, "SELECT pg_cancel_backend(%s)", stuck.pid)
    assert wait(conn, stuck, 20_000)
    assert state(conn, stuck) == "canceled"
    (notice,) = ear.notifies(timeout=20, stop_after=1)
    assert notice.payload == str(stuck.pid)


@pytest.mark.parametrize("kind", ["warm", "fresh"])
def test_worker_timeout_counts_it(
    server: Server, conn: Connection, connect: Connect, holder: Connection, kind: str
) -> None:
    """From when a worker takes the job, though the setting is among those that are being restored."""
    with only_worker(server):
        query(conn, "CREATE TEXT SEARCH CONFIGURATION own (COPY = simple)")
        session = connect()
        query(session, "SET default_text_search_config = 'public.own'")
        if kind == "warm":
            warm = launch(conn, "SELECT 1")
            assert wait(conn, warm)
        query(session, "SET pg_background.worker_timeout = '100ms'")
        query(holder, "LOCK TABLE pg_ts_config IN ACCESS EXCLUSIVE MODE")
        handle = launch(session, "SELECT 1")
        assert wait(conn, handle, 20_000)
        assert state(conn, handle) == "timed_out"
        holder.rollback()
        # The timer is gone with the job.
        query(session, "SET pg_background.worker_timeout = 0")
        assert run(session, "SELECT pg_sleep(0.2)::text") == [("",)]


def test_a_cancel_with_grace_acts(conn: Connection, stuck: Handle) -> None:
    cancel(conn, stuck, 20_000)
    assert state(conn, stuck) == "canceled"


def test_a_terminate_acts(conn: Connection, stuck: Handle) -> None:
    query(conn, "SELECT pg_terminate_backend(%s)", stuck.pid)
    assert wait(conn, stuck, 20_000)
    assert state(conn, stuck) == "lost"


def test_the_next_job_is_right(conn: Connection, connect: Connect, holder: Connection, stuck: Handle) -> None:
    """Nothing that was half restored is in force."""
    cancel(conn, stuck)
    assert wait(conn, stuck, 20_000)
    holder.rollback()
    other = connect()
    query(other, "SET work_mem = '4321kB'")
    seen = "SELECT current_setting('work_mem'), current_setting('pg_background.notify_channel')"
    assert run(other, seen, "a text, b text") == [("4321kB", "")]


def test_settings_in_force_are_not_restored_again(server: Server, conn: Connection, connect: Connect) -> None:
    """That takes most of the time of a short job. Here it would fail, and other names would not hide it."""
    with only_worker(server):
        query(conn, "CREATE TEXT SEARCH CONFIGURATION own (COPY = simple)")
        session, other = connect(), connect(application_name="other")
        for one in (session, other):
            query(one, "SET default_text_search_config = 'public.own'")
        first = launch(session, "SELECT 1")
        assert wait(session, first)
        query(conn, "DROP TEXT SEARCH CONFIGURATION own")
        jobs = ("SELECT 1", "CREATE TEMP TABLE t (a int)", "SET LOCAL work_mem = '5MB'", "SELECT 1/0")
        for label in (None, "x", "a label that takes more memory than that"):
            for one in (session, other):
                for job in jobs:
                    handle = launch(one, job, label=label)
                    assert wait(one, handle)
                    assert handle.pid == first.pid
                    message = value(one, "SELECT error_message FROM pg_background_outcome(%s, %s)", *handle)
                    assert message in (None, "division by zero")
                    detach(one, handle)


def test_a_setting_that_can_t_be_restored_is_the_job_s_error(conn: Connection, connect: Connect) -> None:
    """Not before a fresh process has tried it."""
    query(conn, "CREATE TEXT SEARCH CONFIGURATION own (COPY = simple)")
    session = connect()
    query(session, "SET default_text_search_config = 'public.own'")
    assert wait(session, launch(session, "SELECT 1"))
    query(conn, "DROP TEXT SEARCH CONFIGURATION own")
    before = registry(conn)
    query(session, "SET work_mem = '4321kB'")
    handle = launch(session, "SELECT 1")
    assert wait(session, handle)
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="default_text_search_config"):
        result(session, handle)
    assert run(conn, "SELECT 1", "a int") == [(1,)]
    assert registry(conn).entries >= before.entries


@pytest.mark.slow
def test_a_huge_setting(conn: Connection) -> None:
    """Larger than job memory."""
    expected = Failure(
        "53200",
        "out of job memory",
        None,
        "Read or detach finished jobs, or increase pg_background.job_memory.",
    )
    # The first is also too large for one piece of the server's own memory.
    for size in ("600 * 1024 * 1024", "40 * 1024 * 1024"):
        query(conn, f"SELECT length(set_config('app.huge', repeat('x', {size}), false))")
        assert failure(conn, "SELECT pg_background_launch('SELECT 1')") == expected
    query(conn, "SELECT length(set_config('app.huge', repeat('x', 1024 * 1024), false))")
    handle = launch(conn, "SELECT length(current_setting('app.huge'))")
    assert result(conn, handle, "n int") == [(1024 * 1024,)]
