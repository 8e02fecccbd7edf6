"""drain_server and resume_server: the jobs of the whole server before a restart."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psycopg
import pytest

from ..support.calls import at_the_same_time
from ..support.fix_db import Connect, Connection, MakeRole
from ..support.jobs import FOREVER, closed_gate, launch, result, run, state, wait_for_state, wait_until_asleep
from ..support.server import Server
from ..support.waiting import wait_until
from ..support.workers import SWALLOWS_CANCELS


@pytest.fixture
def resumed(server: Server) -> Iterator[None]:
    """However the test ends, other tests can launch."""
    yield
    server.execute("SELECT pg_background_resume_server()", "template_pg_background")


def drain(conn: Connection, timeout_ms: int) -> tuple[int, int, int]:
    row = conn.execute("SELECT * FROM pg_background_drain_server(%s)", [timeout_ms]).fetchone()
    assert row is not None
    return row[0], row[1], row[2]


@pytest.mark.usefixtures("resumed")
def test_launches_are_refused_until_resumed(conn: Connection) -> None:
    assert drain(conn, 0) == (0, 0, 0)
    with pytest.raises(psycopg.errors.TooManyConnections) as caught:
        launch(conn, "SELECT 1")
    assert "pg_background_resume_server()" in (caught.value.diag.message_hint or "")
    conn.execute("SELECT pg_background_resume_server()")
    assert run(conn, "SELECT 1", "n int") == [(1,)]


@pytest.mark.usefixtures("resumed")
def test_waits_for_jobs_that_end(connect: Connect) -> None:
    launcher, drainer, keeper_of_the_gate = connect(), connect(), connect()
    with at_the_same_time(drainer) as call:
        with closed_gate(keeper_of_the_gate) as gate:
            handle = launch(launcher, f"{gate.sql}; SELECT 'through'")
            drained = call(drain, drainer, 3_600_000)
            wait_until(lambda: is_refusing(launcher), what="launches refused")
        # the last probe that was not refused may have been running yet
        assert drained.result() in {(1, 0, 0), (2, 0, 0)}
    assert result(launcher, handle) == [("through",)]


def is_refusing(conn: Connection) -> bool:
    try:
        run(conn, "SELECT 1", "n int")
    except psycopg.errors.TooManyConnections:
        return True
    return False


@pytest.mark.usefixtures("resumed")
def test_cancels_the_rest(connect: Connect) -> None:
    launcher, drainer = connect(), connect()
    handles = [launch(launcher, FOREVER) for _ in range(3)]
    assert drain(drainer, 1) == (0, 3, 0)
    assert {state(launcher, handle) for handle in handles} == {"canceled"}


@pytest.mark.usefixtures("resumed")
def test_the_rest_have_as_long_as_they_were_told(connect: Connect) -> None:
    launcher, drainer = connect(), connect()
    launch(launcher, FOREVER)
    began = time.monotonic()
    with at_the_same_time(drainer) as call:
        # Ten times as long would be too long for this.
        assert call(drain, drainer, 2500).result() == (0, 1, 0)
    # The clocks may differ a little.
    assert time.monotonic() - began >= 2.25


@pytest.mark.usefixtures("resumed")
def test_ends_jobs_that_swallow_cancels(connect: Connect) -> None:
    launcher, drainer = connect(), connect()
    handle = launch(launcher, SWALLOWS_CANCELS)
    wait_until_asleep(launcher, handle.pid)
    assert drain(drainer, 1) == (0, 1, 0)
    wait_for_state(launcher, handle, "canceled")


@pytest.mark.usefixtures("resumed")
def test_in_a_job(conn: Connection) -> None:
    """It neither waits for itself nor cancels itself."""
    job = launch(conn, "SELECT * FROM pg_background_drain_server(3600000)")
    assert result(conn, job, "finished int, canceled int, running int") == [(0, 0, 0)]


@pytest.mark.usefixtures("resumed")
def test_only_who_may_cancel_others_jobs(connect: Connect, make_role: MakeRole, conn: Connection) -> None:
    role = make_role(member_of=("pgbackground_role",))
    conn.execute(
        f"GRANT EXECUTE ON FUNCTION pg_background_drain_server(int), pg_background_resume_server() TO {role}"
    )
    session = connect(user=role)
    for call in ("SELECT pg_background_drain_server(0)", "SELECT pg_background_resume_server()"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied to") as caught:
            session.execute(call)
        assert "pg_signal_backend" in (caught.value.diag.message_hint or "")
    conn.execute(f"DROP OWNED BY {role}")


@pytest.mark.usefixtures("resumed")
def test_by_a_member_of_pg_signal_backend(connect: Connect, make_role: MakeRole, conn: Connection) -> None:
    administrator = connect(user=make_role(member_of=("pg_signal_backend",)))
    launcher = connect(user=make_role(member_of=("pgbackground_role",)))
    theirs, of_superuser = launch(launcher, FOREVER), launch(conn, FOREVER)
    assert drain(administrator, 1) == (0, 1, 1)
    assert state(launcher, theirs) == "canceled"
    assert state(conn, of_superuser) == "running"
    for session in (launcher, conn):
        with pytest.raises(psycopg.errors.TooManyConnections):
            launch(session, "SELECT 1")
    administrator.execute("SELECT pg_background_resume_server()")
    assert run(launcher, "SELECT 1", "n int") == [(1,)]
