"""Unread output on disk: it never blocks a job, has its limits, and is gone when nobody can read it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg import errors as e

from ..support.calls import at_the_same_time, value, wait_until_in_extension
from ..support.fix_db import Connect, Connection
from ..support.fix_server import FreshServer
from ..support.jobs import (
    Handle,
    cancel,
    closed_gate,
    detach,
    has_ended,
    launch,
    result,
    state,
    submit,
    wait,
    wait_until_asleep,
    wait_until_gone,
)
from ..support.registry import registry, wait_until_quiet
from ..support.server import Server
from ..support.tablespaces import make_tablespace
from ..support.waiting import wait_until, wait_until_sql

#: About a megabyte; a queue has 64 kB.
MEGABYTE = "SELECT g, repeat('x', 1000) FROM generate_series(1, 1000) g"
COLUMNS = "n int, x text"
ROWS = [(n, "x" * 1000) for n in range(1, 1001)]


@pytest.fixture
def quiet(fresh_server: FreshServer) -> Server:
    """A server whose unread results expire as soon as their session has gone."""
    return fresh_server({"pg_background.result_retention": 0})


@pytest.fixture
def alone(quiet: Server) -> Iterator[Connection]:
    """A session on it."""
    with quiet.connect() as conn:
        yield conn


def files(conn: Connection) -> int:
    """Count the server's temporary files."""
    row = conn.execute("SELECT count(*) FROM pg_ls_tmpdir()").fetchone()
    assert row is not None
    return int(row[0])


def spilled(conn: Connection) -> Handle:
    """Run a job whose output is on disk."""
    handle = launch(conn, MEGABYTE)
    assert wait(conn, handle)
    assert files(conn) == 1
    assert registry(conn).spill_bytes > 500_000
    return handle


def test_is_read(alone: Connection) -> None:
    assert result(alone, spilled(alone), COLUMNS) == ROWS
    assert files(alone) == 0
    wait_until_quiet(alone, area_bytes=0)


def test_is_detached(alone: Connection) -> None:
    detach(alone, spilled(alone))
    assert files(alone) == 0
    wait_until_quiet(alone, area_bytes=0)


def test_is_detached_while_the_job_writes(alone: Connection) -> None:
    handle = launch(
        alone, "SELECT repeat('x', 1000) FROM generate_series(1, 1000) a, generate_series(1, 1000000) b"
    )
    wait_until(lambda: registry(alone).spill_bytes > 1_000_000, what="output on disk")
    detach(alone, handle)
    # The job goes on, but writes no more: what it was to be read from goes with its end.
    alone.execute("SELECT pg_terminate_backend(%s)", [handle.pid])
    wait_until_quiet(alone, area_bytes=0)
    assert files(alone) == 0


def test_of_statements_before_the_last_there_is_none(alone: Connection) -> None:
    handle = launch(alone, f"{MEGABYTE}; SELECT 1")
    assert wait(alone, handle)
    assert registry(alone).spill_bytes == 0
    assert result(alone, handle, "n int") == [(1,)]


def test_of_a_failed_read(alone: Connection) -> None:
    """A wrong column list consumes nothing."""
    handle = spilled(alone)
    with pytest.raises(e.DatatypeMismatch):
        result(alone, handle, "n int")
    assert result(alone, handle, COLUMNS) == ROWS
    assert files(alone) == 0


def test_of_a_canceled_read(alone: Connection) -> None:
    """Part of it was read: it is consumed."""
    handle = spilled(alone)
    with pytest.raises(e.DivisionByZero):
        alone.execute("SELECT 1 / (n - 500) FROM pg_background_result(%s, %s) AS (n int, x text)", handle)
    wait_until_quiet(alone, area_bytes=0)
    assert files(alone) == 0


def test_of_a_canceled_job(alone: Connection) -> None:
    handle = launch(
        alone,
        "SELECT repeat('x', 1000), CASE WHEN g = 2000 THEN pg_sleep(3600) END "
        "FROM generate_series(1, 2000) g",
    )
    wait_until_asleep(alone, handle.pid)
    assert files(alone) == 1
    cancel(alone, handle)
    assert wait(alone, handle)
    with pytest.raises(e.QueryCanceled):
        result(alone, handle, "x text, s text")
    wait_until_quiet(alone, area_bytes=0)
    assert files(alone) == 0


def test_of_a_session_that_is_gone(quiet: Server, alone: Connection) -> None:
    with quiet.connect() as conn:
        spilled(conn)
        assert registry(conn).unread == 1
    wait_until_quiet(alone, area_bytes=0)
    assert files(alone) == 0


