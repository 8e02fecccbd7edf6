"""The job's text goes in whole, and errors come out as they were."""

from __future__ import annotations

import pytest

from ...support.calls import query, result_error, sqlstate, value
from ...support.fix_db import Connection
from ...support.jobs import Handle, launch, result, run, wait


@pytest.mark.parametrize("length", [1, 2, 3, 8, 100, 126, 127, 128, 200, 2_000, 100_000])
def test_sql_from_a_table(conn: Connection, length: int) -> None:
    """Stored short, long, compressed and out of line."""
    job = f"SELECT '{'x' * length}'"
    query(conn, "CREATE TABLE jobs (q text)")
    query(conn, "INSERT INTO jobs VALUES (%s)", job)
    rows = query(conn, "SELECT pid, cookie FROM jobs, pg_background_launch_v2(q)")
    assert result(conn, Handle(*rows[0])) == [("x" * length,)]


def test_sql_from_several_rows(conn: Connection) -> None:
    query(conn, "CREATE TABLE jobs (id int, q text, l text)")
    query(conn, "INSERT INTO jobs SELECT n, 'SELECT ' || n, 'l' || n FROM generate_series(1, 9) n")
    found = query(
        conn,
        "SELECT id, n FROM jobs, pg_background_launch(q, 0, l) h,"
        " pg_background_result(h.pid, h.cookie) AS (n int)",
    )
    assert found == [(n, n) for n in range(1, 10)]


@pytest.mark.parametrize("megabytes", [1, 10])
def test_long_sql(conn: Connection, megabytes: int) -> None:
    """Longer than the queue, and than anything that is kept per job."""
    text = "x" * (megabytes << 20)
    assert run(conn, f"SELECT length('{text}')", "n int") == [(len(text),)]


def test_context_is_given_once(conn: Connection) -> None:
    handle = launch(conn, "SELECT 1/0")
    assert result_error(conn, handle).diag.context == f"background worker, pid {handle.pid}"


def test_context_follows_that_of_the_job(conn: Connection) -> None:
    query(conn, "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1/0; END'")
    handle = launch(conn, "SELECT f()")
    context = result_error(conn, handle, "a int").diag.context
    assert context is not None
    assert "PL/pgSQL function f() line 1 at RETURN" in context
    assert context.endswith(f"\nbackground worker, pid {handle.pid}")
    assert context.count("background worker, pid") == 1


def test_context_of_a_job_in_a_job(conn: Connection) -> None:
    """Each of the two once."""
    inner = "SELECT 1/0"
    handle = launch(
        conn,
        f"SELECT r.* FROM pg_background_launch('{inner}') h, pg_background_result(h.pid, h.cookie) r(a text)",
    )
    context = result_error(conn, handle).diag.context
    assert context is not None
    lines = [line for line in context.splitlines() if line.startswith("background worker, pid")]
    assert len(lines) == len(set(lines)) == 2
    assert lines[-1] == f"background worker, pid {handle.pid}"


@pytest.mark.parametrize("each_statement", [False, True])
def test_context_says_which_statement_of_several_failed(conn: Connection, each_statement: bool) -> None:
    query(conn, "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$BEGIN RAISE 'x'; END$$")
    ((pid, cookie),) = query(
        conn,
        "SELECT * FROM pg_background_start('SELECT 1; SELECT f(); SELECT 3', each_statement => %s)",
        each_statement,
    )
    handle = Handle(pid, cookie)
    wait(conn, handle)
    (info,) = query(conn, "SELECT context FROM pg_background_error_info(%s, %s)", *handle)
    context = result_error(conn, handle, "a int").diag.context
    inner = "PL/pgSQL function f() line 1 at RAISE\nstatement 2 of 3"
    assert info == (inner,)
    assert context == f"{inner}\nbackground worker, pid {pid}"


def test_no_statement_is_named_that_did_not_fail(conn: Connection) -> None:
    """What fails before the first, or at the commit of all, is none of them; nor is a single one named."""
    query(conn, "CREATE TABLE t (a int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED)")
    for sql in ("SELECT 1; SELECT 'open", "INSERT INTO t VALUES (1); INSERT INTO t VALUES (1)", "SELECT 1/0"):
        context = result_error(conn, launch(conn, sql)).diag.context
        assert context is not None
        assert "statement" not in context


def test_all_fields_of_an_error(conn: Connection) -> None:
    job = (
        "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'XY123', MESSAGE = 'the message',"
        " DETAIL = 'the detail', HINT = 'the hint', SCHEMA = 's', TABLE = 't',"
        " COLUMN = 'c', CONSTRAINT = 'k', DATATYPE = 'd'; END $$"
    )
    diag = result_error(conn, launch(conn, job)).diag
    assert (diag.sqlstate, diag.message_primary, diag.message_detail, diag.message_hint) == (
        *("XY123", "the message", "the detail", "the hint"),
    )
    assert (
        diag.schema_name,
        diag.table_name,
        diag.column_name,
        diag.constraint_name,
        diag.datatype_name,
    ) == (*("s", "t", "c", "k", "d"),)
    assert diag.severity_nonlocalized == "ERROR"


def test_plpgsql_can_catch_a_jobs_error_by_name(conn: Connection) -> None:
    query(
        conn,
        """CREATE FUNCTION caught() RETURNS text LANGUAGE plpgsql AS $$
        DECLARE h record; found text;
        BEGIN
          SELECT * INTO h FROM pg_background_launch('SELECT 1/0');
          PERFORM * FROM pg_background_result(h.pid, h.cookie) AS (a int);
        EXCEPTION WHEN division_by_zero THEN
          GET STACKED DIAGNOSTICS found = MESSAGE_TEXT;
          RETURN found;
        END $$""",
    )
    assert value(conn, "SELECT caught()") == "division by zero"


@pytest.mark.parametrize("size", [10, 5_000, 3_000_000])
def test_long_message(conn: Connection, size: int) -> None:
    diag = result_error(conn, launch(conn, f"DO $$ BEGIN RAISE '%', repeat('m', {size}); END $$")).diag
    assert diag.message_primary == "m" * size
    assert sqlstate(conn, "SELECT 1/0") == "22012"
