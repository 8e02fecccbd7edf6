"""Settings that a process can't change any more: temp_buffers, once a temporary table was used there."""

from __future__ import annotations

import pytest

from ..support.calls import query
from ..support.fix_db import Connect, Connection
from ..support.jobs import launch, result, run, start, wait
from ..support.server import Server

USE = "CREATE TEMP TABLE t (a int); INSERT INTO t VALUES (1); SELECT current_setting('temp_buffers')"
SEEN = "SELECT current_setting('temp_buffers')"


@pytest.fixture
def usual(one_worker: None, connect: Connect) -> Connection:
    """A session with the built-in value."""
    return connect()


@pytest.fixture
def large(one_worker: None, connect: Connect) -> Connection:
    """A session with another one."""
    session = connect()
    query(session, "SET temp_buffers = '64MB'")
    return session


@pytest.mark.parametrize("job", [USE, SEEN])
def test_two_sessions_take_turns(usual: Connection, large: Connection, job: str) -> None:
    assert run(usual, USE) == [("8MB",)]
    for _ in range(3):
        assert run(large, job) == [("64MB",)]
        assert run(usual, job) == [("8MB",)]
        assert run(large, USE) == [("64MB",)]


def test_one_right_after_the_other(usual: Connection, large: Connection) -> None:
    """Queued, so that the worker takes it before it has reset itself."""
    for _ in range(10):
        first = launch(usual, USE)
        second = start(large, USE, on_full="queue")
        assert result(large, second) == [("64MB",)]
        assert result(usual, first) == [("8MB",)]


@pytest.mark.parametrize("change", ["SET work_mem = '5MB'", "RESET ALL", "SET temp_buffers = '32MB'"])
def test_a_job_that_changes_settings(usual: Connection, large: Connection, change: str) -> None:
    """Restoring them goes by way of the built-in values, where the process can't go any more."""
    for session, expected in ((large, "64MB"), (usual, "8MB"), (large, "64MB")):
        assert wait(session, launch(session, USE))
        assert wait(session, launch(session, f"{change}; {USE.rpartition(';')[0]}"))
        assert run(session, SEEN) == [(expected,)]


def test_the_same_value_keeps_the_worker(usual: Connection, large: Connection, connect: Connect) -> None:
    other = connect()
    query(other, "SET work_mem = '5MB'")
    handles = []
    for session in (usual, other, usual):
        handles.append(launch(session, USE))
        assert wait(session, handles[-1])
    assert len({handle.pid for handle in handles}) == 1
    handles = []
    for _ in range(2):
        handles.append(launch(large, USE))
        assert wait(large, handles[-1])
    assert len({handle.pid for handle in handles}) == 1


def test_nothing_of_it_is_logged_as_an_error(server: Server, usual: Connection, large: Connection) -> None:
    mark = server.log.mark()
    for session in (usual, large, usual, large):
        assert run(session, USE)
    written = server.log.since(mark)
    assert "ERROR" not in written
    assert "FATAL" not in written
