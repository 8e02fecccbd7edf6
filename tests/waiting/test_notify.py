"""pg_background.notify_channel: the end of a job is told to sessions that listen."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from ..support.fix_db import Connect, Connection
from ..support.jobs import FOREVER, Handle, cancel, launch, result, state, submit
from ..support.server import Server
from ..support.waiting import DEADLINE
from ..support.workers import only_worker


@pytest.fixture
def ear(connect: Connect) -> Connection:
    """A session that listens."""
    listening = connect()
    listening.execute("LISTEN ends")
    return listening


@pytest.fixture
def session(conn: Connection) -> Connection:
    """One whose jobs tell."""
    conn.execute("SET pg_background.notify_channel = 'ends'")
    return conn


def heard(ear: Connection, count: int = 1) -> list[str]:
    """Wait for so many notices, and return what they say."""
    notices: Iterator[psycopg.Notify] = ear.notifies(timeout=DEADLINE, stop_after=count)
    return [notice.payload for notice in notices]


@pytest.mark.parametrize(
    ("job", "end"),
    [
        ("SELECT 1", "stopped"),
        ("SELECT 1/0", "error"),
        ("VACUUM", "stopped"),
        ("SET default_transaction_read_only = on", "stopped"),
        ("SET transaction_isolation = serializable; SELECT 1", "stopped"),
    ],
)
def test_every_end_is_told(session: Connection, ear: Connection, job: str, end: str) -> None:
    handle = launch(session, job)
    assert heard(ear) == [str(handle.pid)]
    assert state(session, handle) == end


def test_a_cancel_and_a_submit(session: Connection, ear: Connection) -> None:
    handle = submit(session, FOREVER)
    cancel(session, handle)
    assert heard(ear) == [str(handle.pid)]
    assert state(session, handle) == "canceled"


def test_only_where_it_is_wanted(server: Server, connect: Connect, ear: Connection) -> None:
    """A worker that has told for one session is silent for the next."""
    with only_worker(server):
        quiet, telling = connect(), connect()
        telling.execute("SET pg_background.notify_channel = 'ends'")
        handles: list[Handle] = []
        for session in (telling, quiet, telling):
            handles.append(launch(session, "SELECT 1"))
            result(session, handles[-1], "a int")
        assert heard(ear, 2) == [str(handles[0].pid), str(handles[2].pid)]
        assert len({handle.pid for handle in handles}) == 1


def test_each_job_in_a_fresh_process(server: Server, connect: Connect, ear: Connection) -> None:
    with server.alter_system({"pg_background.worker_idle_timeout": 0}):
        session = connect()
        session.execute("SET pg_background.notify_channel = 'ends'")
        handle = launch(session, "SELECT 1")
        assert heard(ear) == [str(handle.pid)]


def test_a_job_may_change_it(session: Connection, ear: Connection, connect: Connect) -> None:
    """The end of the job's own setting is told by what it was at its end."""
    launch(session, "SET pg_background.notify_channel = ''")
    handle = launch(session, "SELECT 1")
    assert heard(ear) == [str(handle.pid)]


def test_names_that_no_channel_has(conn: Connection) -> None:
    conn.execute("SELECT set_config('pg_background.notify_channel', repeat('x', 63), false)")
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        conn.execute("SELECT set_config('pg_background.notify_channel', repeat('x', 64), false)")
