"""Jobs on a hot standby: they read as a session there does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pg_background import Client

from ..support.calls import error_of, query, result_error, value
from ..support.fix_cli import Cli
from ..support.fix_db import Connection
from ..support.fix_standby import Pair
from ..support.jobs import (
    FOREVER,
    cancel,
    closed_gate,
    launch,
    result,
    run,
    start,
    state,
    submit,
    wait,
    wait_for_state,
)
from ..support.registry import registry
from ..support.waiting import wait_until
from ..support.workers import launch_in


@pytest.fixture
def conn(pair: Pair) -> Iterator[Connection]:
    """A session on the standby."""
    pair.primary.execute("CREATE SEQUENCE IF NOT EXISTS numbers")
    pair.replay()
    with pair.standby.connect() as conn:
        yield conn


def test_reads_what_the_primary_wrote(pair: Pair, conn: Connection) -> None:
    pair.primary.execute("CREATE TABLE IF NOT EXISTS written AS SELECT 7 AS a")
    pair.replay()
    job = "SELECT pg_is_in_recovery()::text || ' ' || a FROM written"
    first = launch(conn, job)
    assert result(conn, first) == [("true 7",)]
    # A warm worker, and settings that differ.
    assert run(conn, job) == [("true 7",)]
    query(conn, "SET work_mem = '5MB'")
    assert run(conn, f"SHOW work_mem; {job}") == [("true 7",)]
    assert run(conn, "SHOW work_mem") == [("5MB",)]


@pytest.mark.parametrize("begin", ["BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"])
def test_launched_in_a_transaction(conn: Connection, begin: str) -> None:
    query(conn, begin)
    assert run(conn, "SELECT current_setting('transaction_read_only')") == [("on",)]
    query(conn, "COMMIT")


@pytest.mark.parametrize(
    "job",
    [
        "CREATE TABLE made (a int)",
        "CREATE TEMP TABLE made (a int)",
        "SELECT 1; CREATE TABLE made (a int)",
        "SELECT pg_current_xact_id()::text",
        "SELECT nextval('numbers')::text",
        "VACUUM",
    ],
)
def test_writes_fail_as_in_a_session(conn: Connection, job: str) -> None:
    expected = error_of(conn, job)
    handle = launch(conn, job)
    assert wait(conn, handle)
    assert state(conn, handle) == "error"
    error = result_error(conn, handle)
    assert (error.sqlstate, error.diag.message_primary) == (expected.sqlstate, expected.diag.message_primary)
    assert error.sqlstate in ("25006", "55000", "XX000")


def test_setting_a_transaction_to_writing_fails(conn: Connection) -> None:
    error = result_error(conn, launch(conn, "SET transaction_read_only = off; CREATE TABLE made (a int)"))
    assert error.sqlstate == "0A000"


def test_output_that_spills(conn: Connection) -> None:
    job = "SELECT repeat('x', 1000) FROM generate_series(1, 5000)"
    before = value(conn, "SELECT count(*) FROM pg_ls_tmpdir()")
    handle = launch(conn, job)
    assert wait(conn, handle)
    assert value(conn, "SELECT count(*) FROM pg_ls_tmpdir()") == before + 1
    assert result(conn, handle) == [("x" * 1000,)] * 5000
    assert value(conn, "SELECT count(*) FROM pg_ls_tmpdir()") == before


def test_parameters_and_each_statement(conn: Connection) -> None:
    assert result(conn, start(conn, "SELECT $1 || 'b'", params=["a"])) == [("ab",)]
    assert result(conn, start(conn, "SELECT 1; SELECT 'last'", each_statement=True)) == [("last",)]


def test_queue(pair: Pair, conn: Connection) -> None:
    query(conn, "SET pg_background.max_workers = 1")
    with pair.standby.connect() as keeper, closed_gate(keeper) as gate:
        first = launch(conn, gate.sql)
        second = start(conn, "SELECT 'queued'", on_full="queue")
        assert second.pid < 0
        gate.open()
        assert wait(conn, first)
        assert result(conn, second) == [("queued",)]


def test_cancel(conn: Connection) -> None:
    handle = launch(conn, FOREVER)
    wait_for_state(conn, handle, "running")
    cancel(conn, handle)
    assert wait(conn, handle)
    assert state(conn, handle) == "canceled"


def test_nothing_of_a_job_stays(conn: Connection) -> None:
    """What is kept in a session of a standby is given back as on a primary."""
    first = launch(
        conn,
        "SELECT pg_advisory_lock(77); PREPARE p AS SELECT 1; DECLARE c CURSOR WITH HOLD FOR SELECT 1;"
        " SELECT setseed(0.5)::text",
    )
    assert result(conn, first) == [("",)]
    left = (
        "SELECT (SELECT count(*) FROM pg_prepared_statements) + (SELECT count(*) FROM pg_cursors)"
        " + (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())"
    )
    second = launch_in(conn, first.pid, left)
    assert result(conn, second, "n int8") == [(0,)]


def test_nobody_is_notified(pair: Pair, conn: Connection) -> None:
    """Nobody can listen, and it is no error in the log."""
    mark = pair.standby.log.mark()
    query(conn, "SET pg_background.notify_channel = 'ended'")
    handle = submit(conn, "SELECT 1")
    assert wait(conn, handle)
    wait_until(lambda: registry(conn).busy_workers == 0, what="the worker's reset")
    assert "ERROR" not in pair.standby.log.since(mark)


def test_client(pair: Pair) -> None:
    with Client(pair.standby.dsn()) as client:
        assert list(client.run("SELECT pg_is_in_recovery()")) == [(True,)]


def test_doctor(pair: Pair, cli: Cli) -> None:
    """It tries a job, and finds nothing wrong in that the server is a standby."""
    done = cli.inside("doctor", pair.standby.dsn())
    assert done.code == 0, done.output
    assert "SELECT 1 ran in the background" in done.output
