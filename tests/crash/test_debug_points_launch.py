"""A launching session ends, or its statement is canceled, at each step of a launch."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from psycopg import errors as e

from pg_background.server import Installation, build

from ..support.calls import Failure, at_the_same_time, query, result_failure, value, wait_until_in_extension
from ..support.fix_db import Connection
from ..support.fix_server import FreshServer
from ..support.jobs import launch, result, run
from ..support.points import ERROR, FATAL, PAUSE, Scene
from ..support.registry import registry
from ..support.waiting import wait_until

JOB = "INSERT INTO ran VALUES (1)"

END_WORKERS = (
    "SELECT pg_terminate_backend(pid, 20000) FROM pg_stat_activity "
    "WHERE backend_type = 'pg_background' AND datname = current_database()"
)

#: Steps after which a job is still nobody's, and one after which it is a worker's.
BEFORE = ("launch_before_accept", "launch_before_register", "launch_before_checkin")
AFTER = "launch_before_return"


def make_warm(scene: Scene) -> None:
    """Have an idle worker, so that a launch needs no process."""
    assert run(scene.waiter, "SELECT 1", "a int") == [(1,)]
    wait_until(lambda: registry(scene.watcher).idle_workers == 1)


def settled(scene: Scene) -> None:
    wait_until(lambda: registry(scene.watcher).live == 0)


@pytest.mark.parametrize("name", [*BEFORE, AFTER])
def test_error(scene: Scene, name: str) -> None:
    """A launch that fails before it has a worker never happened; after that its job runs."""
    accepted = int(name == AFTER)
    with scene.failing(name, ERROR):
        launch(scene.launcher, JOB)
    settled(scene)
    assert scene.ran() == accepted
    row = scene.launcher.execute(
        "SELECT workers_launched, workers_completed, workers_active FROM pg_background_stats()"
    ).fetchone()
    assert row == (accepted, accepted, 0)
    assert registry(scene.watcher).unread == accepted
    scene.assert_nothing_is_left()


@pytest.mark.parametrize("name", BEFORE[1:])
def test_a_cancel_before_there_is_a_worker(scene: Scene, name: str) -> None:
    """Whoever finds the job can cancel it then: it never begins."""
    with scene.point(name) as point, scene.calls() as call:
        launching = call(launch, scene.launcher, JOB)
        point.reached()
        ((cookie,),) = query(scene.watcher, "SELECT cookie FROM pg_background_jobs WHERE state = 'starting'")
        query(scene.watcher, "SELECT pg_background_cancel(0, %s)", cookie)
        point.open()
        handle = launching.result()
    settled(scene)
    assert scene.ran() == 0
    assert query(scene.watcher, "SELECT state FROM pg_background_outcome(%s, %s)", *handle) == [("canceled",)]


@pytest.mark.parametrize("name", BEFORE[1:])
def test_errors_one_after_the_other(scene: Scene, name: str) -> None:
    """The same session's next launches have all places to themselves."""
    for _ in range(4):
        with scene.failing(name, ERROR):
            launch(scene.launcher, JOB)
        # A process that came all the same would be there for the next launch, which then needs no other.
        wait_until(lambda: registry(scene.watcher).busy_workers == 0)
        query(scene.watcher, END_WORKERS)
        wait_until(lambda: registry(scene.watcher).idle_workers == 0)
    assert run(scene.launcher, JOB) == [("INSERT 0 1",)]
    scene.assert_nothing_is_left()


@pytest.mark.parametrize("name", [*BEFORE, AFTER])
def test_fatal_error(scene: Scene, name: str) -> None:
    with scene.failing(name, FATAL):
        launch(scene.launcher, JOB)
    assert scene.launcher.closed
    settled(scene)
    assert scene.ran() == (name == AFTER)
    scene.assert_nothing_is_left()


@pytest.mark.parametrize("what", ["terminate", "cancel"])
@pytest.mark.parametrize(
    ("name", "warm"),
    [
        *((name, False) for name in (*BEFORE, AFTER)),
        # Where a launch comes that needs no process.
        ("launch_before_accept", True),
        (AFTER, True),
    ],
)
def test_interrupt(scene: Scene, name: str, what: str, warm: bool) -> None:
    """It comes before the launch has returned, so the client is told; what it was told holds."""
    if warm:
        make_warm(scene)
    with scene.point(name, PAUSE) as point, scene.calls() as call:
        launching = call(launch, scene.launcher, JOB)
        assert point.reached() == scene.launcher.info.backend_pid
        if what == "terminate":
            scene.terminate(scene.launcher)
        else:
            scene.launcher.cancel()
        point.open()
        failed = launching.failure()
    assert failed.sqlstate == {"terminate": "57P01", "cancel": "57014"}[what]
    settled(scene)
    if warm or name == AFTER:
        assert scene.ran() == 1
    elif what == "cancel":
        launched = value(scene.launcher, "SELECT workers_launched FROM pg_background_stats()")
        assert scene.ran() == launched
    scene.assert_nothing_is_left()


