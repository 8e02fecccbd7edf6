"""Queued jobs in the search for deadlocks: they wait for those that have the workers."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from ..support.calls import (
    Failure,
    at_the_same_time,
    failure,
    query,
    wait_until_blocked,
    wait_until_in_extension,
)
from ..support.fix_db import Connect, Connection, MakeRole
from ..support.jobs import Handle, closed_gate, launch, result, start, wait
from ..support.server import Server
from ..support.waiting import wait_until_sql
from ..support.workers import only_worker
from .test_deadlock_chains import lock, session, take, unlock

__all__ = ["session"]

WAYS = {
    "wait": "SELECT pg_background_wait({pid}, {cookie})",
    "result": "SELECT * FROM pg_background_result({pid}, {cookie}) AS (a int)",
    "wait_any": "SELECT pg_background_wait_any(ARRAY[({pid}, {cookie})::pg_background_handle])",
    "start": "SELECT pg_background_start('SELECT 1', on_full => 'wait')",
}


def queue(session: Connection, sql: str) -> Handle:
    """Start a job that waits for a worker if need be."""
    return start(session, sql, on_full="queue")


def deadlock(session: Connection) -> Failure:
    mine = session.info.backend_pid
    return Failure(
        "40P01",
        "deadlock detected",
        f"Process {mine} waits for a queued background job; all that could run it wait for process {mine}.",
        "Commit before waiting for the job, or cancel it.",
    )


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("limit", ["server", "session"])
def test_the_only_worker_waits_for_me(session: Connection, server: Server, name: str, limit: str) -> None:
    with only_worker(server) if limit == "server" else nullcontext():
        if limit == "session":
            query(session, "SET pg_background.max_workers = 1")
        lock(session, 1)
        first = launch(session, take(1))
        wait_until_blocked(session, first.pid)
        queued = queue(session, "SELECT 2")
        call = WAYS[name].format(pid=queued.pid, cookie=queued.cookie)
        assert failure(session, call) == deadlock(session)
        unlock(session, 1)
        assert result(session, first) == [("got 1",)]
        assert result(session, queued, "a int") == [(2,)]


def test_the_only_worker_waits_for_another(session: Connection, server: Server, connect: Connect) -> None:
    """That is no ring, however long it takes."""
    other = connect()
    with only_worker(server), closed_gate(other) as gate:
        first = launch(session, gate.sql)
        queued = queue(session, "SELECT 2")
        assert wait(session, queued, 300) is False
        with at_the_same_time(session) as call:
            waiting = call(wait, session, queued)
            wait_until_in_extension(other, session)
            gate.open()
            assert waiting.result() is True
            gate.close()
        assert wait(session, first)
    assert result(session, queued, "a int") == [(2,)]


@pytest.mark.parametrize("places", ["all taken", "free ones"])
def test_the_process_that_comes_waits_for_me_in_its_login(
    session: Connection, connect: Connect, make_role: MakeRole, server: Server, places: str
) -> None:
    other = connect()
    role = make_role(member_of=("pgbackground_role",))
    query(session, "SET pg_background.max_workers = 1")
    with only_worker(server) if places == "all taken" else nullcontext():
        with closed_gate(other) as gate:
            query(session, f"SET ROLE {role}")
            first = launch(session, gate.sql)
            query(session, "RESET ROLE")
            queued = queue(session, "SELECT 2")
            query(session, "BEGIN")
            query(session, "LOCK TABLE pg_catalog.pg_db_role_setting IN ACCESS EXCLUSIVE MODE")
        wait_until_sql(
            other,
            "SELECT count(*) > 0 FROM pg_locks "
            "WHERE NOT granted AND relation = 'pg_db_role_setting'::regclass",
        )
        call = WAYS["wait"].format(pid=queued.pid, cookie=queued.cookie)
        assert failure(session, call) == deadlock(session)
        query(session, "ROLLBACK")
        assert wait(session, first)
        assert result(session, queued, "a int") == [(2,)]