def test_of_a_running_job_whose_session_is_gone(quiet: Server, alone: Connection) -> None:
    with quiet.connect() as conn:
        handle = launch(conn, f"SELECT pg_advisory_lock(1); {MEGABYTE}")
        alone.execute("SELECT 1")
    wait_until_sql(alone, "SELECT count(*) FROM pg_stat_activity WHERE pid = %s", [handle.pid], expected=1)
    wait_until_quiet(alone, area_bytes=0)
    assert files(alone) == 0


def test_is_kept_for_its_retention(server: Server, connect: Connect) -> None:
    watcher, launcher = connect(), connect()
    handle = launch(launcher, MEGABYTE)
    assert wait(launcher, handle)
    before = registry(watcher)
    launcher.close()
    assert wait(watcher, handle)
    assert registry(watcher)[1:3] == before[1:3]
    assert result(watcher, handle, COLUMNS) == ROWS


def test_is_kept_while_its_session_lives(quiet: Server, alone: Connection) -> None:
    handle = spilled(alone)
    with quiet.connect() as other:
        # The keeper looks now, for this one.
        assert wait(other, launch(other, "SELECT 1"))
    wait_until(lambda: registry(alone).unread == 1)
    assert result(alone, handle, COLUMNS) == ROWS


def test_a_shortened_retention_counts(server: Server, connect: Connect) -> None:
    watcher, launcher = connect(), connect()
    handle = launch(launcher, MEGABYTE)
    assert wait(launcher, handle)
    unread = registry(watcher).unread
    launcher.close()
    with server.alter_system({"pg_background.result_retention": 0}):
        wait_until(lambda: registry(watcher).unread < unread, what="the result expired")
    with pytest.raises(e.UndefinedObject):
        result(watcher, handle, COLUMNS)


def test_a_result_is_kept_no_shorter_and_hardly_longer_than_it_is_to_be(
    server: Server, connect: Connect
) -> None:
    """From its job's end on: the session has ended before."""
    watcher, launcher = connect(), connect()
    with server.alter_system({"pg_background.result_retention": 3}), closed_gate(watcher) as gate:
        handle = launch(launcher, f"{gate.sql}; SELECT 1")
        pid = launcher.info.backend_pid
        launcher.close()
        wait_until_gone(watcher, pid)
        # Longer than the retention is: it has not begun.
        watcher.execute("SELECT pg_sleep(3.1)")
        began = time.monotonic()
        gate.open()
        wait_until(lambda: not is_known(watcher, handle), what="the result expired")
        # The clocks may differ a little.
        assert time.monotonic() - began >= 2.7
        gate.close()


def is_known(conn: Connection, handle: Handle) -> bool:
    try:
        has_ended(conn, handle)
    except (e.UndefinedObject, e.ObjectNotInPrerequisiteState):
        return False
    return True


@pytest.mark.parametrize("limit", ["pg_background.max_result_size", "temp_file_limit"])
def test_a_limit_is_where_it_was_set(server: Server, connect: Connect, limit: str) -> None:
    with server.alter_system({limit: "300kB"}):
        conn = connect()
        ends = []
        for kilobytes in (280, 320):
            handle = launch(conn, f"SELECT repeat('x', 1000) FROM generate_series(1, {kilobytes})")
            assert wait(conn, handle)
            ends.append(state(conn, handle))
            detach(conn, handle)
    assert ends == ["stopped", "error"]


def test_past_max_result_size_the_job_fails(server: Server, connect: Connect) -> None:
    with server.alter_system({"pg_background.max_result_size": "200kB"}):
        conn = connect()
        before = registry(conn)
        handle = launch(conn, MEGABYTE)
        assert wait(conn, handle)
        assert state(conn, handle) == "error"
        with pytest.raises(e.ConfigurationLimitExceeded, match=r"pg_background\.max_result_size"):
            result(conn, handle, COLUMNS)
        assert registry(conn).spill_bytes == before.spill_bytes


@pytest.mark.parametrize(
    "sql",
    [
        "DO $$BEGIN FOR i IN 1..100 LOOP BEGIN RAISE NOTICE '%', repeat('x', 100000);"
        " EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END$$",
        "DO $$BEGIN BEGIN RAISE NOTICE '%', repeat('x', 300000); EXCEPTION WHEN OTHERS THEN NULL; END; END$$;"
        " SELECT 1",
    ],
    ids=["notices", "rows after a notice"],
)
def test_past_max_result_size_a_job_that_goes_on_fails_by_it_all_the_same(
    server: Server, connect: Connect, sql: str
) -> None:
    with server.alter_system({"pg_background.max_result_size": "200kB"}):
        conn = connect()
        run = "SELECT state, sqlstate, error_message FROM pg_background_run(%s)"
        row = conn.execute(run, [sql]).fetchone()
    assert row is not None
    assert row[:2] == ("error", "53400")
    assert "pg_background.max_result_size" in row[2]


