"""wait_any and drain over any number of handles: in steps that can be interrupted and hold nobody up."""

from __future__ import annotations

import pytest

from ..deadlock.test_deadlock_chains import lock, session, take, unlock
from ..support.calls import (
    at_the_same_time,
    nothing_is_left,
    query,
    value,
    wait_until_blocked,
    wait_until_in_extension,
)
from ..support.fix_db import Connect, Connection
from ..support.jobs import Handle, cancel, closed_gate, detach, launch, start, wait
from ..support.outcomes import HANDLES, drain, handles, outcome, wait_any
from ..support.points import Scene

__all__ = ["session"]

#: More than are looked at while the registry's lock is held once.
MANY = 700

WAYS = {
    "wait_any": f"SELECT pg_background_wait_any({HANDLES})",
    "drain": f"SELECT * FROM pg_background_drain({HANDLES})",
}


def queued(conn: Connection, count: int) -> list[Handle]:
    """Jobs that wait for their turn, and together do not fill the job memory."""
    return [start(conn, f"SELECT {n}", on_full="queue", queue_size=1024) for n in range(count)]


@pytest.fixture
def busy(connect: Connect) -> Connection:
    """A session whose jobs have to wait for their turn."""
    return connect(options="-c pg_background.max_workers=1")


def test_of_many_jobs_any(busy: Connection, connect: Connect) -> None:
    with nothing_is_left(busy), closed_gate(connect()) as gate:
        first = launch(busy, gate.sql)
        jobs = queued(busy, MANY)
        with at_the_same_time(busy) as call:
            waiting = call(wait_any, busy, handles(*jobs, first, *jobs))
            wait_until_in_extension(connect(), busy)
            other = connect()
            cancel(other, jobs[MANY // 2])
            assert waiting.result() == jobs[MANY // 2]
            # Those that are left know of nobody who waits: their ends are told to nobody.
            query(busy, "SELECT pg_background_cancel_all()")
        query(busy, "SELECT pg_background_detach_all()")


def test_of_many_jobs_all(busy: Connection, connect: Connect) -> None:
    with nothing_is_left(busy), closed_gate(connect()) as gate:
        jobs = [launch(busy, gate.sql), *queued(busy, MANY)]
        # Each twice, and in no order.
        some = jobs[::2] + jobs[::-1] + jobs[1::2]
        with at_the_same_time(busy) as call:
            draining = call(drain, busy, handles(*some))
            wait_until_in_extension(connect(), busy)
            gate.open()
            outcomes = draining.result()
            gate.close()
        assert [Handle(found.pid, found.cookie) for found in outcomes] == some
        assert {found.state for found in outcomes} == {"stopped"}


def test_one_of_many_waits_for_me(session: Connection) -> None:
    """The search goes through all steps."""
    query(session, "SET pg_background.max_workers = 1")
    lock(session, 1)
    job = launch(session, take(1))
    wait_until_blocked(session, job.pid)
    behind = queued(session, MANY)
    for way in WAYS.values():
        with pytest.raises(Exception, match="deadlock detected"):
            query(session, way, handles(*behind, job))
    query(session, "SELECT pg_background_cancel_all()")
    unlock(session, 1)


def test_the_same_handle_very_often(conn: Connection, connect: Connect) -> None:
    """It takes no more shared memory than once, and each of the rows is there."""
    with nothing_is_left(conn), closed_gate(connect()) as gate:
        job = launch(conn, gate.sql)
        often = "SELECT array_fill(ROW(%s, %s)::pg_background_handle, ARRAY[100000])"
        row = f"SELECT pg_background_wait_any(({often}), 1) IS NULL"
        assert value(conn, row, *job) is True
        with at_the_same_time(conn) as call:
            count = f"SELECT count(*) FROM pg_background_drain(({often})) WHERE state = 'stopped'"
            draining = call(value, conn, count, *job)
            wait_until_in_extension(connect(), conn)
            gate.open()
            assert draining.result() == 100_000
            gate.close()


@pytest.mark.parametrize("way", WAYS)
def test_interrupt_while_the_set_is_read(scene: Scene, way: str) -> None:
    """It is seen at once, and nothing is detached."""
    jobs = [launch(scene.launcher, "SELECT 1") for _ in range(2)]
    for job in jobs:
        assert wait(scene.launcher, job)
    with scene.calls() as call, scene.point("set_before_reading") as point:
        calling = call(query, scene.waiter, WAYS[way], handles(*jobs))
        point.reached()
        scene.waiter.cancel()
        point.open()
        assert calling.failure().sqlstate == "57014"
    for job in jobs:
        assert outcome(scene.launcher, job).state == "stopped"
        detach(scene.launcher, job)
    scene.assert_nothing_is_left()
