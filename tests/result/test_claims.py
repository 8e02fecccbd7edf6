"""Who has found a job keeps its entry, whatever becomes of its launch: the next job gets another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Event
from typing import Any

import psycopg
import pytest
from psycopg import errors as e

from ..support.calls import Call, at_the_same_time, query, value, wait_until_in_extension
from ..support.fix_db import Connect, MakeRole
from ..support.fix_server import FreshServer
from ..support.jobs import FOREVER, Connection, Handle, cancel, detach, launch, result, run, start, wait
from ..support.outcomes import HANDLES, handles
from ..support.points import Scene
from ..support.registry import wait_until_quiet
from ..support.waiting import DEADLINE, wait_until

READERS = {
    "result": "SELECT * FROM pg_background_result(%s, %s) AS (value text)",
    "result_json": "SELECT * FROM pg_background_result_json(%s, %s)",
    "describe": "SELECT * FROM pg_background_describe(%s, %s)",
}

GIVEN_UP = ("57014", "background job was given up by its launch")


@pytest.fixture
def role(make_role: MakeRole) -> str:
    """One that launches jobs."""
    return make_role(member_of=("pgbackground_role",))


@pytest.fixture
def launcher(connect: Connect, role: str) -> Connection:
    """A session that runs as many jobs as it may."""
    session = connect(user=role, options="-c pg_background.max_workers=1")
    launch(session, FOREVER)
    return session


@pytest.fixture
def reader(connect: Connect, role: str) -> Connection:
    """Another session of the same role."""
    return connect(user=role)


@pytest.fixture
def stranger(connect: Connect, make_role: MakeRole) -> Connection:
    """A session of another role, that has a worker already."""
    session = connect(user=make_role(member_of=("pgbackground_role",)))
    run(session, "SELECT 'warm'")
    return session


def found(conn: Connection, state: str = "queued") -> Handle:
    """The one job in this state, as soon as there is one."""
    rows = wait_until(
        lambda: query(
            conn,
            "SELECT pid, cookie FROM pg_background_jobs "
            "WHERE state = %s AND database = current_database() AND cookie IS NOT NULL",
            state,
        ),
        what=f"a job in state {state}",
    )
    return Handle(*rows[0])


def give_up(launcher: Connection, watcher: Connection, what: str) -> None:
    """End the statement that waits for a worker, or its session."""
    if what == "cancel":
        launcher.cancel()
    else:
        watcher.execute("SELECT pg_terminate_backend(%s)", [launcher.info.backend_pid])


@pytest.fixture
def given_up(
    conn: Connection, launcher: Connection, reader: Connection
) -> Iterator[Callable[[str, str, Callable[[Handle], tuple[Any, ...]]], Call]]:
    """Has `reader` make a call with the handle of a job whose launch is given up then."""
    with at_the_same_time(launcher, reader) as call:

        def make(what: str, sql: str, parameters: Callable[[Handle], tuple[Any, ...]]) -> Call:
            waiting = call(lambda: start(launcher, "SELECT 'mine'", on_full="wait"))
            handle = found(reader)
            reading = call(query, reader, sql, *parameters(handle))
            wait_until_in_extension(conn, reader)
            give_up(launcher, conn, what)
            assert waiting.failure().sqlstate == {"cancel": "57014", "terminate": "57P01"}[what]
            return reading

        yield make


@pytest.mark.parametrize("what", ["cancel", "terminate"])
@pytest.mark.parametrize("way", READERS)
def test_a_reader_of_a_job_that_is_given_up(
    conn: Connection, stranger: Connection, reader: Connection, given_up: Any, way: str, what: str
) -> None:
    reading = given_up(what, READERS[way], lambda handle: handle)
    theirs = [launch(stranger, f"SELECT 'secret ' || {n}") for n in range(3)]
    if way == "describe":
        assert reading.result() == []
    else:
        assert reading.failure()[:2] == GIVEN_UP
    for n, handle in enumerate(theirs):
        assert result(stranger, handle) == [(f"secret {n}",)]
    # Nothing of it is left to be found.
    query(conn, "SELECT pg_background_cancel(pid, cookie) FROM pg_background_jobs WHERE state = 'running'")
    wait_until(lambda: not query(conn, "SELECT FROM pg_background_jobs WHERE state IN ('queued', 'running')"))


@pytest.mark.parametrize("what", ["cancel", "terminate"])
@pytest.mark.parametrize("way", ["wait", "wait_any", "drain"])
def test_those_who_wait_for_a_job_that_is_given_up(
    stranger: Connection, given_up: Any, way: str, what: str
) -> None:
    """It never was there: to wait for it is over, and the lists of those who wait know no more of it."""
    if way == "wait":
        waiting = given_up(what, "SELECT pg_background_wait(%s, %s)", lambda handle: handle)
        assert waiting.result() == [(True,)]
    else:
        call = f"SELECT (h).pid FROM pg_background_{way}({HANDLES}) AS h"
        waiting = given_up(what, call, lambda handle: (handles(handle),))
        ((pid,),) = waiting.result()
        assert pid < 0
    for _ in range(3):
        assert run(stranger, "SELECT 'next'") == [("next",)]


def test_a_launch_that_nobody_has_found_was_never_there(launcher: Connection, conn: Connection) -> None:
    """Its entry is free again, and no count knows of it."""
    before = query(launcher, "SELECT workers_launched, workers_canceled FROM pg_background_stats()")
    entries = value(conn, "SELECT entries FROM pg_background_registry()")
    for _ in range(3):
        with pytest.raises(e.ConfigurationLimitExceeded):
            start(launcher, "SELECT 1", on_full="wait", timeout_ms=1)
    assert query(launcher, "SELECT workers_launched, workers_canceled FROM pg_background_stats()") == before
    assert value(conn, "SELECT entries FROM pg_background_registry()") == entries


def test_a_reader_finds_the_job_before_its_process(scene: Scene) -> None:
    """Its handle has no pid yet, and is no less the launch's to give up."""
    with scene.calls() as call, scene.point("launch_before_register") as point:
        launching = call(launch, scene.launcher, "SELECT 'mine'")
        point.reached()
        handle = found(scene.reader, "starting")
        assert handle.pid == 0
        reading = call(query, scene.reader, READERS["result"], *handle)
        wait_until_in_extension(scene.watcher, scene.reader)
        scene.launcher.cancel()
        point.open()
        assert launching.failure().sqlstate == "57014"
        assert reading.failure()[:2] == GIVEN_UP
    assert run(scene.waiter, "SELECT 'next'") == [("next",)]
    scene.assert_nothing_is_left()


