"""The history: which jobs are in it, what is in a row, and how old rows go."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from ..support.calls import query, sqlstate, value
from ..support.fix_db import Connect, Connection
from ..support.fix_server import FreshServer
from ..support.histories import labels, row, writers
from ..support.jobs import (
    FOREVER,
    cancel,
    launch,
    result,
    run,
    start,
    submit,
    wait,
    wait_until_asleep,
)
from ..support.processes import does_not_wake
from ..support.server import Server
from ..support.waiting import wait_until, wait_until_equal

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def keeper(conn: Connection) -> Connection:
    """A session whose jobs go into the history."""
    conn.execute("SET pg_background.history = on")
    return conn


def test_a_job_that_has_succeeded(keeper: Connection, db: str) -> None:
    keeper.execute("SELECT set_config('pg_background.traceparent', %s, false)", [TRACE])
    handle = launch(keeper, "SELECT generate_series(1, 3)", label="three")
    assert wait(keeper, handle)
    jobs = "SELECT queued_at, started_at, finished_at FROM pg_background_jobs WHERE label = 'three'"
    (times,) = query(keeper, jobs)
    (amounts,) = query(keeper, "SELECT * FROM pg_background_resources WHERE label = 'three'")
    found = row(keeper, "three")
    assert (found["queued_at"], found["started_at"], found["finished_at"]) == times
    expected = {
        "database": db,
        "role": "postgres",
        "state": "stopped",
        "row_count": 3,
        "command_tag": "SELECT",
        "sqlstate": None,
        "error_message": None,
        "sql_preview": "SELECT generate_series(1, 3)",
        "traceparent": TRACE,
    }
    assert {name: found[name] for name in expected} == expected
    assert tuple(found.values())[14:27] == amounts[6:]
    assert result(keeper, handle, "n int") == [(1,), (2,), (3,)]


def test_all_ways_to_end(keeper: Connection) -> None:
    keeper.execute("SET pg_background.max_workers = 1")
    failed = start(keeper, "SELECT 1 / 0", label="failed")
    assert wait(keeper, failed)
    runs = start(keeper, FOREVER, on_full="queue", label="canceled")
    queued = start(keeper, "SELECT 1", on_full="queue", label="never ran")
    cancel(keeper, queued)
    cancel(keeper, runs)
    assert wait(keeper, runs)
    keeper.execute("SET pg_background.worker_timeout = 50")
    late = start(keeper, FOREVER, label="timed out")
    assert wait(keeper, late)
    assert submit(keeper, "SELECT 1", label="submitted")
    found = {
        label: (found["state"], found["sqlstate"], found["error_message"], found["started_at"] is None)
        for label in ("failed", "canceled", "never ran", "timed out", "submitted")
        for found in [row(keeper, label)]
    }
    assert found == {
        "failed": ("error", "22012", "division by zero", False),
        "canceled": ("canceled", "57014", "canceling statement due to user request", False),
        "never ran": ("canceled", "57014", found["never ran"][2], True),
        "timed out": (
            "timed_out",
            "57014",
            "canceling background job due to pg_background.worker_timeout",
            False,
        ),
        "submitted": ("stopped", None, None, False),
    }


@pytest.mark.crashes
def test_a_lost_job(keeper: Connection) -> None:
    handle = launch(keeper, FOREVER, label="lost")
    wait_until_asleep(keeper, handle.pid)
    keeper.execute("SELECT pg_terminate_backend(%s)", [handle.pid])
    found = row(keeper, "lost")
    assert (found["state"], found["sqlstate"]) == ("lost", "08006")


def test_what_it_waited_for(keeper: Connection) -> None:
    handle = launch(keeper, FOREVER, label="waits")
    waits = "SELECT max(samples) FROM pg_background_waits WHERE wait_event = 'PgSleep' AND cookie = %s"
    wait_until(lambda: (value(keeper, waits, handle.cookie) or 0) >= 2)
    cancel(keeper, handle)
    assert row(keeper, "waits")["waits"]["Timeout:PgSleep"] >= 2


def test_off_unless_it_is_asked_for(conn: Connection, connect: Connect) -> None:
    off = launch(conn, "SELECT 1", label="off")
    assert wait(conn, off)
    conn.execute("SET pg_background.history = on")
    on = launch(conn, "SELECT set_config('pg_background.history', 'off', false)", label="on")
    assert wait(conn, on)
    row(conn, "on")
    assert labels(conn) == ["on"]


def test_of_a_role_or_database(conn: Connection, connect: Connect, db: str) -> None:
    conn.execute(f"ALTER DATABASE {db} SET pg_background.history = on".encode())
    session = connect()
    assert run(session, "SELECT 1", "n int") == [(1,)]
    wait_until(lambda: labels(conn) == [None])


def test_many_at_once(keeper: Connection) -> None:
    for number in range(200):
        start(keeper, "SELECT 1", on_full="wait", discard_result=True, label=f"number {number}")
    wait_until_equal(lambda: len(labels(keeper)), 200)
    assert len(set(labels(keeper))) == 200


def test_in_the_order_of_their_ends(keeper: Connection) -> None:
    for number in range(5):
        assert wait(keeper, launch(keeper, "SELECT 1", label=str(number)))
    wait_until_equal(lambda: labels(keeper), ["0", "1", "2", "3", "4"])


def test_several_databases(make_db: Callable[[str], str], connect: Connect) -> None:
    """One process serves them in turn."""
    sessions = [connect(make_db(name)) for name in ("one", "two", "three")]
    for session in sessions:
        session.execute("SET pg_background.history = on")
    for _ in range(3):
        for session in sessions:
            assert wait(session, launch(session, "SELECT 1", label="here"))
    for session in sessions:
        wait_until_equal(partial(labels, session), ["here"] * 3)


def is_at_rest(conn: Connection) -> bool:
    """Whether there is one process that writes, and it sleeps; one that leaves for another is none."""
    try:
        ((writer,),) = writers(conn)
        return does_not_wake(writer)
    except (ValueError, FileNotFoundError):
        return False


def test_another_database_need_not_wait(fresh_server: FreshServer) -> None:
    """The process that has nothing more to do in one leaves for another."""
    server = fresh_server({"pg_background.worker_idle_timeout": "1h", "pg_background.history": "on"})
    server.execute("CREATE EXTENSION IF NOT EXISTS pg_background")
    server.execute("CREATE DATABASE other")
    server.execute("CREATE EXTENSION pg_background", "other")
    with server.connect() as session, server.connect("other") as other:
        for conn, count in ((session, 1), (other, 1), (session, 2)):
            assert wait(conn, launch(conn, "SELECT 1", label="one of them"))
            wait_until_equal(partial(labels, conn), ["one of them"] * count)
            wait_until(partial(is_at_rest, conn))


def test_old_rows_go(keeper: Connection, connect: Connect, db: str) -> None:
    keeper.execute(
        "INSERT INTO pg_background_history_rows (role_oid, label, state, finished_at)"
        " SELECT 10, 'old', 'stopped', now() - interval '8 days' FROM generate_series(1, 2500)"
        " UNION ALL SELECT 10, 'younger', 'stopped', now() - interval '6 days'"
    )
    assert wait(keeper, launch(keeper, "SELECT 1", label="new"))
    wait_until_equal(lambda: labels(keeper), ["younger", "new"])


def test_for_ever(keeper: Connection, db: str) -> None:
    keeper.execute(f"ALTER DATABASE {db} SET pg_background.history_retention = -1".encode())
    keeper.execute(
        "INSERT INTO pg_background_history_rows (role_oid, label, state, finished_at)"
        " SELECT 10, 'old', 'stopped', now() - interval '8000 days'"
    )
    assert wait(keeper, launch(keeper, "SELECT 1", label="new"))
    row(keeper, "new")
    wait_until(lambda: not writers(keeper))
    assert labels(keeper) == ["old", "new"]


def test_a_database_can_be_dropped_meanwhile(server: Server, keeper: Connection, make_db: Any) -> None:
    name = make_db("doomed")
    with server.connect(name) as session:
        session.execute("SET pg_background.history = on")
        assert wait(session, launch(session, "SELECT 1", label="doomed"))
        row(session, "doomed")
        assert writers(keeper)
    keeper.execute(f"DROP DATABASE {name}".encode())
    assert wait(keeper, launch(keeper, "SELECT 1", label="after it"))
    row(keeper, "after it")


def test_settings_that_are_for_superusers(connect: Connect, make_role: Any) -> None:
    session = connect(user=make_role(member_of=("pgbackground_role",)))
    assert sqlstate(session, "SET pg_background.history = on") == "42501"
    assert sqlstate(session, "SET pg_background.history_retention = 0") == "42501"
