"""A worker ends, or its job is canceled, at each step of a job: all are told, and nothing stays behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from psycopg import errors as e

from ..support.calls import at_the_same_time, failure, wait_until_in_extension
from ..support.jobs import Handle, cancel, has_ended, launch, result, wait
from ..support.points import ERROR, FATAL, PAUSE, Outcome, Point, Scene, outcome
from ..support.registry import registry
from ..support.waiting import wait_until

JOB = "INSERT INTO ran VALUES (1); SELECT 'value'"

STOPPED = Outcome("stopped", (("value",),))
LOST = Outcome("lost")
FAILED = Outcome("error")
CANCELED = Outcome("canceled")

#: What may come of the job, and whether its work is done then.
RUN = (STOPPED, 1)
TOLD_LOST = (LOST, 0)
TOLD_CANCELED = (CANCELED, 0)

#: Of what happens at a point.
ENDS: dict[str, dict[str, set[tuple[Outcome, int]]]] = {
    "worker_before_job": {
        ERROR: {TOLD_LOST},
        FATAL: {TOLD_LOST},
        "terminate": {TOLD_LOST},
        "launcher": {RUN},
        "cancel": {TOLD_CANCELED},
    },
    "job_before_statements": {
        ERROR: {(FAILED, 0)},
        FATAL: {TOLD_LOST},
        "terminate": {TOLD_LOST},
        "launcher": {RUN},
        "cancel": {TOLD_CANCELED},
    },
    "job_before_commit": {
        ERROR: {(FAILED, 0)},
        FATAL: {TOLD_LOST},
        # Whichever is first.
        "terminate": {TOLD_LOST, RUN},
        "launcher": {RUN},
        "cancel": {TOLD_CANCELED, RUN},
    },
    "job_after_commit": {what: {RUN} for what in (ERROR, "terminate", "launcher", "cancel")},
    "job_before_finish": {
        # It has committed.
        ERROR: {RUN},
        FATAL: {RUN},
        "terminate": {RUN},
        "launcher": {RUN},
        "cancel": {RUN},
    },
    "worker_before_reset": {what: {RUN} for what in (ERROR, FATAL, "terminate", "launcher", "cancel")},
    "worker_after_reset": {what: {RUN} for what in (ERROR, FATAL, "terminate", "launcher", "cancel")},
}


def act(scene: Scene, what: str, pid: int, handle: Handle) -> None:
    """Do something to the job of a worker that is held at a point."""
    if what == "terminate":
        # Not by SQL: it may not have entered the list of backends yet.
        os.kill(pid, signal.SIGTERM)
    elif what == "launcher":
        scene.terminate(scene.launcher)
    elif what == "cancel":
        # Unknown once its result is consumed.
        with suppress(e.UndefinedObject, e.ObjectNotInPrerequisiteState):
            cancel(scene.watcher, handle)


@pytest.mark.parametrize(("name", "what"), [(name, what) for name, ends in ENDS.items() for what in ends])
def test_while_others_wait_and_read(scene: Scene, name: str, what: str) -> None:
    kind = what if what in (ERROR, FATAL) else PAUSE
    with (
        scene.point("worker_before_connect") as start,
        scene.point(name, kind) as point,
        scene.calls() as call,
    ):
        handle = launch(scene.launcher, JOB)
        assert start.reached() == handle.pid
        waiting = call(wait, scene.waiter, handle)
        reading = call(outcome, scene.reader, handle)
        for session in (scene.waiter, scene.reader):
            wait_until_in_extension(scene.watcher, session)
        start.open()
        assert point.reached() == handle.pid
        if "reset" in name:
            # Nobody waits for that.
            assert waiting.result()
            assert reading.result() == STOPPED
        if kind == PAUSE:
            act(scene, what, handle.pid, handle)
        point.open()
        assert waiting.result()
        found = reading.result()
    wait_until(lambda: registry(scene.watcher).live == 0)
    assert (found, scene.ran()) in ENDS[name][what]
    scene.assert_nothing_is_left()


@pytest.mark.parametrize("what", [ERROR, FATAL, "terminate", "launcher", "cancel"])
def test_before_it_connects(scene: Scene, what: str) -> None:
    """It may have its job already; if not, the launch may take another worker or be refused."""
    kind = what if what in (ERROR, FATAL) else PAUSE
    with scene.point("worker_before_connect", kind) as point, scene.calls() as call:
        launching = call(launch, scene.launcher, JOB)
        pid = point.reached()
        if kind == PAUSE:
            handle = launching.result()
            assert handle.pid == pid
            waiting = call(wait, scene.waiter, handle)
            reading = call(outcome, scene.reader, handle)
            for session in (scene.waiter, scene.reader):
                wait_until_in_extension(scene.watcher, session)
            act(scene, what, pid, handle)
            point.open()
            assert waiting.result()
            found = reading.result()
            expected = {"terminate": LOST, "launcher": STOPPED, "cancel": CANCELED}
            assert found == expected[what]
        else:
            point.open()
            try:
                found = outcome(scene.reader, launching.result())
            except e.InsufficientResources:
                found = None
            assert found in (STOPPED, LOST, None)
    wait_until(lambda: registry(scene.watcher).live == 0)
    assert scene.ran() == (found == STOPPED)
    scene.assert_nothing_is_left()


@pytest.mark.parametrize("what", [ERROR, FATAL])
def test_ended_before_it_checks_in(scene: Scene, what: str) -> None:
    with scene.point("worker_before_checkin", what) as point:
        with pytest.raises(e.InsufficientResources, match="could not start background process"):
            launch(scene.launcher, JOB)
        point.reached()
    assert scene.launcher.execute("SELECT workers_launched FROM pg_background_stats()").fetchone() == (0,)
    assert registry(scene.watcher)[:5] == (0, 0, 0, 0, 0)
    scene.assert_nothing_is_left()
    assert scene.ran() == 0


def test_terminated_before_it_checks_in(scene: Scene) -> None:
    """The signal is heard when the worker has checked in: it may have its job, or its launch is refused."""
    with scene.point("worker_before_checkin") as point, scene.calls() as call:
        launching = call(launch, scene.launcher, JOB)
        os.kill(point.reached(), signal.SIGTERM)
        point.open()
        try:
            handle = launching.result()
        except e.InsufficientResources:
            assert scene.ran() == 0
        else:
            assert (outcome(scene.reader, handle), scene.ran()) in (TOLD_LOST, RUN)
    scene.assert_nothing_is_left()


@pytest.mark.parametrize("what", ["launcher", "cancel"])
def test_its_launcher_gives_up_before_it_checks_in(scene: Scene, what: str) -> None:
    """The launch ends at once, its job never runs, and the worker is there for another one."""
    with scene.point("worker_before_checkin") as point, scene.calls() as call:
        launching = call(launch, scene.launcher, JOB)
        pid = point.reached()
        if what == "launcher":
            scene.terminate(scene.launcher)
        else:
            scene.launcher.cancel()
        assert launching.failure().sqlstate == {"launcher": "57P01", "cancel": "57014"}[what]
        wait_until(lambda: registry(scene.watcher).live == 0)
        point.open()
    wait_until(lambda: registry(scene.watcher).idle_workers == 1)
    handle = launch(scene.waiter, "SELECT 'other'")
    assert handle.pid == pid
    assert result(scene.waiter, handle) == [("other",)]
    assert scene.ran() == 0
    scene.assert_nothing_is_left()


@pytest.mark.slow
def test_nobody_asks_for_it_any_more_and_it_never_checks_in(scene: Scene) -> None:
    """Its place is free again a minute later."""
    with scene.calls() as call, scene.point("worker_before_checkin") as point:
        launching = call(launch, scene.launcher, JOB)
        point.reached()
        scene.launcher.cancel()
        assert launching.failure().sqlstate == "57014"
        point.become(FATAL)
        wait_until(lambda: registry(scene.watcher).busy_workers == 0, deadline=90, what="the place free")
    assert scene.ran() == 0
    scene.assert_nothing_is_left()


@contextmanager
def two_for_one_worker(scene: Scene) -> Iterator[tuple[Point, Handle, Handle]]:
    """Hold a worker before its reset, with a job that has ended and the next one.

    There are places for more, but for a tenth of a second it counts as the one that will be free first.
    """
    for _ in range(50):
        with scene.point("worker_before_reset") as point:
            first = launch(scene.launcher, "SELECT 1")
            assert point.reached() == first.pid
            assert wait(scene.launcher, first)
            second = launch(scene.launcher, JOB)
            if second.pid == first.pid:
                yield point, first, second
                return
        assert outcome(scene.reader, second) == STOPPED
        # An idle one would get the next job.
        scene.watcher.execute("SELECT pg_terminate_backend(%s)", [second.pid])
        wait_until(lambda: registry(scene.watcher).idle_workers == 1)
    pytest.fail("no launch came within a tenth of a second of the end of the job before")


@pytest.mark.parametrize("what", [ERROR, FATAL, "terminate", "cancel"])
def test_the_next_job_of_a_worker_that_resets(scene: Scene, what: str) -> None:
    """It is the worker's already, and another's if the worker ends. The last job's cancel is not its own."""
    with scene.calls() as call, two_for_one_worker(scene) as (point, first, second):
        reading = call(outcome, scene.reader, second)
        wait_until_in_extension(scene.watcher, scene.reader)
        with scene.point("worker_after_reset", what if what in (ERROR, FATAL) else PAUSE) as after:
            point.open()
            after.reached()
            act(scene, what, first.pid, first)
            after.open()
            found = reading.result()
    assert found == STOPPED
    assert scene.ran()
    scene.assert_nothing_is_left()


