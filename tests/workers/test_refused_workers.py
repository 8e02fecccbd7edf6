"""A worker that cannot connect: the job that it was to run ends with the reason, whatever is logged of it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest
from psycopg import sql

from ..support.calls import Failure, query, result_failure
from ..support.fix_db import Connect, Connection
from ..support.jobs import (
    FOREVER,
    Handle,
    cancel,
    detach,
    has_ended,
    launch,
    run,
    start,
    state,
    wait,
    wait_for_state,
    wait_until_gone,
)
from ..support.outcomes import outcome
from ..support.points import FATAL, PAUSE, Point, Scene
from ..support.registry import registry
from ..support.server import Server
from ..support.waiting import wait_until


@pytest.fixture(params=["fatal", "panic"])
def level(request: pytest.FixtureRequest, server: Server) -> Iterator[str]:
    """The server logs why processes end, or not even that."""
    with server.alter_system({"log_min_messages": request.param}):
        yield request.param


def allow_connections(server: Server, database: str, allowed: bool) -> None:
    """The sessions that there are stay."""
    server.execute(f'ALTER DATABASE "{database}" ALLOW_CONNECTIONS {allowed}')


def not_accepting(database: str) -> Failure:
    """The server's own words."""
    return Failure("55000", f'database "{database}" is not currently accepting connections')


def test_database_that_accepts_no_connections(server: Server, level: str, connect: Connect, db: str) -> None:
    """The job of a launch that needs a process; one that finds an idle worker runs."""
    with server.alter_system({"pg_background.worker_idle_timeout": 0}):
        session = connect()
        allow_connections(server, db, False)
        for _ in range(3):
            job = launch(session, "SELECT 1")
            assert wait(session, job)
            assert state(session, job) == "error"
            assert result_failure(session, job, "a int")[:2] == not_accepting(db)[:2]
        allow_connections(server, db, True)
        assert run(session, "SELECT 'again'") == [("again",)]


def test_queued_job_of_a_database_that_is_gone(
    server: Server, level: str, make_db: Callable[[str], str], connect: Connect
) -> None:
    """It fails as soon as its turn comes; nobody who is there has launched it."""
    database = make_db("goes")
    watcher = connect("postgres")
    with server.alter_system({"pg_background.max_total_workers": 1}):
        busy = connect()
        first = launch(busy, FOREVER)
        with connect(database) as session:
            queued = start(session, "SELECT 1", on_full="queue")
            backend = session.info.backend_pid
        wait_until_gone(watcher, backend)
        watcher.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(database)))
        cancel(busy, first)
        wait_until(lambda: outcome(watcher, queued).state == "error", what="the end of the queued job")
        assert outcome(watcher, queued).sqlstate == "3D000"
        detach(watcher, queued)


@pytest.mark.pg(">= 17")
def test_a_transaction_timeout_ends_the_job(level: str, conn: Connection) -> None:
    # Long enough for the launch, whose own transaction it limits too.
    query(conn, "SET transaction_timeout = '1s'")
    job = launch(conn, FOREVER)
    query(conn, "SET transaction_timeout = 0")
    assert wait(conn, job)
    assert state(conn, job) == "error"
    assert result_failure(conn, job)[:2] == ("25P04", "terminating connection due to transaction timeout")


def test_refused_before_its_launch_looks(scene: Scene) -> None:
    """The process has come and gone while the launch is held: its job has ended with the reason."""
    database = scene.launcher.info.dbname
    with scene.calls() as call, scene.point("launch_before_checkin") as point:
        with scene.point("worker_before_connect") as connecting:
            launching = call(launch, scene.launcher, "SELECT 1")
            point.reached()
            pid = connecting.reached()
            allow_connections(scene.server, database, False)
        wait_until(lambda: registry(scene.watcher).busy_workers == 0)
        point.open()
        job = launching.result()
    allow_connections(scene.server, database, True)
    assert job.pid == pid
    assert result_failure(scene.launcher, job, "a int")[:2] == not_accepting(database)[:2]
    stats = "SELECT workers_launched, workers_failed, workers_active FROM pg_background_stats()"
    assert query(scene.launcher, stats) == [(1, 1, 0)]
    scene.assert_nothing_is_left()


PAUSED = "keeper_before_pause"


def queue_for_the_keeper(scene: Scene) -> tuple[Handle, Handle]:
    """A job that runs, and one behind it that gets a process by the keeper if that of the first ends."""
    query(scene.launcher, "SET pg_background.max_workers = 1")
    busy = launch(scene.launcher, FOREVER)
    wait_for_state(scene.launcher, busy, "running")
    return busy, start(scene.launcher, "SELECT 1", on_full="queue")


def end_process(scene: Scene, pid: int) -> None:
    query(scene.watcher, "SELECT pg_terminate_backend(%s)", pid)
    wait_until_gone(scene.watcher, pid)


def test_a_worker_that_came_and_left_is_no_failed_start(scene: Scene) -> None:
    """The keeper has not looked in between, and starts the next process at once."""
    busy, first = queue_for_the_keeper(scene)
    with scene.point("worker_before_checkin") as starting:
        end_process(scene, busy.pid)
        worker = starting.reached()
        look = Point(scene.server, "keeper_before_look", PAUSE)
        look.reached()
    with scene.point(PAUSED):
        mark = scene.server.log.mark()
        assert wait(scene.waiter, first)
        end_process(scene, worker)
        wait_until(lambda: registry(scene.watcher).idle_workers == 0)
        look.open()
        # It has looked before it serves the next.
        busy, second = queue_for_the_keeper(scene)
        end_process(scene, busy.pid)
        wait_until(lambda: has_ended(scene.waiter, second), what="the end of the second job")
        assert PAUSED not in scene.server.log.since(mark)
    scene.assert_nothing_is_left()


def test_a_process_that_never_came_is_a_failed_start(scene: Scene) -> None:
    busy, queued = queue_for_the_keeper(scene)
    with scene.point(PAUSED) as paused, scene.point("worker_before_checkin", FATAL):
        end_process(scene, busy.pid)
        paused.reached()
    assert wait(scene.waiter, queued)
    scene.assert_nothing_is_left()


def test_between_failed_starts_there_is_a_pause(scene: Scene) -> None:
    """Of a second, in which other jobs get their workers."""
    busy, queued = queue_for_the_keeper(scene)
    mark = scene.server.log.mark()

    def failed() -> int:
        return scene.server.log.since(mark).count("at debug point worker_before_checkin: fatal")

    with scene.point("worker_before_checkin", FATAL):
        end_process(scene, busy.pid)
        wait_until(failed)
        began = time.monotonic()
        wait_until(lambda: failed() >= 3, what="two more failed starts")
        assert time.monotonic() - began > 1.8
    assert wait(scene.waiter, queued)
    scene.assert_nothing_is_left()


def test_a_process_that_is_ended_before_it_connects_is_a_failed_start_too(scene: Scene) -> None:
    busy, queued = queue_for_the_keeper(scene)
    with scene.point("worker_before_connect") as connecting:
        end_process(scene, busy.pid)
        worker = connecting.reached()
        with scene.point("worker_before_checkin") as coming:
            os.kill(worker, signal.SIGTERM)
            began = time.monotonic()
            connecting.open()
            coming.reached()
            assert time.monotonic() - began > 0.9
    assert wait(scene.waiter, queued)
    scene.assert_nothing_is_left()
