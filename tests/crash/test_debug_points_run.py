"""A session that fails in run ends its job, at whatever step."""

from __future__ import annotations

import pytest

from ..support.calls import query, wait_until_in_extension
from ..support.jobs import FOREVER, Handle, detach, launch
from ..support.outcomes import handles, wait_any
from ..support.points import ERROR, FATAL, Scene
from ..support.registry import registry
from ..support.waiting import wait_until

CALLS = {
    "run": f"SELECT pg_background_run('INSERT INTO ran VALUES (1); {FOREVER}')",
    "run_query": "SELECT * FROM pg_background_run_query("
    f"'INSERT INTO ran VALUES (1); {FOREVER}') AS (a text)",
}

POINTS = ["launch_before_accept", "launch_before_checkin", "run_before_reading", "reader_before_taking"]


@pytest.mark.parametrize("what", [ERROR, FATAL])
@pytest.mark.parametrize("name", POINTS)
@pytest.mark.parametrize("way", CALLS)
def test_caller_that_fails(scene: Scene, way: str, name: str, what: str) -> None:
    call = CALLS[way]
    if name == "reader_before_taking":
        if way == "run":
            pytest.skip("it takes no rows")
        call = call.replace(FOREVER, "SELECT 1::text")
    with scene.failing(name, what):
        query(scene.launcher, call)
    assert scene.launcher.closed == (what == FATAL)
    wait_until(lambda: registry(scene.watcher).live == 0)
    assert registry(scene.watcher).unread == 0
    assert scene.ran() == (1 if name == "reader_before_taking" else 0)
    scene.assert_nothing_is_left()


@pytest.mark.parametrize("way", CALLS)
@pytest.mark.parametrize("what", ["terminate", "detach by another", "cancel by another"])
def test_what_happens_while_the_caller_is_held(scene: Scene, way: str, what: str) -> None:
    """The call ends with the job, whoever ends that, and the job with the call."""
    with scene.calls() as call:
        with scene.point("run_before_reading") as point:
            running = call(query, scene.launcher, CALLS[way])
            assert point.reached() == scene.launcher.info.backend_pid
            running_job = "SELECT pid, cookie FROM pg_background_jobs WHERE state = 'running'"
            ((pid, cookie),) = wait_until(lambda: query(scene.watcher, running_job))
            if what == "terminate":
                scene.terminate(scene.launcher)
            elif what == "detach by another":
                detach(scene.watcher, Handle(pid, cookie))
            else:
                query(scene.watcher, "SELECT pg_background_cancel(%s, %s)", pid, cookie)
        if what == "detach by another":
            scene.launcher.cancel()
        if what == "cancel by another" and way == "run":
            assert ",canceled," in running.result()[0][0]
        else:
            assert running.failure().sqlstate == ("57P01" if what == "terminate" else "57014")
    wait_until(lambda: registry(scene.watcher).live == 0)
    assert scene.ran() == 0
    scene.assert_nothing_is_left()


def test_death_of_a_session_that_waits_for_several(scene: Scene) -> None:
    """What it waited for knows no more of it: the next end wakes only those that are there."""
    jobs = [launch(scene.reader, FOREVER) for _ in range(2)]
    with scene.calls() as call:
        waits = [call(wait_any, session, handles(*jobs)) for session in (scene.launcher, scene.waiter)]
        for session in (scene.launcher, scene.waiter):
            wait_until_in_extension(scene.watcher, session)
        scene.terminate(scene.launcher)
        assert waits[0].failure().sqlstate == "57P01"
        query(scene.watcher, "SELECT pg_background_cancel(%s, %s)", *jobs[1])
        assert waits[1].result() == jobs[1]
    query(scene.watcher, "SELECT pg_background_cancel(%s, %s)", *jobs[0])
    for job in jobs:
        detach(scene.watcher, job)
    scene.assert_nothing_is_left()
