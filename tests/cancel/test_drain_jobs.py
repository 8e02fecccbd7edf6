"""drain: the outcomes of several jobs, which are detached when they have ended."""

from __future__ import annotations

import pytest
from psycopg import errors as e

from ..support.calls import at_the_same_time, nothing_is_left, query, sqlstate, wait_until_in_extension
from ..support.fix_db import Connect, Connection, MakeRole
from ..support.jobs import (
    FOREVER,
    Handle,
    cancel,
    closed_gate,
    detach,
    launch,
    result,
    submit,
    wait,
    wait_for_state,
)
from ..support.outcomes import HANDLES, Outcome, drain, handles, outcome, unknown
from ..support.registry import registry

CALL = f"SELECT * FROM pg_background_drain({HANDLES}, %s)"


def test_waits_for_all(conn: Connection) -> None:
    with nothing_is_left(conn):
        jobs = [launch(conn, f"SELECT {n} FROM pg_sleep(0.01 * {n})", label=f"job {n}") for n in (3, 1, 2)]
        found = drain(conn, handles(*jobs))
        assert [Handle(*row[:2]) for row in found] == jobs
        assert [row.label for row in found] == ["job 3", "job 1", "job 2"]
        assert {row[2:8] for row in found} == {("stopped", False, True, False, 1, "SELECT")}


def test_those_that_have_ended_are_detached(conn: Connection) -> None:
    jobs = [launch(conn, "SELECT 1"), launch(conn, "SELECT 1 / 0"), submit(conn, "SELECT 1")]
    found = drain(conn, handles(*jobs))
    assert [row.state for row in found] == ["stopped", "error", "stopped"]
    assert found[1].error_message == "division by zero"
    for job in jobs:
        with pytest.raises(e.UndefinedObject):
            wait(conn, job)
    # They are history, which is still told.
    assert [outcome(conn, job) for job in jobs] == found


def test_past_the_deadline(conn: Connection, connect: Connect) -> None:
    """Those that run stay attached, and can be drained again."""
    with closed_gate(connect()) as gate:
        quick, slow = launch(conn, "SELECT 1"), launch(conn, gate.sql + "; SELECT 5")
        assert wait(conn, quick)
        found = drain(conn, handles(slow, quick), 20)
        assert [(row.state, row.completed) for row in found] == [("running", False), ("stopped", True)]
        with pytest.raises((e.UndefinedObject, e.ObjectNotInPrerequisiteState)):
            wait(conn, quick)
    assert result(conn, slow, "a int") == [(5,)]


def test_of_no_handles(conn: Connection) -> None:
    assert drain(conn, "{}") == []
    assert query(conn, CALL, None, 0) == []


def test_one_handle_twice(conn: Connection) -> None:
    job = launch(conn, "SELECT 1")
    one, two = drain(conn, handles(job, job))
    assert one == two
    assert one.state == "stopped"


def test_stale_handles_change_nothing(conn: Connection) -> None:
    """The error comes before anything is waited for or detached."""
    job = launch(conn, "SELECT 1")
    assert sqlstate(conn, CALL, handles(job, Handle(1, 2)), 0) == "42704"
    assert sqlstate(conn, CALL, handles(job, Handle(job.pid, job.cookie ^ 1)), 0) == "55000"
    assert sqlstate(conn, CALL, "{NULL}", 0) == "22004"
    assert result(conn, job, "a int") == [(1,)]


def test_jobs_of_strangers(conn: Connection, connect: Connect, make_role: MakeRole) -> None:
    job = launch(conn, "SELECT 1")
    stranger = connect(user=make_role(member_of=("pgbackground_role", "pg_read_all_stats")))
    assert sqlstate(stranger, CALL, handles(job), 0) == "42501"


def test_jobs_of_another_session(conn: Connection, connect: Connect) -> None:
    job = launch(connect(), "SELECT 1")
    (found,) = drain(conn, handles(job))
    assert found.state == "stopped"


def test_reused_meanwhile(conn: Connection, connect: Connect) -> None:
    """Detached by another session and gone from the history: it has ended, no more is known."""
    job = launch(conn, "SELECT 1")
    session = connect()
    with closed_gate(conn) as gate:
        slow = launch(session, gate.sql)
        with at_the_same_time(session) as call:
            waiting = call(drain, session, handles(job, slow))
            wait_until_in_extension(conn, session)
            detach(conn, job)
            while outcome(conn, job) != unknown(job):
                query(conn, "SELECT pg_background_detach(pg_background_launch('SELECT 2'))")
            gate.open()
            assert waiting.result() == [unknown(job), outcome(session, slow)]
            gate.close()


@pytest.mark.parametrize("how", ["cancel", "terminate"])
def test_interrupted(conn: Connection, connect: Connect, how: str) -> None:
    """Nothing was detached, and nothing of the wait is left."""
    session = connect()
    with closed_gate(conn) as gate:
        quick, slow = launch(conn, "SELECT 1"), launch(conn, gate.sql)
        assert wait(conn, quick)
        with nothing_is_left(conn), at_the_same_time(session) as call:
            waiting = call(drain, session, handles(quick, slow))
            wait_until_in_extension(conn, session)
            if how == "cancel":
                session.cancel()
            else:
                conn.execute("SELECT pg_terminate_backend(%s)", [session.info.backend_pid])
            assert waiting.failure().sqlstate == ("57014" if how == "cancel" else "57P01")
        assert result(conn, quick, "a int") == [(1,)]
        wait_for_state(conn, slow, "running")


def test_in_a_target_list(conn: Connection) -> None:
    job = launch(conn, "SELECT 1")
    ((state,),) = query(conn, f"SELECT (pg_background_drain({HANDLES})).state", handles(job))
    assert state == "stopped"


def test_canceled_jobs(conn: Connection) -> None:
    jobs = [launch(conn, FOREVER) for _ in range(3)]
    for job in jobs:
        cancel(conn, job)
    assert [row.state for row in drain(conn, handles(*jobs))] == ["canceled"] * 3


def test_output_of_any_size_is_thrown_away(conn: Connection) -> None:
    before = registry(conn)
    job = launch(conn, "SELECT repeat('x', 1000) FROM generate_series(1, 5000)")
    (found,) = drain(conn, handles(job))
    assert found.row_count == 5000
    assert registry(conn).spill_bytes == before.spill_bytes


def test_twin(conn: Connection) -> None:
    job = launch(conn, "SELECT 1")
    rows = query(conn, CALL.replace("drain", "drain_v2"), handles(job), 0)
    assert [Outcome(*row).state for row in rows] == ["stopped"]
