"""How many jobs there may be: of a session, of the server, and unread."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from psycopg import errors as e

from ..support.fix_db import Connect, Connection
from ..support.fix_server import FreshServer
from ..support.jobs import (
    FOREVER,
    Handle,
    cancel,
    detach,
    launch,
    result,
    run,
    state,
    submit,
    wait,
    wait_until_asleep,
)
from ..support.registry import registry, wait_until_quiet
from ..support.server import Server


def cancel_all(conn: Connection, handles: list[Handle]) -> None:
    """End jobs and leave nothing of them."""
    for handle in handles:
        cancel(conn, handle)
        assert wait(conn, handle)
        detach(conn, handle)


def fill(conn: Connection) -> tuple[list[Handle], psycopg.Error]:
    """Launch until it is refused; return the running jobs and the refusal."""
    conn.execute("SET pg_background.max_workers = 1000")
    handles: list[Handle] = []
    while True:
        try:
            handles.append(launch(conn, FOREVER))
        except psycopg.Error as error:
            return handles, error


@pytest.mark.parametrize("start", [launch, submit])
def test_of_a_session(conn: Connection, connect: Connect, start: Callable[[Connection, str], Handle]) -> None:
    conn.execute("SET pg_background.max_workers = 2")
    handles = [launch(conn, FOREVER), submit(conn, FOREVER)]
    with pytest.raises(e.ConfigurationLimitExceeded, match="too many background workers") as caught:
        start(conn, "SELECT 1")
    assert "2" in (caught.value.diag.message_detail or "")
    assert caught.value.diag.message_hint
    # Of this one alone.
    assert run(connect(), "SELECT 1", "a int") == [(1,)]
    cancel(conn, handles[0])
    assert wait(conn, handles[0])
    assert run(conn, "SELECT 1", "a int") == [(1,)]
    cancel_all(conn, handles)


def test_finished_jobs_do_not_count(conn: Connection) -> None:
    conn.execute("SET pg_background.max_workers = 1")
    handles = []
    for n in range(20):
        handles.append(launch(conn, f"SELECT {n}"))
        assert wait(conn, handles[-1])
    for n, handle in enumerate(handles):
        assert result(conn, handle, "a int") == [(n,)]


def test_detached_jobs_count_while_they_run(conn: Connection) -> None:
    conn.execute("SET pg_background.max_workers = 1")
    row = conn.execute("SELECT pg_background_launch('SELECT pg_advisory_lock(1), pg_sleep(3600)')").fetchone()
    assert row is not None
    listed = conn.execute("SELECT pid, cookie FROM pg_background_list").fetchone()
    assert listed is not None
    handle = Handle(*listed)
    detach(conn, handle)
    with pytest.raises(e.ConfigurationLimitExceeded):
        launch(conn, "SELECT 1")
    wait_until_asleep(conn, handle.pid)
    conn.execute("SELECT pg_terminate_backend(%s, 20000)", [handle.pid])
    assert run(conn, "SELECT 1", "a int") == [(1,)]


@pytest.mark.parametrize("places", [1, 3])
def test_of_the_server(server: Server, connect: Connect, places: int) -> None:
    with server.alter_system({"pg_background.max_total_workers": places}):
        conn, other = connect(), connect()
        handles, error = fill(conn)
        assert len(handles) == places
        assert isinstance(error, e.ConfigurationLimitExceeded)
        assert "pg_background.max_total_workers" in (error.diag.message_hint or "")
        with pytest.raises(e.ConfigurationLimitExceeded):
            launch(other, "SELECT 1")
        cancel_all(conn, handles)
        assert run(other, "SELECT 1", "a int") == [(1,)]


def test_a_refused_launch_leaves_nothing(server: Server, connect: Connect) -> None:
    with server.alter_system({"pg_background.max_total_workers": 1}):
        conn = connect()
        handle = launch(conn, FOREVER)
        before = registry(conn)
        for _ in range(5):
            with pytest.raises(e.ConfigurationLimitExceeded):
                launch(conn, "SELECT 1")
        assert registry(conn) == before
        stats = conn.execute("SELECT workers_launched, workers_active FROM pg_background_stats()").fetchone()
        assert stats == (1, 1)
        cancel_all(conn, [handle])


def test_of_worker_processes(fresh_server: FreshServer) -> None:
    """With slots that others use up: PostgreSQL says nothing, so the launch does."""
    server = fresh_server({"max_worker_processes": 6, "pg_background.max_total_workers": 100})
    with server.connect() as conn:
        handles, error = fill(conn)
        # The keeper has one; PostgreSQL itself another, for logical replication.
        assert len(handles) in (4, 5)
        assert isinstance(error, (e.InsufficientResources, e.ConfigurationLimitExceeded))
        assert error.diag.sqlstate in {"53000", "53400"}
        if error.diag.sqlstate == "53000":
            assert error.diag.message_primary == "could not register background process"
            assert "max_worker_processes" in (error.diag.message_hint or "")
        cancel_all(conn, handles[:1])
        assert run(conn, "SELECT 1", "a int") == [(1,)]
        cancel_all(conn, handles[1:])
        wait_until_quiet(conn)


def test_default_leaves_three_processes_to_others(fresh_server: FreshServer) -> None:
    server = fresh_server({"max_worker_processes": 8})
    with server.connect() as conn:
        handles, error = fill(conn)
        assert len(handles) == 5
        assert error.diag.sqlstate == "53400"
        cancel_all(conn, handles)


def test_of_tracked_jobs(fresh_server: FreshServer) -> None:
    server = fresh_server({"pg_background.max_jobs": 16})
    with server.connect() as conn:
        handles = []
        for n in range(16):
            handles.append(launch(conn, f"SELECT {n}"))
            assert wait(conn, handles[-1])
        for start in (launch, submit):
            with pytest.raises(e.ConfigurationLimitExceeded, match="too many tracked jobs") as caught:
                start(conn, "SELECT 1")
            assert "pg_background.max_jobs" in (caught.value.diag.message_hint or "")
        assert result(conn, handles[3], "a int") == [(3,)]
        assert run(conn, "SELECT 1", "a int") == [(1,)]
        assert registry(conn).unread == 15
        # What others still want to read was never taken for it.
        for n, handle in enumerate(handles):
            if n != 3:
                assert result(conn, handle, "a int") == [(n,)]
        assert registry(conn).entries == 0


def test_history_is_used_again(fresh_server: FreshServer) -> None:
    server = fresh_server({"pg_background.max_jobs": 16})
    with server.connect() as conn:
        last = Handle(0, 0)
        for _ in range(100):
            last = submit(conn, "SELECT 1")
            assert wait(conn, last)
        assert state(conn, last) == "stopped"
        listed = conn.execute("SELECT count(*) FROM pg_background_list").fetchone()
        assert listed == (16,)
        for _ in range(100):
            detach(conn, launch(conn, "SELECT 1"))
        assert run(conn, "SELECT 1", "a int") == [(1,)]