@pytest.mark.parametrize("name", [*BEFORE, AFTER])
def test_held_launch_holds_nobody_else_up(scene: Scene, name: str) -> None:
    with scene.calls() as call:
        with scene.point(name) as point:
            launching = call(launch, scene.launcher, JOB)
            point.reached()
            assert registry(scene.watcher).live <= 1
            point.open()
            assert run(scene.waiter, "SELECT 'other'") == [("other",)]
        launching.result()
    settled(scene)
    assert scene.ran() == 1
    scene.assert_nothing_is_left()


def test_worker_that_ends_while_its_launch_is_held(scene: Scene) -> None:
    """It has checked in and died before the launch looks: that one takes another, or is refused."""
    with scene.point("launch_before_checkin") as point, scene.calls() as call:
        with scene.point("worker_before_connect", FATAL) as connecting:
            launching = call(launch, scene.launcher, JOB)
            point.reached()
            connecting.reached()
            wait_until(lambda: registry(scene.watcher).busy_workers == 0)
        point.open()
        try:
            launching.result()
            ran = 1
        except e.InsufficientResources:
            ran = 0
    settled(scene)
    assert scene.ran() == ran
    scene.assert_nothing_is_left()


@pytest.fixture
def visitor(scene: Scene) -> Iterator[Connection]:
    """A session of a role that may connect as all may."""
    role = f"{scene.watcher.info.dbname}_visitor"
    scene.watcher.execute(f"CREATE ROLE {role} LOGIN IN ROLE pgbackground_role")
    with scene.server.connect(scene.watcher.info.dbname, user=role) as session:
        yield session
    scene.watcher.execute(f"DROP ROLE {role}")


@pytest.mark.parametrize("is_assigned", [False, True], ids=["before it has the job", "with the job"])
def test_worker_that_may_not_connect(scene: Scene, visitor: Connection, is_assigned: bool) -> None:
    """The right was there as the job was launched; the job has the whole error of the login."""
    database = scene.watcher.info.dbname
    with at_the_same_time(visitor) as call:
        with (
            scene.point("launch_before_checkin") as launched,
            scene.point("worker_before_connect") as connecting,
        ):
            launching = call(launch, visitor, JOB)
            connecting.reached()
            launched.reached()
            if is_assigned:
                launched.open()
                handle = launching.result()
            scene.watcher.execute(f"REVOKE CONNECT ON DATABASE {database} FROM PUBLIC")
            connecting.open()
            wait_until(lambda: registry(scene.watcher).busy_workers == 0)
            launched.open()
        handle = launching.result()
        assert result_failure(visitor, handle) == Failure(
            "42501",
            f'permission denied for database "{database}"',
            "User does not have CONNECT privilege.",
        )
    settled(scene)
    scene.assert_nothing_is_left()


def test_drain_does_not_wait_for_a_launch_that_was_given_up(scene: Scene) -> None:
    with scene.calls() as call, scene.point("worker_before_checkin") as point:
        launching = call(launch, scene.launcher, JOB)
        point.reached()
        draining = call(query, scene.waiter, "SELECT running FROM pg_background_drain_server(3600000)")
        try:
            wait_until_in_extension(scene.watcher, scene.waiter)
            scene.launcher.cancel()
            assert launching.failure().sqlstate == "57014"
            assert draining.result() == [(0,)]
        finally:
            query(scene.watcher, "SELECT pg_background_resume_server()")
    settled(scene)
    assert scene.ran() == 0
    scene.assert_nothing_is_left()


def test_the_worker_ends_before_it_is_woken(scene: Scene) -> None:
    """The job has another one then."""
    make_warm(scene)
    with scene.point("launch_before_wake") as point, scene.calls() as call:
        launching = call(launch, scene.launcher, JOB)
        point.reached()
        query(scene.watcher, END_WORKERS)
        point.open()
        launching.result()
    settled(scene)
    assert scene.ran() == 1
    scene.assert_nothing_is_left()


def test_a_launch_waits_for_the_process_that_was_started_ahead(
    fresh_server: FreshServer, installation: Installation
) -> None:
    """However long it takes to come: it has the last place, and no other is to be had."""
    server = fresh_server(
        {"pg_background.max_total_workers": 4},
        extension=build(installation, options={"debug_points": "true"}),
    )
    scene = Scene(server, server.connect)
    last = scene.connect()

    def coming() -> int:
        return server.log.since(0).count("at debug point worker_before_checkin")

    with scene.point("worker_before_checkin") as point, scene.calls() as call:
        # The first asks for one ahead, beside its own.
        launching = [call(launch, scene.launcher, "SELECT 1")]
        wait_until(lambda: coming() == 2, what="a process of its own and one ahead")
        launching += [call(launch, session, "SELECT 1") for session in (scene.waiter, scene.reader)]
        wait_until(lambda: coming() == 4, what="as many as there are places")
        launching.append(call(launch, last, "SELECT 1"))
        wait_until_in_extension(scene.watcher, last)
        # Longer than it waits for what may not come.
        time.sleep(1.5)
        wait_until_in_extension(scene.watcher, last)
        point.open()
        handles = [launched.result() for launched in launching]
    assert [result(scene.watcher, handle, "a int") for handle in handles] == [[(1,)]] * 4
    for session in (scene.watcher, scene.launcher, scene.waiter, scene.reader, last):
        session.close()