@pytest.mark.parametrize("way", ["result", "describe"])
def test_race(fresh_server: FreshServer, way: str) -> None:
    """Launches that are given up at any moment, readers of whatever is queued, and others' jobs meanwhile."""
    server = fresh_server({"pg_background.max_jobs": 16})
    for user in ("alice", "bob"):
        server.execute(f"CREATE ROLE {user} LOGIN; GRANT pgbackground_role TO {user}")
    with (
        server.connect() as watcher,
        server.connect(user="alice") as launcher,
        server.connect(user="alice") as reader,
        server.connect(user="bob") as stranger,
        at_the_same_time(launcher, reader, stranger) as call,
    ):
        launcher.execute("SET pg_background.max_workers = 1")
        busy = launch(launcher, FOREVER)
        readings = Readings()
        reading = call(readings.go_on, reader, READERS[way])
        running = call(run_many, stranger, readings)

        def enough() -> bool:
            with pytest.raises(e.ConfigurationLimitExceeded):
                start(launcher, "SELECT 'mine'", on_full="wait", timeout_ms=2)
            return readings.count >= 100

        try:
            wait_until(enough, deadline=5 * DEADLINE, what="readings of jobs that are given up")
        finally:
            readings.enough.set()
        reading.result()
        running.result()
        assert readings.errors == ({"57014"} if way == "result" else set())
        cancel(launcher, busy)
        assert wait(launcher, busy)
        detach(launcher, busy)
        wait_until_quiet(watcher, area_bytes=0)


class Readings:
    """Of whatever is queued, until there are enough."""

    def __init__(self) -> None:
        self.enough = Event()
        self.count = 0
        self.errors: set[str | None] = set()

    def go_on(self, reader: Connection, sql: str) -> None:
        """Read, and count those that have found a job before its launch was over."""
        while not self.enough.is_set():
            for job in query(reader, "SELECT pid, cookie FROM pg_background_jobs WHERE state = 'queued'"):
                try:
                    assert query(reader, sql, *job) == []
                except (e.UndefinedObject, e.ObjectNotInPrerequisiteState):
                    continue
                except psycopg.Error as error:
                    self.errors.add(error.sqlstate)
                self.count += 1


def run_many(conn: Connection, readings: Readings) -> None:
    """Run jobs whose rows are nobody else's."""
    n = 0
    while not readings.enough.is_set():
        n += 1
        assert run(conn, f"SELECT 'secret {n}'") == [(f"secret {n}",)]
