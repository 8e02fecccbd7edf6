"""Detach: the handle is gone, the job is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from psycopg import errors as e

from ..support.fix_db import Connect, Connection, MakeRole
from ..support.jobs import (
    Handle,
    cancel,
    closed_gate,
    detach,
    has_ended,
    launch,
    progress,
    result,
    state,
    submit,
    wait,
    wait_for_state,
)
from ..support.registry import registry
from ..support.waiting import wait_until, wait_until_sql
from ..support.workers import launch_in

Start = Callable[[Connection, str], Handle]
START: list[Start] = [launch, submit]


@pytest.fixture
def kept(conn: Connection) -> Connection:
    """A session, and a table that jobs write to."""
    conn.execute("CREATE TABLE kept (a int)")
    return conn


def count(conn: Connection) -> int:
    """Count the rows of the table."""
    row = conn.execute("SELECT count(*) FROM kept").fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize("start", START)
def test_a_running_job_goes_on(kept: Connection, start: Start) -> None:
    with closed_gate(kept) as gate:
        handle = start(kept, f"{gate.sql}; INSERT INTO kept VALUES (1)")
        detach(kept, handle)
        assert state(kept, handle) is None
        assert count(kept) == 0
    wait_until(lambda: count(kept) == 1, what="the row")


@pytest.mark.parametrize("canceled", [False, True], ids=["running", "canceling"])
def test_while_it_runs(kept: Connection, connect: Connect, canceled: bool) -> None:
    """The job, or its cancel, goes on."""
    with closed_gate(connect()) as gate:
        handle = launch(kept, f"{gate.sql}; INSERT INTO kept VALUES (1)")
        wait_for_state(kept, handle, "running")
        if canceled:
            cancel(kept, handle)
        detach(kept, handle)
        assert state(kept, handle) is None
        if canceled:
            wait_until_sql(kept, "SELECT workers_canceled FROM pg_background_stats()", expected=1)
    if canceled:
        assert count(kept) == 0
    else:
        wait_until(lambda: count(kept) == 1, what="the row")


def test_the_handle_is_unknown_afterwards(kept: Connection) -> None:
    with closed_gate(kept) as gate:
        handle = launch(kept, gate.sql)
        detach(kept, handle)
        for use in (wait, cancel, detach, has_ended):
            with pytest.raises(e.UndefinedObject, match=f"PID {handle.pid} is not attached to this session"):
                use(kept, handle)
        with pytest.raises(e.UndefinedObject):
            result(kept, handle)
        assert progress(kept, handle) == (None, None)


def test_a_finished_job_frees_its_output(conn: Connection) -> None:
    before = registry(conn)
    handle = launch(conn, "SELECT repeat('x', 1000) FROM generate_series(1, 1000)")
    assert wait(conn, handle)
    detach(conn, handle)
    after = registry(conn)
    assert after[:3] == before[:3]
    assert after.area_bytes <= before.area_bytes
    assert after.spill_bytes == before.spill_bytes


def test_a_failed_job(conn: Connection) -> None:
    handle = launch(conn, "SELECT 1 / 0")
    assert wait(conn, handle)
    detach(conn, handle)
    with pytest.raises(e.UndefinedObject):
        result(conn, handle)


def test_a_running_job_stops_filling_the_disk(kept: Connection) -> None:
    before = registry(kept)
    with closed_gate(kept) as gate:
        handle = launch(
            kept,
            "INSERT INTO kept VALUES (1);"
            f" SELECT repeat('x', 1000) FROM generate_series(1, 20000), ({gate.sql}) AS gate",
        )
        detach(kept, handle)
    wait_until(lambda: registry(kept).live == before.live, what="its end")
    assert count(kept) == 1
    after = registry(kept)
    assert after[:3] == before[:3]
    assert after.spill_bytes == before.spill_bytes


def test_twice_is_an_error(conn: Connection) -> None:
    handle = launch(conn, "SELECT 1")
    detach(conn, handle)
    with pytest.raises(e.UndefinedObject):
        detach(conn, handle)


def test_with_another_cookie_changes_nothing(conn: Connection) -> None:
    handle = launch(conn, "SELECT 1")
    with pytest.raises(e.ObjectNotInPrerequisiteState, match="cookie mismatch"):
        detach(conn, Handle(handle.pid, handle.cookie ^ 1))
    assert result(conn, handle, "a int") == [(1,)]


def test_from_another_session(conn: Connection, connect: Connect) -> None:
    handle = launch(conn, "SELECT 1")
    detach(connect(), handle)
    assert state(conn, handle) is None
    with pytest.raises(e.UndefinedObject):
        result(conn, handle)


def test_in_a_transaction_that_rolls_back(conn: Connection, connect: Connect) -> None:
    """It is no transaction's matter."""
    handle = launch(conn, "SELECT 1")
    other = connect(autocommit=False)
    detach(other, handle)
    other.rollback()
    with pytest.raises(e.UndefinedObject):
        result(conn, handle)


@pytest.mark.parametrize("start", START)
@pytest.mark.parametrize("in_one_statement", [True, False])
def test_at_once_never_loses_the_job(kept: Connection, start: Start, in_one_statement: bool) -> None:
    for n in range(1000):
        job = f"INSERT INTO kept VALUES ({n})"
        if in_one_statement:
            kept.execute(f"SELECT pg_background_detach(pg_background_{start.__name__}(%s))".encode(), [job])
        else:
            detach(kept, start(kept, job))
        if n % 10 == 9:
            # A session's limit counts running jobs, so don't run ahead of them.
            kept.execute(
                "DO $$ BEGIN WHILE (pg_background_stats()).workers_active > 0 LOOP "
                "PERFORM pg_sleep(0.001); END LOOP; END $$"
            )
    assert kept.execute("SELECT count(*), count(DISTINCT a) FROM kept").fetchone() == (1000, 1000)


def test_handles_in_one_table_of_results(conn: Connection) -> None:
    """Of two jobs of one worker, each has its own handle."""
    first = launch(conn, "SELECT 1")
    assert wait(conn, first)
    second = launch_in(conn, first.pid, "SELECT 2")
    assert wait(conn, second)
    detach(conn, first)
    assert result(conn, second, "a int") == [(2,)]


def test_by_a_member_of_pg_signal_backend(connect: Connect, make_role: MakeRole, conn: Connection) -> None:
    administrator = connect(user=make_role(member_of=("pg_signal_backend", "pgbackground_role")))
    stranger = connect(user=make_role(member_of=("pgbackground_role",)))
    owner = connect(user=make_role(member_of=("pgbackground_role",)))
    theirs, of_superuser = launch(owner, "SELECT 1"), launch(conn, "SELECT 1")
    assert wait(owner, theirs)
    with pytest.raises(e.InsufficientPrivilege):
        detach(stranger, theirs)
    detach(administrator, theirs)
    with pytest.raises(e.UndefinedObject):
        result(owner, theirs)
    with pytest.raises(e.InsufficientPrivilege):
        detach(administrator, of_superuser)
    # To read it is another matter.
    with pytest.raises(e.InsufficientPrivilege):
        result(administrator, launch(owner, "SELECT 1"))
    assert result(conn, of_superuser, "n int") == [(1,)]
