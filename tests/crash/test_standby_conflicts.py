"""What the primary does may end jobs on a standby, as it ends sessions, and no worker holds its replay up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ..support.calls import query, result_failure
from ..support.fix_db import Connection
from ..support.fix_standby import Pair
from ..support.jobs import FOREVER, Handle, launch, run, state, wait, wait_until_asleep, wait_until_gone

#: A job that needs a table's rows for as long as it runs.
USER = "SELECT pg_sleep(3600) FROM used"


@pytest.fixture
def conn(pair: Pair) -> Iterator[Connection]:
    """A session on the standby; the primary has a table that is not worth the standby's time."""
    pair.primary.execute("DROP TABLE IF EXISTS used")
    pair.primary.execute("CREATE TABLE used AS SELECT 1 AS a FROM generate_series(1, 10)")
    pair.replay()
    with pair.standby.connect() as conn:
        yield conn


def start_using(conn: Connection, job: str = USER) -> Handle:
    handle = launch(conn, job)
    wait_until_asleep(conn, handle.pid)
    return handle


@pytest.mark.parametrize("what", ["DELETE FROM used; VACUUM used", "DROP TABLE used"])
def test_a_conflict_is_the_jobs_error(pair: Pair, conn: Connection, what: str) -> None:
    handle = start_using(conn)
    for statement in what.split("; "):
        pair.primary.execute(statement)
    pair.replay()
    assert wait(conn, handle)
    assert state(conn, handle) == "error"
    failure = result_failure(conn, handle)
    assert (failure.sqlstate, failure.message) == (
        "40001",
        "canceling statement due to conflict with recovery",
    )
    assert run(conn, "SELECT 'next'") == [("next",)]


def test_a_conflict_that_ends_the_process(pair: Pair, conn: Connection) -> None:
    """In a subtransaction the server knows no other way; the reason is told all the same."""
    handle = start_using(
        conn,
        "DO $$ BEGIN BEGIN PERFORM pg_sleep(3600) FROM used;"
        " EXCEPTION WHEN division_by_zero THEN NULL; END; END $$",
    )
    pair.primary.execute("DELETE FROM used")
    pair.primary.execute("VACUUM used")
    pair.replay()
    assert wait(conn, handle)
    assert state(conn, handle) == "error"
    failure = result_failure(conn, handle)
    assert failure.sqlstate == "40001"
    assert "conflict with recovery" in (failure.message or "")
    assert (failure.detail or "").startswith("User query might have needed to see row versions")
    assert run(conn, "SELECT 'next'") == [("next",)]


def test_a_dropped_database(pair: Pair, conn: Connection) -> None:
    """Its jobs are told why they ended, and its idle workers leave."""
    pair.primary.execute("CREATE DATABASE dropped TEMPLATE template0")
    pair.primary.execute("CREATE EXTENSION pg_background", "dropped")
    pair.replay()
    with pair.standby.connect("dropped") as other:
        busy = start_using(other, FOREVER)
        idle = launch(other, "SELECT 1")
        assert wait(other, idle)
    pair.primary.execute("DROP DATABASE dropped")
    pair.replay()
    for handle in busy, idle:
        wait_until_gone(conn, handle.pid)
    found = query(
        conn,
        "SELECT state, sqlstate, error_message FROM pg_background_jobs WHERE (pid, cookie) = (%s, %s)",
        *busy,
    )
    assert found == [("error", "57P04", "terminating connection due to conflict with recovery")]
    assert query(conn, "SELECT 1 FROM pg_background_jobs WHERE state IN ('queued', 'running')") == []
