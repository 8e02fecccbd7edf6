"""Readers, writers and movers of output end at each step: what was not taken is still there, no file is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import psycopg
import pytest
from psycopg import errors as e

from ..support.calls import wait_until_in_extension
from ..support.fix_server import fills_job_memory
from ..support.jobs import Handle, cancel, closed_gate, detach, launch, result, state, wait, wait_until_gone
from ..support.points import ERROR, FATAL, PAUSE, Outcome, Scene, outcome
from ..support.registry import registry
from ..support.waiting import wait_until

ROWS = tuple((str(n),) for n in range(1, 101))
JOB = "SELECT n::text FROM generate_series(1, 100) n"
STOPPED = Outcome("stopped", ROWS)
UNKNOWN = Outcome("unknown")

#: About a megabyte; a queue has 64 kB.
MEGABYTE = "INSERT INTO ran VALUES (1); SELECT n::text, repeat('x', 1000) FROM generate_series(1, 1000) n"
COLUMNS = "n text, x text"

READER_POINTS = ("reader_before_columns", "reader_before_taking")


@pytest.mark.parametrize("what", [ERROR, FATAL])
@pytest.mark.parametrize("name", READER_POINTS)
def test_reader_that_fails_before_it_takes(scene: Scene, name: str, what: str) -> None:
    """The result is still there, for any other."""
    handle = launch(scene.launcher, JOB)
    assert wait(scene.launcher, handle)
    with scene.point(name, what):
        assert outcome(scene.reader, handle) == Outcome("error" if what == ERROR else "gone")
    wait_until(lambda: registry(scene.watcher).unread == 1)
    assert outcome(scene.waiter, handle) == STOPPED
    scene.assert_nothing_is_left()


@pytest.mark.parametrize("finished", [True, False], ids=["finished", "running"])
@pytest.mark.parametrize("what", ["terminate", "cancel reader", "cancel", "detach", "launcher"])
@pytest.mark.parametrize("name", READER_POINTS)
def test_what_happens_while_a_reader_is_held(scene: Scene, name: str, what: str, finished: bool) -> None:
    """It gets all rows or none, and nobody gets them twice."""
    gate_keeper = scene.connect()
    with closed_gate(gate_keeper) as gate, scene.calls() as call:
        handle = launch(scene.launcher, JOB if finished else f"{gate.sql}; {JOB}")
        if finished:
            assert wait(scene.launcher, handle)
        with scene.point(name) as point:
            reading = call(outcome, scene.reader, handle)
            if not finished and name == "reader_before_taking":
                # It comes there when the job has sent its rows.
                wait_until_in_extension(scene.watcher, scene.reader)
                gate.open()
            assert point.reached() == scene.reader.info.backend_pid
            if what == "terminate":
                scene.terminate(scene.reader)
            elif what == "cancel reader":
                scene.reader.cancel()
            elif what == "cancel":
                cancel(scene.watcher, handle)
            elif what == "detach":
                detach(scene.watcher, handle)
            else:
                scene.terminate(scene.launcher)
            point.open()
            gate.open()
            first = reading.result()
    wait_until(lambda: registry(scene.watcher).live == 0)
    second = outcome(scene.waiter, handle)
    if first == STOPPED or what == "detach":
        assert second == UNKNOWN
    if what == "launcher":
        assert first == STOPPED
    if what == "cancel" and finished:
        assert first == STOPPED
    assert {first.state, second.state} <= {"stopped", "unknown", "gone", "canceled"}
    assert [first, second].count(STOPPED) <= 1
    scene.assert_nothing_is_left()


@pytest.mark.parametrize("name", READER_POINTS)
def test_worker_that_ends_while_its_reader_is_held(scene: Scene, name: str) -> None:
    gate_keeper = scene.connect()
    with (
        closed_gate(gate_keeper) as gate,
        scene.point(name) as point,
        scene.point("job_before_commit", FATAL) as end,
        scene.calls() as call,
    ):
        handle = launch(scene.launcher, f"{gate.sql}; {JOB}")
        reading = call(outcome, scene.reader, handle)
        if name == "reader_before_columns":
            point.reached()
        else:
            wait_until_in_extension(scene.watcher, scene.reader)
        gate.open()
        assert end.reached() == handle.pid
        wait_until_gone(scene.watcher, handle.pid)
        point.reached()
        point.open()
        assert reading.result() == Outcome("lost")
    scene.assert_nothing_is_left()


# ---- the file behind a queue

SPILL_ENDS = {
    ERROR: {("error", 0)},
    FATAL: {("lost", 0)},
    "terminate": {("lost", 0)},
    "cancel": {("canceled", 0)},
    "detach": {("unknown", 1)},
    "launcher": {("stopped", 1), ("unknown", 1)},
}


@pytest.mark.parametrize("what", SPILL_ENDS)
def test_worker_that_spills(scene: Scene, what: str) -> None:
    with scene.point("spill_before_create", what if what in (ERROR, FATAL) else PAUSE) as point:
        handle = launch(scene.launcher, MEGABYTE)
        assert point.reached() == handle.pid
        if what == "terminate":
            scene.watcher.execute("SELECT pg_terminate_backend(%s)", [handle.pid])
        elif what == "cancel":
            cancel(scene.watcher, handle)
        elif what == "detach":
            detach(scene.watcher, handle)
        elif what == "launcher":
            scene.terminate(scene.launcher)
    with suppress(e.UndefinedObject, e.ObjectNotInPrerequisiteState):
        wait(scene.waiter, handle)
    wait_until(lambda: registry(scene.watcher).live == 0)
    found = outcome(scene.reader, handle, COLUMNS)
    assert (found.state, scene.ran()) in SPILL_ENDS[what]
    assert len(found.rows) == (1000 if found.state == "stopped" else 0)
    scene.assert_nothing_is_left()


# ---- queues that move to files when memory is short


@pytest.fixture
def full(scene: Scene) -> Iterator[list[Handle]]:
    """Unread results that fill the job memory."""
    handles = []
    # Less than four of them fit, with the rest of what is in there.
    for _ in range(3):
        handles.append(launch(scene.waiter, JOB, queue_size=1 << 20))
        assert wait(scene.waiter, handles[-1])
        if registry(scene.watcher).area_bytes > 3 << 20:
            break
    yield handles
    for handle in handles:
        with suppress(psycopg.Error):
            detach(scene.waiter, handle)


def launch_big(scene: Scene) -> Handle:
    return launch(scene.launcher, JOB, queue_size=1 << 20)


@fills_job_memory
@pytest.mark.parametrize("what", [ERROR, FATAL])
def test_mover_that_fails(scene: Scene, full: list[Handle], what: str) -> None:
    """The launch did not happen; the results are all there."""
    with scene.failing("mover_before_write", what):
        launch_big(scene)
    assert scene.launcher.closed == (what == FATAL)
    for handle in full:
        assert outcome(scene.reader, handle) == STOPPED
    wait_until(lambda: registry(scene.watcher).live == 0)
    scene.assert_nothing_is_left()


@fills_job_memory
@pytest.mark.parametrize("what", ["terminate", "cancel", "detach", "read"])
def test_what_happens_while_a_mover_is_held(scene: Scene, full: list[Handle], what: str) -> None:
    with scene.point("mover_before_write") as point, scene.calls() as call:
        launching = call(launch_big, scene)
        assert point.reached() == scene.launcher.info.backend_pid
        moved = full[0]
        if what == "terminate":
            scene.terminate(scene.launcher)
        elif what == "cancel":
            scene.launcher.cancel()
        elif what == "detach":
            detach(scene.waiter, moved)
            assert state(scene.waiter, moved) is None
        else:
            reading = call(outcome, scene.reader, moved)
            wait_until_in_extension(scene.watcher, scene.reader)
        point.open()
        if what == "read":
            assert reading.result() == STOPPED
        if what in ("terminate", "cancel"):
            launching.failure()
        else:
            assert outcome(scene.launcher, launching.result()) == STOPPED
    for handle in full:
        gone = handle == moved and what in ("detach", "read")
        assert outcome(scene.reader, handle) == (UNKNOWN if gone else STOPPED)
    wait_until(lambda: registry(scene.watcher).live == 0)
    scene.assert_nothing_is_left()


def test_reader_that_gives_up_what_its_session_left(scene: Scene) -> None:
    """The retention of a result that was being looked at ends with the look."""
    handle, other = [launch(scene.launcher, JOB) for _ in range(2)]
    assert wait(scene.launcher, handle)
    assert wait(scene.launcher, other)
    with scene.calls() as call:
        with scene.point("reader_before_columns") as point:
            reading = call(result, scene.reader, handle, "n int")
            point.reached()
            scene.launcher.close()
            wait_until(lambda: registry(scene.watcher).unread == 1, what="the other result expired")
        assert reading.failure().sqlstate == "42804"
    wait_until(lambda: registry(scene.watcher).unread == 0)
    scene.assert_nothing_is_left()


def test_what_was_looked_at_past_its_retention_expires_when_its_reader_lets_go(scene: Scene) -> None:
    """The keeper has found it with a reader, and is told when that one goes without having taken it."""
    session = scene.connect()
    handle = launch(session, JOB)
    assert wait(session, handle)
    with scene.calls() as call, scene.point("reader_before_columns") as point:
        reading = call(result, scene.reader, handle, "a text, b text")
        point.reached()
        session.close()
        with scene.server.connect(scene.launcher.info.dbname) as other:
            assert wait(other, launch(other, JOB))
        # The keeper has looked since.
        wait_until(lambda: registry(scene.watcher).unread == 1, what="the other result expired")
        point.open()
        assert reading.failure().sqlstate == "42804"
    wait_until(lambda: registry(scene.watcher).unread == 0, what="the result expired")
    scene.assert_nothing_is_left()


@pytest.mark.parametrize("end", [PAUSE, ERROR, FATAL])
def test_rows_that_are_read_in_place_stay(scene: Scene, end: str) -> None:
    """The job does not wait for long: it moves its queue to the file, and uses it again."""
    gate_keeper = scene.connect()
    scene.launcher.execute("SET deadlock_timeout = '10ms'")
    letters = "SELECT n::text, repeat(chr(97 + n % 26), 1000) FROM generate_series(1, 1000) n"
    with closed_gate(gate_keeper) as gate, scene.calls() as call, scene.point("reader_in_place") as point:
        handle = launch(scene.launcher, f"{gate.sql}; {letters}")
        reading = call(result, scene.reader, handle, COLUMNS)
        wait_until_in_extension(scene.watcher, scene.reader)
        gate.open()
        point.reached()
        assert wait(scene.waiter, handle, 20_000)
        if end == PAUSE:
            point.open()
            assert reading.result() == [(str(n), chr(97 + n % 26) * 1000) for n in range(1, 1001)]
        else:
            point.become(end)
            assert reading.failure().sqlstate == "XX000"
    scene.assert_nothing_is_left()


def test_a_reader_that_fails_wakes_the_job_that_waits_for_room(scene: Scene) -> None:
    """A job that looks for itself once an hour only."""
    scene.launcher.execute("SET deadlock_timeout = '1h'")
    # With its columns the job tells the reader to come; more than the queue holds follows.
    with scene.calls() as call, scene.point("reader_before_taking") as point:
        handle = launch(scene.launcher, MEGABYTE)
        reading = call(result, scene.reader, handle, COLUMNS)
        point.reached()
        point.become(ERROR)
        assert reading.failure().sqlstate == "XX000"
        assert wait(scene.waiter, handle, 20_000)
    assert len(result(scene.waiter, handle, COLUMNS)) == 1000
    scene.assert_nothing_is_left()
