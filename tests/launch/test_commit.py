"""From the moment a job's commit is on disk it is `stopped`, whatever comes then."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ..support.calls import query, value
from ..support.fix_db import Connection
from ..support.fix_server import FreshServer
from ..support.jobs import (
    Handle,
    cancel,
    launch,
    result,
    run,
    start,
    state,
    wait,
    wait_until_asleep,
)
from ..support.registry import registry
from ..support.server import Server
from ..support.waiting import wait_until

INSERT = "INSERT INTO done VALUES (1)"

#: What may come while a commit waits for a standby.
INTERRUPTS = ("cancel", "pg_cancel_backend", "pg_terminate_backend", "grace", "worker_timeout")


@pytest.fixture
def server(fresh_server: FreshServer) -> Server:
    """Sessions that ask for it wait at their commit for a standby that nobody has."""
    server = fresh_server(
        {
            "synchronous_standby_names": "nobody",
            "synchronous_commit": "local",
            "pg_background.max_total_workers": 1,
            "pg_background.worker_idle_timeout": "1h",
        }
    )
    server.execute("CREATE TABLE done (a int)")
    return server


@pytest.fixture
def conn(server: Server) -> Iterator[Connection]:
    with server.connect() as conn:
        yield conn


@pytest.fixture
def no_room(server: Server) -> Iterator[None]:
    """No temporary file can be made."""
    obstacle = server.cluster.path / "base" / "pgsql_tmp"
    if obstacle.exists():
        obstacle.rmdir()
    obstacle.write_text("a file where a folder should be")
    yield
    obstacle.unlink()


def done(server: Server) -> int:
    found = server.execute("SELECT count(*) FROM done")
    assert isinstance(found, int)
    return found


def start_waiting(conn: Connection, server: Server, job: str, how: str, *, each: bool = False) -> Handle:
    """Start a job whose commit waits for a standby, and end that wait."""
    query(conn, "SET synchronous_commit = 'on'")
    if how == "worker_timeout":
        query(conn, "SET pg_background.worker_timeout = '300ms'")
    handle = start(conn, job, each_statement=True) if each else launch(conn, job, queue_size=64)
    query(conn, "RESET pg_background.worker_timeout")
    query(conn, "RESET synchronous_commit")
    if how == "worker_timeout":
        return handle
    wait_until_asleep(conn, handle.pid, "SyncRep")
    if how == "cancel":
        cancel(conn, handle)
    elif how == "grace":
        cancel(conn, handle, 1000)
    else:
        assert server.execute(f"SELECT {how}({handle.pid})")
    return handle


@pytest.mark.parametrize("how", INTERRUPTS)
def test_interrupted_wait_for_a_standby(conn: Connection, server: Server, how: str) -> None:
    """The warning is told, and the duration logged, before a process that is to end does so."""
    mark = server.log.mark()
    query(conn, "SET log_min_duration_statement = 0")
    handle = start_waiting(conn, server, INSERT, how)
    assert wait(conn, handle)
    assert state(conn, handle) == "stopped"
    told: list[str | None] = []
    conn.add_notice_handler(lambda diag: told.append(diag.message_primary))
    assert result(conn, handle) == [("INSERT 0 1",)]
    assert [text for text in told if "synchronous replication" in (text or "")]
    assert done(server) == 1
    server.log.wait_for(rf"\[{handle.pid}\].*LOG:  duration: [\d.]+ ms  statement: {INSERT[:18]}", mark)
    assert run(conn, "SELECT 'next'") == [("next",)]


@pytest.mark.parametrize("how", INTERRUPTS)
def test_the_warning_finds_no_room(conn: Connection, server: Server, no_room: None, how: str) -> None:
    mark = server.log.mark()
    handle = start_waiting(conn, server, INSERT, how)
    assert wait(conn, handle)
    assert state(conn, handle) == "stopped"
    assert result(conn, handle) == [("INSERT 0 1",)]
    assert done(server) == 1
    server.log.wait_for(r"LOG:  the last messages of a background job are lost: .*pgsql_tmp", mark)
    assert run(conn, "SELECT 'next'") == [("next",)]


@pytest.mark.parametrize("how", ["cancel", "pg_cancel_backend", "worker_timeout"])
def test_a_cancel_between_two_transactions_of_a_job(conn: Connection, server: Server, how: str) -> None:
    """What has committed stays, and the rest does not run."""
    handle = start_waiting(conn, server, f"{INSERT}; {INSERT}", how, each=True)
    assert wait(conn, handle)
    assert state(conn, handle) == ("timed_out" if how == "worker_timeout" else "canceled")
    assert done(server) == 1


def test_what_comes_after_a_job_waits_for_no_standby(conn: Connection, server: Server) -> None:
    """Nobody could cancel that: the notification of the end, and the drop of temporary tables."""
    with server.connect() as listener:
        query(listener, "LISTEN ended")
        query(conn, "SET pg_background.notify_channel = 'ended'")
        handle = start_waiting(conn, server, f"CREATE TEMP TABLE own (a int); {INSERT}", "cancel")
        assert wait(conn, handle)
        assert [notify.payload for notify in listener.notifies(timeout=20, stop_after=1)] == [str(handle.pid)]
    wait_until(lambda: registry(conn).busy_workers == 0, what="the worker's reset")
    assert state(conn, handle) == "stopped"
    query(conn, "RESET pg_background.notify_channel")
    query(conn, "SET synchronous_commit = 'on'")
    again = launch(conn, "SELECT count(*)::text FROM pg_class WHERE relname = 'own'")
    assert again.pid == handle.pid
    assert result(conn, again) == [("0",)]
    assert value(conn, "SHOW synchronous_commit") == "on"
    assert run(conn, "SHOW synchronous_commit") == [("on",)]


def test_messages_of_a_commit_that_find_no_room(conn: Connection, server: Server, no_room: None) -> None:
    """Those of before the commit fail the job; those after it are dropped. Each queue has more room."""
    query(conn, "SET client_min_messages = 'debug1'")
    ends = set()
    for size in range(64, 640, 8):
        before = done(server)
        handle = launch(conn, f"{INSERT}; NOTIFY ended; SET trace_notify = on", queue_size=size)
        assert wait(conn, handle)
        end = state(conn, handle)
        assert done(server) - before == (1 if end == "stopped" else 0)
        ends.add(end)
        query(conn, "SELECT pg_background_detach(%s, %s)", *handle)
    assert ends == {"stopped", "error"}


@pytest.mark.parametrize("job", [f"{INSERT}; SELECT 1 / 0", INSERT])
def test_debug_messages_that_find_no_room(conn: Connection, server: Server, no_room: None, job: str) -> None:
    """The server has some to tell at each step, of an abort too."""
    query(conn, "SET client_min_messages = 'debug5'")
    for size in range(64, 8192, 256):
        before = done(server)
        handle = launch(conn, job, queue_size=size)
        assert wait(conn, handle)
        end = state(conn, handle)
        assert end in ("stopped", "error")
        assert done(server) - before == (1 if end == "stopped" else 0)
        query(conn, "SELECT pg_background_detach(%s, %s)", *handle)


def test_notices_of_debug_level_are_all_told(conn: Connection) -> None:
    """Also those of the commit itself, in their order."""
    told: list[str] = []
    conn.add_notice_handler(lambda diag: told.append(diag.message_primary or ""))
    query(conn, "SET client_min_messages = 'debug1'")
    handle = launch(conn, f"{INSERT}; NOTIFY ended; SET trace_notify = on")
    assert wait(conn, handle)
    assert result(conn, handle) == [("INSERT 0 1",), ("NOTIFY",), ("SET",)]
    expected = ["PreCommit_Notify", "AtCommit_Notify"]
    assert [text for text in told if text in expected] == expected
