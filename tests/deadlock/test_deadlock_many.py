"""Waits for several jobs in the search for deadlocks: any needs one of them, all needs each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ..support.calls import (
    Failure,
    at_the_same_time,
    failure,
    query,
    wait_until_blocked,
    wait_until_in_extension,
)
from ..support.fix_db import Connect, Connection
from ..support.jobs import Handle, closed_gate, has_ended, launch, result, wait, wait_until_asleep
from ..support.outcomes import HANDLES, drain, handles, outcome, wait_any
from .test_deadlock_chains import lock, patient, session, take, unlock

__all__ = ["patient", "session"]

ANY = f"SELECT pg_background_wait_any({HANDLES})"
ALL = f"SELECT pg_background_drain({HANDLES})"


def deadlock(session: Connection, handle: Handle) -> Failure:
    """The error that names the session and the job's process."""
    mine = session.info.backend_pid
    return Failure(
        "40P01",
        "deadlock detected",
        f"Process {mine} waits for the background job of process {handle.pid};"
        f" the job waits for process {mine}.",
        "Commit before waiting for the job, or cancel it.",
    )


@pytest.fixture
def blocked(session: Connection) -> Iterator[list[Handle]]:
    """Two jobs that wait for the session."""
    lock(session, 1)
    jobs = [launch(session, take(1)) for _ in range(2)]
    for job in jobs:
        wait_until_blocked(session, job.pid)
    yield jobs
    unlock(session, 1)
    for job in jobs:
        assert result(session, job) == [("got 1",)]


@pytest.mark.parametrize("way", [ANY, ALL], ids=["wait_any", "drain"])
def test_all_wait_for_me(session: Connection, blocked: list[Handle], way: str) -> None:
    for _ in range(2):
        assert failure(session, way, handles(*blocked)) == deadlock(session, blocked[0])
    assert not any(has_ended(session, job) for job in blocked)


def test_all_but_one_wait_for_me(session: Connection, blocked: list[Handle], connect: Connect) -> None:
    """wait_any can still end, drain cannot."""
    other = connect()
    with closed_gate(other) as gate:
        free = launch(session, gate.sql)
        wait_until_asleep(session, free.pid, "advisory")
        assert wait_any(session, handles(*blocked, free), 300) is None
        assert failure(session, ALL, handles(free, *blocked)) == deadlock(session, blocked[0])
        with at_the_same_time(session) as call:
            waiting = call(wait_any, session, handles(*blocked, free))
            wait_until_in_extension(other, session)
            gate.open()
            assert waiting.result() == free
            gate.close()


def test_one_has_ended(session: Connection, blocked: list[Handle]) -> None:
    ended = launch(session, "SELECT 1")
    assert wait(session, ended)
    assert wait_any(session, handles(*blocked, ended)) == ended
    assert failure(session, ALL, handles(ended, *blocked)).sqlstate == "40P01"
    # Nothing was lost by the error.
    assert result(session, ended, "a int") == [(1,)]


def test_one_waits_for_the_other_which_waits_for_me(session: Connection) -> None:
    """An alternative that is blocked by the first one is none."""
    lock(session, 1)
    first = launch(session, f"SELECT pg_advisory_xact_lock(2); {take(1)}")
    wait_until_blocked(session, first.pid)
    second = launch(session, take(2))
    wait_until_blocked(session, second.pid)
    assert failure(session, ANY, handles(second, first)) == deadlock(session, second)
    unlock(session, 1)
    assert result(session, first) == [("got 1",)]
    assert result(session, second) == [("got 2",)]


@pytest.mark.parametrize("way", [ANY, ALL], ids=["wait_any", "drain"])
def test_through_the_wait_of_another_session(session: Connection, patient: Connect, way: str) -> None:
    """My job waits for a session that waits, together, for two jobs, of which one waits for me."""
    other = patient()
    lock(session, 1)
    lock(other, 2)
    mine = launch(session, take(2))
    with closed_gate(patient()) as gate:
        others = [launch(other, take(1)), launch(other, gate.sql)]
        for job in (mine, others[0]):
            wait_until_blocked(session, job.pid)
        wait_until_asleep(session, others[1].pid, "advisory")
        with at_the_same_time(other) as call:
            waiting = call(query, other, way, handles(*others))
            wait_until_in_extension(session, other)
            if way == ANY:
                assert wait(session, mine, 300) is False
                gate.open()
                waiting.result()
                gate.close()
            else:
                found = failure(session, "SELECT pg_background_wait(%s, %s)", *mine)
                assert found == deadlock(session, mine)
                gate.open()
                unlock(session, 1)
                waiting.result()
                gate.close()
                lock(session, 1)
        unlock(other, 2)
    unlock(session, 1)
    assert result(session, mine) == [("got 2",)]


def test_two_sessions_that_wait_for_any(connect: Connect) -> None:
    """Each job waits for one of them: a knot, in which each has an alternative that is none. One is told."""
    one, two = (connect(options="-c deadlock_timeout=50ms") for _ in range(2))
    lock(one, 1)
    lock(two, 2)
    jobs = {conn: [launch(conn, take(1)), launch(conn, take(2))] for conn in (one, two)}
    for job in (*jobs[one], *jobs[two]):
        wait_until_blocked(one, job.pid)

    def wait_or_give_way(conn: Connection, key: int) -> str:
        found = "done"
        try:
            query(conn, ANY, handles(*jobs[conn]))
        except Exception as error:
            found = str(getattr(error, "sqlstate", error))
        unlock(conn, key)
        return found

    with at_the_same_time(one, two) as call:
        ends = [call(wait_or_give_way, one, 1), call(wait_or_give_way, two, 2)]
        found = [end.result() for end in ends]
    assert "40P01" in found
    assert set(found) <= {"40P01", "done"}
    for conn in (one, two):
        assert [row.state for row in drain(conn, handles(*jobs[conn]))] == ["stopped"] * 2


def test_a_ring_of_others_is_left_to_them(session: Connection, patient: Connect) -> None:
    """A job of mine waits for a session in a ring that I am no part of: that is theirs to end."""
    one, two = patient(), patient()
    lock(one, 1)
    lock(two, 2)
    rings = [launch(one, take(2)), launch(two, take(1))]
    for job in rings:
        wait_until_blocked(session, job.pid)
    mine = launch(session, take(1))
    wait_until_blocked(session, mine.pid)
    with at_the_same_time(one, two) as call:
        waits = [call(wait, one, rings[0]), call(query, two, ANY, handles(rings[1]))]
        for conn in (one, two):
            wait_until_in_extension(session, conn)
        assert wait(session, mine, 300) is False
        assert wait_any(session, handles(mine), 300) is None
        one.cancel()
        assert waits[0].failure().sqlstate == "57014"
        unlock(one, 1)
        waits[1].result()
    unlock(two, 2)
    assert result(session, mine) == [("got 1",)]
    assert wait(one, rings[0])
    assert outcome(two, rings[1]).completed