def test_a_process_that_is_to_end_gets_no_other_job(scene: Scene) -> None:
    """Told so when its job has ended but for the telling: the next one goes to another."""
    # One that went on to its reset would take a job there.
    with scene.point("job_before_finish") as point, scene.point("worker_before_reset"):
        handle = launch(scene.launcher, JOB)
        assert point.reached() == handle.pid
        scene.watcher.execute("SELECT pg_terminate_backend(%s)", [handle.pid])
        point.open()
        assert wait(scene.launcher, handle)
        other = launch(scene.waiter, "SELECT 'other'")
        assert other.pid != handle.pid
    assert result(scene.waiter, other) == [("other",)]
    assert outcome(scene.reader, handle) == STOPPED
    scene.assert_nothing_is_left()


def test_a_replication_slot_is_free_when_the_job_that_failed_with_it_has_ended(scene: Scene) -> None:
    """Though its worker has not begun to clean up."""
    slot = "SELECT pg_create_physical_replication_slot('held', true)"
    scene.watcher.execute(slot)
    with scene.point("worker_before_reset") as point:
        handle = launch(scene.launcher, "SELECT pg_replication_slot_advance('held', '0/1')")
        assert wait(scene.launcher, handle)
        point.reached()
        with pytest.raises(e.ObjectNotInPrerequisiteState, match="minimum is"):
            result(scene.launcher, handle)
        scene.watcher.execute("SELECT pg_drop_replication_slot('held')")
        point.open()
    scene.assert_nothing_is_left()


@pytest.mark.parametrize("name", [name for name in ENDS if "reset" not in name])
def test_held_worker_holds_nobody_else_up(scene: Scene, name: str) -> None:
    with scene.point(name) as point, scene.point("worker_before_connect") as start:
        handle = launch(scene.launcher, JOB)
        start.open()
        assert point.reached() == handle.pid
        assert not has_ended(scene.launcher, handle)
        assert wait(scene.launcher, handle, 1) is False
        assert scene.launcher.execute("SELECT workers_active FROM pg_background_stats()").fetchone() == (1,)
        assert registry(scene.watcher)[1:5] == (1, 0, 0, 1)
        with at_the_same_time(scene.reader) as call:
            reading = call(outcome, scene.reader, handle)
            wait_until_in_extension(scene.watcher, scene.reader)
            assert (
                failure(
                    scene.waiter, "SELECT * FROM pg_background_result(%s, %s) AS (a text)", *handle
                ).sqlstate
                == "55006"
            )
            point.open()
            assert reading.result() == STOPPED
    scene.assert_nothing_is_left()
