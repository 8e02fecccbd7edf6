"""A process is killed at each step: after PostgreSQL's restart nothing is left of the time before."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import psycopg
import pytest

from ..support.calls import Caller, query, wait_until_in_extension
from ..support.jobs import Connection, launch, result, run, wait
from ..support.points import KILL, Outcome, Scene, outcome, temporary_files
from ..support.registry import registry, wait_until_quiet

JOB = "INSERT INTO ran VALUES (1); SELECT 'value'"
MEGABYTE = "INSERT INTO ran VALUES (1); SELECT repeat('x', 1000) FROM generate_series(1, 1000)"

#: What a job has done by then, where it comes to the point.
POINTS = {
    "launch_before_accept": 0,
    "launch_before_register": 0,
    "launch_before_checkin": 0,
    "launch_before_return": None,
    "worker_before_checkin": 0,
    "worker_before_connect": 0,
    "worker_before_job": 0,
    "job_before_statements": 0,
    "job_before_commit": 0,
    "job_after_commit": 1,
    "job_before_finish": 1,
    "worker_before_reset": 1,
    "worker_after_reset": 1,
    "spill_before_create": 0,
    "reader_before_columns": None,
    "reader_before_taking": None,
    "mover_before_write": None,
}


def lose(conn: Connection, function: Any, *arguments: Any) -> bool:
    """Call something; True when the connection was lost over it, as it must be."""
    with suppress(psycopg.Error):
        function(conn, *arguments)
    with suppress(psycopg.OperationalError):
        conn.execute("SELECT 1")
    return bool(conn.closed)


def go_there(scene: Scene, name: str, call: Caller) -> None:
    """Bring a process to the point; where there is a job to wait for, sessions wait for it and read it."""
    if name.startswith("reader"):
        handle = launch(scene.launcher, JOB)
        assert wait(scene.launcher, handle)
        call(lose, scene.reader, result, handle)
    elif name.startswith("mover"):
        for _ in range(3):
            assert wait(scene.waiter, launch(scene.waiter, JOB, queue_size=1 << 20))
        call(lose, scene.launcher, launch, JOB)
        call(lose, scene.reader, launch_big_ones)
    elif name.startswith("spill"):
        call(lose, scene.launcher, launch, MEGABYTE)
    elif name.startswith("launch") or name in ("worker_before_checkin", "worker_before_connect"):
        call(lose, scene.launcher, launch, JOB)
    else:
        with scene.point("worker_before_connect") as start:
            handle = launch(scene.launcher, JOB)
            start.reached()
            call(lose, scene.waiter, wait, handle)
            call(lose, scene.reader, result, handle)
            for session in (scene.waiter, scene.reader):
                wait_until_in_extension(scene.watcher, session)


def launch_big_ones(conn: Connection) -> None:
    for _ in range(2):
        launch(conn, JOB, queue_size=1 << 20)


@pytest.mark.crashes
@pytest.mark.parametrize("name", POINTS)
def test_at_each_point(scene: Scene, name: str) -> None:
    server = scene.server
    spilled = launch(scene.waiter, "SELECT repeat('x', 1000) FROM generate_series(1, 1000)")
    assert wait(scene.waiter, spilled)
    assert temporary_files(scene.watcher) == 1
    query(scene.watcher, "SELECT pg_terminate_backend(%s, 20000)", spilled.pid)
    mark = server.log.mark()
    with scene.point(name, KILL) as point, scene.calls() as call:
        go_there(scene, name, call)
        pid = point.reached()
        point.open()
        server.log.wait_for("all server processes terminated; reinitializing", mark)
    assert any(f"(PID {pid}) was terminated by signal 9" in line for line in server.log.crashes(mark))
    server.wait_ready()
    again = scene.connect()
    wait_until_quiet(again, area_bytes=0)
    assert registry(again)[:3] == (0, 0, 0)
    assert temporary_files(again) == 0
    assert outcome(again, spilled) == Outcome("unknown")
    if POINTS[name] is not None:
        assert query(again, "SELECT count(*) FROM ran") == [(POINTS[name],)]
    handles = [launch(again, f"SELECT '{n}'") for n in range(2)]
    assert [result(again, handle) for handle in handles] == [[("0",)], [("1",)]]
    assert run(again, JOB) == [("value",)]


@pytest.mark.crashes
def test_waiters_and_readers_lose_their_connection(scene: Scene) -> None:
    """They are told, not left waiting for a job that nobody runs any more."""
    mark = scene.server.log.mark()
    with scene.point("job_before_commit", KILL) as point, scene.calls() as call:
        with scene.point("worker_before_connect") as start:
            handle = launch(scene.launcher, JOB)
            start.reached()
            lost = [call(lose, scene.waiter, wait, handle), call(lose, scene.reader, result, handle)]
            for session in (scene.waiter, scene.reader):
                wait_until_in_extension(scene.watcher, session)
        point.reached()
        point.open()
        assert all(one.result() for one in lost)
    scene.server.log.wait_for("all server processes terminated; reinitializing", mark)
    scene.server.wait_ready()
