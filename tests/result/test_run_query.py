"""run_query: a job's rows in one call, by the call's own column list or by one given as text."""

from __future__ import annotations

import pytest

from ..support.calls import (
    Failure,
    at_the_same_time,
    error_of,
    failure,
    nothing_is_left,
    query,
    sqlstate,
    stats,
    value,
    wait_until_in_extension,
)
from ..support.fix_db import Connect, Connection
from ..support.jobs import FOREVER
from ..support.registry import registry
from ..support.waiting import wait_until
from ..support.workers import SWALLOWS_CANCELS_AND_COUNTS

CALL = "SELECT * FROM pg_background_run_query(%s, col_def => %s) AS ({})"


@pytest.mark.parametrize("twin", ["", "_v2"])
def test_rows(conn: Connection, twin: str) -> None:
    with nothing_is_left(conn):
        rows = query(
            conn,
            f"SELECT * FROM pg_background_run_query{twin}("
            "'SELECT n, n * 2.5 FROM generate_series(1, 2) AS n') AS (a int, b numeric)",
        )
        assert rows == [(1, 2.5), (2, 5)]


def test_label_and_queue_size(conn: Connection) -> None:
    call = "SELECT * FROM pg_background_run_query(%s, 64, 0, 'mine') AS (a text)"
    job = "SELECT label FROM pg_stat_activity, substring(application_name, ':(.*):') AS label"
    assert query(conn, call, job + " WHERE pid = pg_backend_pid()") == [("mine",)]
    assert sqlstate(conn, call.replace("mine", "x" * 65), "SELECT ''") == "22001"


@pytest.mark.parametrize("kilobytes", [63, 65, 1000, 20_000])
def test_rows_larger_than_the_queue(conn: Connection, kilobytes: int) -> None:
    """With one large row, and with as much in small ones."""
    with nothing_is_left(conn):
        one = f"SELECT repeat('x', {kilobytes * 1000})"
        assert query(conn, CALL.format("a text"), one, "a text") == [("x" * kilobytes * 1000,)]
        many = f"SELECT repeat('x', 1000) FROM generate_series(1, {kilobytes})"
        assert query(conn, CALL.format("a text"), many, None) == [("x" * 1000,)] * kilobytes


def test_without_rows_the_tags(conn: Connection) -> None:
    rows = query(conn, CALL.format("a text"), "CREATE TABLE a (b int); INSERT INTO a VALUES (1)", None)
    assert rows == [("CREATE TABLE",), ("INSERT 0 1",)]


@pytest.mark.parametrize(
    ("job", "col_def", "columns"),
    [
        ("SELECT 1, 'x'::text", "a int, b text", "a int, b text"),
        ("SELECT 1, 'x'::text", ' "a ,)""b" integer ,\n\tb  TEXT ', "a int, b text"),
        ("SELECT 1.25::numeric(10,3)", "a numeric(10,3)", "a numeric(10,3)"),
        ("SELECT 1.25", "a numeric(10, 1)", "a numeric"),
        ("SELECT ARRAY[1,2], '{}'::text[]", "größe int[], _x$1 text[]", "a int[], b text[]"),
        ("SELECT now()::timestamp(0)", "t timestamp(0) without time zone", "t timestamp"),
        ("SELECT 1.5::float8", "x double precision", "x float8"),
        ("SELECT 'x'::\"Odd, type\"", 'x public."Odd, type"', 'x "Odd, type"'),
        ("SELECT '1 day'::interval", "x interval day to second(3)", "x interval"),
    ],
)
def test_col_def(conn: Connection, job: str, col_def: str, columns: str) -> None:
    query(conn, "CREATE DOMAIN public.\"Odd, type\" AS text CHECK (VALUE <> '')")
    assert len(query(conn, CALL.format(columns), job, col_def)) == 1


def test_col_def_gives_lengths(conn: Connection) -> None:
    rows = query(
        conn,
        CALL.format("a numeric, b varchar"),
        "SELECT 1.25, 'abc'::varchar",
        "a numeric(5,1), b varchar(3)",
    )
    assert [str(cell) for cell in rows[0]] == ["1.3", "abc"]
    call = CALL.format("a varchar")
    assert sqlstate(conn, call, "SELECT 'abcd'::varchar", "a varchar(3)") == "22001"


