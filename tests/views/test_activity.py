"""The view pg_background_activity: this session's jobs, with what their processes do."""

from __future__ import annotations

from typing import Any

from ..support.calls import query, sqlstate
from ..support.fix_db import Connect, Connection, MakeRole
from ..support.jobs import (
    FOREVER,
    Handle,
    closed_gate,
    detach,
    launch,
    start,
    submit,
    wait,
    wait_until_asleep,
)
from ..support.server import Server
from ..support.workers import only_worker, wait_until_idle

BACKEND = [
    "backend_state",
    "wait_event_type",
    "wait_event",
    "xact_start",
    "query_start",
    "backend_start",
    "query",
]


def activity(conn: Connection, handle: Handle) -> dict[str, Any]:
    """Return the job's row by column."""
    cursor = conn.execute("SELECT * FROM pg_background_activity WHERE cookie = %s", [handle.cookie])
    (row,) = cursor.fetchall()
    assert cursor.description is not None
    return {column.name: found for column, found in zip(cursor.description, row, strict=True)}


def backend(conn: Connection, handle: Handle) -> set[Any]:
    """Return what is shown of the job's process."""
    row = activity(conn, handle)
    return {row[name] for name in BACKEND}


def test_a_running_job(conn: Connection, connect: Connect) -> None:
    with closed_gate(connect()) as gate:
        handle = launch(conn, gate.sql, label="mine")
        wait_until_asleep(conn, handle.pid, "advisory")
        row = activity(conn, handle)
        assert row["pgbg_state"] == "running"
        assert row["label"] == "mine"
        assert row["sql_preview"] == gate.sql
        shown = query(
            conn,
            "SELECT state, wait_event_type, wait_event, xact_start, query_start, backend_start, query"
            " FROM pg_stat_activity WHERE pid = %s",
            handle.pid,
        )
        assert [tuple(row[name] for name in BACKEND)] == shown
        assert row["backend_state"] == "active"
        assert (row["wait_event_type"], row["wait_event"]) == ("Lock", "advisory")


def test_after_the_end_its_worker_is_not_shown(conn: Connection, server: Server) -> None:
    """Neither while it is idle nor while it runs another job, which is the session's too."""
    with only_worker(server):
        done = launch(conn, "SELECT 1")
        assert wait(conn, done)
        assert backend(conn, done) == {None}
        wait_until_idle(conn, done.pid)
        assert backend(conn, done) == {None}
        running = launch(conn, FOREVER)
        assert running.pid == done.pid
        wait_until_asleep(conn, running.pid)
        assert backend(conn, done) == {None}
        assert activity(conn, running)["query"] == FOREVER
        query(conn, "SELECT pg_background_cancel_all()")


def test_in_a_transaction_that_has_looked_before(conn: Connection) -> None:
    """The server shows a transaction the same activity again: one older than the job is none of it."""
    handle = launch(conn, "SELECT 1")
    assert wait(conn, handle)
    wait_until_idle(conn, handle.pid)
    conn.execute("BEGIN")
    query(conn, "SELECT * FROM pg_stat_activity")
    running = launch(conn, FOREVER)
    assert running.pid == handle.pid
    assert activity(conn, running)["query"] in (None, FOREVER)
    conn.execute("COMMIT")
    wait_until_asleep(conn, running.pid)
    assert activity(conn, running)["query"] == FOREVER
    query(conn, "SELECT pg_background_cancel_all()")


def test_a_job_that_was_queued(conn: Connection, server: Server, connect: Connect) -> None:
    """Its handle has no pid of a process, but it runs in one."""
    with only_worker(server), closed_gate(connect()) as gate:
        first = launch(conn, FOREVER)
        queued = start(conn, gate.sql, on_full="queue")
        assert queued.pid < 0
        row = activity(conn, queued)
        assert row["pgbg_state"] == "queued"
        assert {row[name] for name in BACKEND} == {None}
        wait_until_asleep(conn, first.pid)
        query(conn, "SELECT pg_background_cancel(%s, %s)", *first)
        wait_until_asleep(conn, first.pid, "advisory")
        assert activity(conn, queued)["query"] == gate.sql


def test_which_jobs(conn: Connection, connect: Connect) -> None:
    """Those of pg_background_list, in every state."""
    others = launch(connect(), "SELECT 1")
    jobs = [launch(conn, "SELECT 1"), submit(conn, "SELECT 2"), launch(conn, "SELECT 1 / 0")]
    for job in jobs:
        assert wait(conn, job)
    assert query(conn, "SELECT * FROM pg_background_activity WHERE cookie = %s", others.cookie) == []
    columns = "pid, cookie, launched_at, user_id, queue_size, {} , sql_preview, last_error, consumed, label"
    listed = query(conn, f"SELECT {columns.format('state')} FROM pg_background_list ORDER BY 3")
    shown = query(conn, f"SELECT {columns.format('pgbg_state')} FROM pg_background_activity ORDER BY 3")
    assert listed == shown
    assert len(shown) == 3
    for job in jobs:
        detach(conn, job)
    assert query(conn, "SELECT * FROM pg_background_activity") == []


def test_rights(connect: Connect, make_role: MakeRole) -> None:
    assert sqlstate(connect(user=make_role()), "SELECT * FROM pg_background_activity") == "42501"
    member = connect(user=make_role(member_of=("pgbackground_role",)))
    handle = launch(member, FOREVER)
    wait_until_asleep(member, handle.pid)
    assert activity(member, handle)["query"] == FOREVER
    query(member, "SELECT pg_background_cancel_all()")


def test_worker_pid(conn: Connection, connect: Connect, make_role: MakeRole) -> None:
    """Of a job that somebody may not look at, as of none, there is no process."""
    call = "SELECT pg_background_worker_pid(%s, %s)"
    handle = launch(conn, FOREVER)
    wait_until_asleep(conn, handle.pid)
    assert query(conn, call, *handle) == [(handle.pid,)]
    stranger = connect(user=make_role(member_of=("pgbackground_role",)))
    assert query(stranger, call, *handle) == [(None,)]
    assert query(conn, call, handle.pid, handle.cookie ^ 1) == [(None,)]
    query(conn, "SELECT pg_background_cancel_all()")
    assert wait(conn, handle)
    assert query(conn, call, *handle) == [(None,)]