def test_past_max_result_size_its_work_is_undone(server: Server, connect: Connect) -> None:
    with server.alter_system({"pg_background.max_result_size": "200kB"}):
        conn = connect()
        conn.execute("CREATE TABLE kept (a int)")
        handle = launch(conn, f"INSERT INTO kept VALUES (1); {MEGABYTE}")
        assert wait(conn, handle)
        assert conn.execute("SELECT count(*) FROM kept").fetchone() == (0,)
        detach(conn, handle)


@pytest.mark.parametrize("limit", ["pg_background.max_result_size", "temp_file_limit"])
@pytest.mark.parametrize("read", ["result(%s, %s) AS r (x text, g text)", "result_json(%s, %s) AS r"])
def test_a_row_larger_than_a_limit_streams_to_its_reader(
    server: Server, connect: Connect, limit: str, read: str
) -> None:
    """Who waits for the first row is there, and takes its first bytes before the last are written."""
    reader, launcher, holder = connect(), connect(), connect()
    # The limit of the reader's session would be one for what it makes of the rows.
    launcher.execute("SET temp_file_limit = %s" % ("'1MB'" if limit == "temp_file_limit" else "-1"))
    with (
        server.alter_system({} if limit == "temp_file_limit" else {limit: "1MB"}),
        closed_gate(holder) as gate,
        at_the_same_time(reader) as call,
    ):
        handle = launch(launcher, f"SELECT repeat('x', 100000000) AS x, ({gate.sql})::text AS g")
        query = f"SELECT sum(length(r::text)) > 100000000 FROM pg_background_{read}"
        reading = call(value, reader, query, *handle)
        wait_until_in_extension(launcher, reader)
        gate.open()
        assert reading.result() is True
        gate.close()


@pytest.mark.parametrize("limit", ["pg_background.max_result_size", "temp_file_limit"])
def test_past_a_limit_the_hint_says_what_helps(server: Server, connect: Connect, limit: str) -> None:
    with server.alter_system({limit: "1MB"}):
        conn = connect()
        handle = launch(conn, "SELECT repeat('x', 10000000)")
        assert wait(conn, handle)
        with pytest.raises(e.ConfigurationLimitExceeded) as caught:
            result(conn, handle)
    hint = caught.value.diag.message_hint
    assert hint is not None
    assert hint.startswith("Begin to read before the rows come")
    assert limit in hint


def test_a_submitted_job_has_no_result_size(server: Server, connect: Connect) -> None:
    with server.alter_system({"pg_background.max_result_size": "200kB"}):
        conn = connect()
        handle = submit(conn, MEGABYTE)
        assert wait(conn, handle)
        assert state(conn, handle) == "stopped"


def test_past_temp_file_limit_the_job_fails(conn: Connection) -> None:
    conn.execute("SET temp_file_limit = '200kB'")
    handle = launch(conn, MEGABYTE)
    assert wait(conn, handle)
    assert state(conn, handle) == "error"
    with pytest.raises(e.ConfigurationLimitExceeded, match="temp_file_limit"):
        result(conn, handle, COLUMNS)


def test_one_huge_row(alone: Connection) -> None:
    handle = launch(alone, "SELECT repeat('x', 20000000)")
    assert wait(alone, handle)
    assert result(alone, handle, "x text") == [("x" * 20_000_000,)]
    assert files(alone) == 0


def test_it_is_in_the_tablespace_of_the_jobs_database(server: Server, open_tmp_path: Path) -> None:
    make_tablespace(server, open_tmp_path, "spilled_here")
    server.execute("CREATE DATABASE elsewhere TEMPLATE template_pg_background TABLESPACE spilled_here")
    try:
        with server.connect("elsewhere") as conn:
            handle = launch(conn, MEGABYTE)
            assert wait(conn, handle)
            there = "SELECT count(*) FROM pg_ls_tmpdir((SELECT oid FROM pg_tablespace WHERE spcname = %s))"
            assert value(conn, there, "spilled_here") == 1
            assert result(conn, handle, COLUMNS) == ROWS
            assert value(conn, there, "spilled_here") == 0
    finally:
        server.execute("DROP DATABASE IF EXISTS elsewhere WITH (FORCE)")
        server.execute("DROP TABLESPACE spilled_here")