@pytest.mark.parametrize(
    "col_def",
    [
        "",
        " ",
        "a",
        "int",
        "a int,",
        ", a int",
        "a int, b",
        "a int,, b int",
        "1a int",
        '"a int',
        "a int); DROP TABLE kept; --",
        "a int) AS x, kept AS (b int",
        "a (SELECT 1)",
        "a int DEFAULT 1",
        "a SETOF int",
        "a int /* , */ -- x",
    ],
)
def test_bad_col_def(conn: Connection, col_def: str) -> None:
    """It is an error before anything runs, and never becomes part of a statement."""
    query(conn, "CREATE TABLE kept (a int)")
    with nothing_is_left(conn):
        error = error_of(conn, CALL.format("a int"), "INSERT INTO kept VALUES (1) RETURNING a", col_def)
        assert error.sqlstate == "42601"
    assert value(conn, "SELECT count(*) FROM kept") == 0


def test_unknown_type_in_col_def(conn: Connection) -> None:
    assert sqlstate(conn, CALL.format("a int"), "SELECT 1", "a no_such_type") == "42704"


@pytest.mark.parametrize(
    ("col_def", "detail"),
    [
        ("a text", "Column 1 is of type text in col_def, type integer in the column list."),
        ("a int, b int", "col_def has 2 columns, the column list has 1."),
    ],
)
def test_col_def_against_the_column_list(conn: Connection, col_def: str, detail: str) -> None:
    found = failure(conn, CALL.format("a int"), "SELECT 1", col_def)
    assert (found.sqlstate, found.detail) == ("42804", detail)


def test_rows_of_other_types(conn: Connection) -> None:
    """The job is over: its rows can't be had again, so nothing of it is left."""
    with nothing_is_left(conn):
        found = failure(conn, CALL.format("a text"), "SELECT 1 AS x", None)
        assert found.sqlstate == "42804"
        assert found.detail == 'Column 1 is "x" of type integer in the query, type text in the column list.'
        wait_until(lambda: registry(conn).live == 0)


def test_rows_of_other_types_of_a_long_job(conn: Connection) -> None:
    """It is canceled as soon as that is known."""
    with nothing_is_left(conn):
        job = "SELECT n FROM generate_series(1, 1000000000000) AS n"
        assert sqlstate(conn, CALL.format("a text"), job, None) == "42804"
        wait_until(lambda: registry(conn).live == 0)


def test_errors_are_the_jobs(conn: Connection) -> None:
    with nothing_is_left(conn):
        error = error_of(conn, CALL.format("a int"), "SELECT 1 / 0", None)
        assert error.sqlstate == "22012"
        assert "background worker, pid " in str(error.diag.context)


@pytest.mark.parametrize(
    "job", [FOREVER, SWALLOWS_CANCELS_AND_COUNTS, "SELECT generate_series(1, 1000000000000)"]
)
def test_past_its_time(conn: Connection, job: str) -> None:
    """Also where there is always another row."""
    columns = "a bigint" if "series" in job else "a text"
    with nothing_is_left(conn):
        query(conn, "SET temp_file_limit = -1")
        call = f"SELECT count(*) FROM pg_background_run_query(%s, timeout_ms => 100) AS ({columns})"
        found = failure(conn, call, job)
        assert found == Failure("57014", found.message, None, None)
        assert "due to the timeout of its caller" in str(found.message)
    assert stats(conn)["timed_out"] == 1


@pytest.mark.parametrize("how", ["cancel", "terminate"])
def test_interrupted(conn: Connection, connect: Connect, how: str) -> None:
    session = connect()
    with nothing_is_left(conn), at_the_same_time(session) as call:
        running = call(query, session, CALL.format("a text"), FOREVER, None)
        wait_until_in_extension(conn, session)
        if how == "cancel":
            session.cancel()
        else:
            conn.execute("SELECT pg_terminate_backend(%s)", [session.info.backend_pid])
        assert running.failure().sqlstate == ("57P01" if how == "terminate" else "57014")
        wait_until(lambda: registry(conn).live == 0)


def test_deadlock_with_the_caller(connect: Connect) -> None:
    session = connect(options="-c deadlock_timeout=50ms")
    session.execute("CREATE TABLE locked (a int)")
    session.execute("BEGIN")
    session.execute("LOCK TABLE locked")
    assert sqlstate(session, CALL.format("a int"), "SELECT * FROM locked", None) == "40P01"
    session.execute("ROLLBACK")


def test_outside_of_from(conn: Connection) -> None:
    found = failure(conn, "SELECT pg_background_run_query('SELECT 1', col_def => 'a int')")
    assert found.sqlstate == "0A000"
    assert failure(conn, CALL.format("a int"), None, None)[:2] == ("22004", "sql parameter cannot be NULL")


def test_notices(conn: Connection) -> None:
    said: list[str | None] = []
    conn.add_notice_handler(lambda diag: said.append(diag.message_primary))
    assert query(conn, CALL.format("a int"), "DO $$ BEGIN RAISE NOTICE 'x'; END $$; SELECT 1", None) == [(1,)]
    assert said == ["x"]
