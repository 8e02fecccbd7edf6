"""pg_background_describe, result_json and typed results: rows for those who know no column list."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg import errors

from ..support.calls import at_the_same_time, nothing_is_left, wait_until_in_extension
from ..support.fix_db import Connect
from ..support.jobs import Connection, Handle, closed_gate, launch, result, start, submit, wait
from ..support.server import Server


def describe(conn: Connection, handle: Handle) -> list[tuple[Any, ...]]:
    """Return ordinal, name, type and type name of each column."""
    query = "SELECT ordinal, name, type::text, type_name FROM pg_background_describe(%s, %s)"
    return conn.execute(query, handle).fetchall()


def as_json(conn: Connection, handle: Handle) -> list[Any]:
    """Return the rows as what JSON makes of them."""
    query = "SELECT r FROM pg_background_result_json(%s, %s) AS r"
    return [row for (row,) in conn.execute(query, handle)]


def typed(conn: Connection, handle: Handle, type: str) -> list[tuple[Any, ...]]:
    """Return the rows in the form of a type."""
    query = f"SELECT * FROM pg_background_result(NULL::{type}, %s, %s)"
    return conn.execute(query.encode(), handle).fetchall()


# ---- describe


def test_the_columns_are_told_as_a_column_list_is_to_declare_them(conn: Connection) -> None:
    conn.execute("CREATE SCHEMA apart CREATE TABLE t (a int)")
    conn.execute("CREATE DOMAIN apart.small AS int")
    conn.execute("CREATE TYPE apart.mood AS ENUM ('fine')")
    handle = launch(
        conn,
        'SELECT 1 AS n, \'x\'::varchar(10) AS "a ""b", 1.5::numeric(8,2) AS price, now() AS at, '
        "ARRAY['fine'::apart.mood] AS moods, 1::apart.small AS small, ROW(1) AS r, NULL::apart.t AS t, "
        "'fine'::apart.mood AS m",
    )
    assert describe(conn, handle) == [
        (1, "n", "integer", "integer"),
        (2, 'a "b', "character varying", "character varying(10)"),
        (3, "price", "numeric", "numeric(8,2)"),
        (4, "at", "timestamp with time zone", "timestamp with time zone"),
        (5, "moods", "apart.mood[]", "apart.mood[]"),
        (6, "small", "apart.small", "apart.small"),
        (7, "r", "record", "record"),
        (8, "t", "apart.t", "apart.t"),
        (9, "m", "apart.mood", "apart.mood"),
    ]


def test_what_describe_tells_makes_a_column_list(conn: Connection) -> None:
    conn.execute("CREATE SCHEMA apart")
    conn.execute("CREATE TYPE apart.mood AS ENUM ('fine')")
    conn.execute("CREATE TYPE pg_temp.jsonb AS ENUM ('decoy')")
    handle = launch(
        conn,
        "SELECT 1::int8, 'a'::\"char\", 'b'::char(3), '{}'::pg_catalog.jsonb, now()::time(2), "
        "'fine'::apart.mood",
    )
    query = (
        "SELECT string_agg(format('%%I %%s', 'c' || ordinal, type_name), ', ') "
        "FROM pg_background_describe(%s, %s)"
    )
    row = conn.execute(query, handle).fetchone()
    assert row is not None
    columns = "SELECT count(*) FROM pg_background_result(%s, %s) AS (" + row[0] + ")"
    assert conn.execute(columns.encode(), handle).fetchone() == (1,)


def test_nothing_is_consumed(conn: Connection) -> None:
    handle = launch(conn, "SELECT generate_series(1, 100000) AS n")
    assert describe(conn, handle) == describe(conn, handle) == [(1, "n", "integer", "integer")]
    assert len(result(conn, handle, "n int")) == 100000
    with pytest.raises(errors.UndefinedObject):
        describe(conn, handle)


def test_the_columns_are_known_before_the_rows(conn: Connection, connect: Connect) -> None:
    with closed_gate(connect()) as gate:
        # The rows of a gate come after it; its description does not wait for it.
        handle = launch(conn, gate.sql + " AS passed")
        assert describe(conn, handle) == [(1, "passed", "text", "text")]
    wait(conn, handle)


def test_describe_waits_until_they_are_known(conn: Connection, connect: Connect) -> None:
    reader = connect()
    with closed_gate(connect()) as gate, at_the_same_time(reader) as call:
        handle = launch(conn, f"{gate.sql}; SELECT 1 AS n")
        describing = call(describe, reader, handle)
        wait_until_in_extension(conn, reader)
        gate.open()
        assert describing.result() == [(1, "n", "integer", "integer")]
        gate.close()


def test_a_type_that_has_the_same_oid_here_is_another_all_the_same(
    server: Server, make_db: Callable[[str], str], connect: Connect
) -> None:
    """In a copy of the database, where even its fields are the same."""
    original = make_db("original")
    with connect(original) as there:
        there.execute("CREATE TYPE mood AS ENUM ('fine')")
        there.execute("CREATE TYPE pair AS (a int, m mood)")
    copy = f"copy_of_{original}"
    server.execute(f"CREATE DATABASE {copy} TEMPLATE {original}")
    try:
        with connect(copy) as conn:
            handle = start(conn, "SELECT 'fine'::mood AS m, (1, 'fine')::pair AS p", database=original)
            assert describe(conn, handle) == [(1, "m", "text", "text"), (2, "p", "text", "text")]
            assert result(conn, handle, "m text, p text") == [("fine", "(1,fine)")]
    finally:
        server.execute(f"DROP DATABASE {copy} WITH (FORCE)")


@pytest.mark.parametrize("job", ["CREATE TABLE t (a int)", "", "SELECT 1/0", "SELECT", "nonsense"])
def test_a_job_without_rows_has_no_columns(conn: Connection, job: str) -> None:
    assert describe(conn, launch(conn, job)) == []


def test_a_submitted_job_has_none_to_describe(conn: Connection) -> None:
    handle = submit(conn, "SELECT 1")
    with pytest.raises(errors.FeatureNotSupported, match="results are disabled"):
        describe(conn, handle)
    with pytest.raises(errors.FeatureNotSupported, match="results are disabled"):
        as_json(conn, handle)
    with pytest.raises(errors.FeatureNotSupported, match="results are disabled"):
        typed(conn, handle, "int")


def test_a_type_that_was_dropped_meanwhile(conn: Connection) -> None:
    conn.execute("CREATE TYPE mood AS ENUM ('fine')")
    handle = launch(conn, "SELECT 'fine'::mood AS m")
    wait(conn, handle)
    conn.execute("DROP TYPE mood")
    assert describe(conn, handle) == [(1, "m", "text", "text")]
    assert result(conn, handle, "m text") == [("fine",)]


# ---- JSON


def test_each_row_is_an_object(conn: Connection) -> None:
    handle = launch(conn, "SELECT n, 'x' || n AS t, NULL::date AS d FROM generate_series(1, 3) AS n")
    assert as_json(conn, handle) == [{"n": n, "t": f"x{n}", "d": None} for n in (1, 2, 3)]
    with pytest.raises(errors.UndefinedObject):
        as_json(conn, handle)


def test_json_of_types_of_ones_own(conn: Connection) -> None:
    conn.execute("CREATE TYPE pair AS (a int, b text)")
    handle = launch(
        conn,
        'SELECT \'(1,"x ""y""")\'::pair AS p, ARRAY[1,2] AS a, \'{"k": [1]}\'::jsonb AS j, ROW(1,2) AS r',
    )
    assert as_json(conn, handle) == [
        {"p": {"a": 1, "b": 'x "y"'}, "a": [1, 2], "j": {"k": [1]}, "r": {"f1": 1, "f2": 2}}
    ]


def test_json_of_more_rows_than_the_queue_holds(conn: Connection) -> None:
    handle = launch(conn, "SELECT n, repeat('x', 100) AS t FROM generate_series(1, 20000) AS n")
    wait(conn, handle)
    assert sum(row["n"] for row in as_json(conn, handle)) == 20000 * 20001 // 2


def test_json_of_a_job_without_rows(conn: Connection) -> None:
    assert as_json(conn, launch(conn, "CREATE TABLE t (a int); INSERT INTO t VALUES (1)")) == [
        {"command_tag": "CREATE TABLE"},
        {"command_tag": "INSERT 0 1"},
    ]
    assert as_json(conn, launch(conn, "")) == []


def test_json_of_a_failed_job_is_its_error(conn: Connection) -> None:
    handle = launch(conn, "SELECT 1/0")
    with pytest.raises(errors.DivisionByZero):
        as_json(conn, handle)


# ---- typed


def test_a_table_stands_for_its_columns(conn: Connection) -> None:
    conn.execute("CREATE TABLE item (id int, dropped text, name varchar(5), price numeric(8,2))")
    conn.execute("ALTER TABLE item DROP COLUMN dropped")
    conn.execute("INSERT INTO item VALUES (1, 'one', 1.5), (2, NULL, NULL)")
    handle = launch(conn, "SELECT * FROM item ORDER BY id")
    rows = typed(conn, handle, "item")
    assert [row[:2] for row in rows] == [(1, "one"), (2, None)]
    assert [str(row[2]) for row in rows] == ["1.50", "None"]


def test_a_column_that_was_added_with_a_default(conn: Connection) -> None:
    conn.execute("CREATE TABLE item (id int)")
    conn.execute("INSERT INTO item VALUES (1)")
    conn.execute("ALTER TABLE item ADD COLUMN name text DEFAULT 'new'")
    assert typed(conn, launch(conn, "TABLE item"), "item") == [(1, "new")]
    # Here nothing but the row itself says what a missing column is.
    assert result(conn, launch(conn, "TABLE item"), "id int, name text") == [(1, "new")]


def test_a_scalar_and_a_composite_type(conn: Connection) -> None:
    conn.execute("CREATE TYPE pair AS (a int, b text)")
    assert typed(conn, launch(conn, "SELECT generate_series(1, 3)"), "int") == [(1,), (2,), (3,)]
    assert typed(conn, launch(conn, "SELECT 1, 'x'::text"), "pair") == [(1, "x")]
    assert typed(conn, launch(conn, "CREATE TABLE t ()"), "text") == [("CREATE TABLE",)]


def test_rows_of_a_type_in_a_target_list(conn: Connection) -> None:
    handle = launch(conn, "SELECT generate_series(1, 3)")
    rows = conn.execute("SELECT pg_background_result(NULL::int, %s, %s)", handle).fetchall()
    assert rows == [(1,), (2,), (3,)]


def test_another_type_is_refused_and_the_rows_stay(conn: Connection) -> None:
    conn.execute("CREATE TABLE item (id int, name text)")
    handle = launch(conn, "SELECT 1, 'x'::text, 2")
    with pytest.raises(errors.DatatypeMismatch) as caught:
        typed(conn, handle, "item")
    assert caught.value.diag.message_detail == "The query returns 3 columns, the column list has 2."
    assert result(conn, handle, "a int, b text, c int") == [(1, "x", 2)]


def test_no_handle_gives_no_rows(conn: Connection) -> None:
    assert conn.execute("SELECT * FROM pg_background_result(NULL::int, NULL, NULL)").fetchall() == []


# ---- all of them


@pytest.mark.parametrize("read", [describe, as_json, lambda conn, handle: typed(conn, handle, "int")])
def test_a_reader_that_is_canceled_takes_nothing(conn: Connection, connect: Connect, read: Any) -> None:
    with nothing_is_left(conn):
        reader = connect()
        with closed_gate(connect()) as gate, at_the_same_time(reader) as call:
            handle = launch(conn, f"{gate.sql}; SELECT 1")
            reading = call(read, reader, handle)
            wait_until_in_extension(conn, reader)
            reader.cancel()
            with pytest.raises(errors.QueryCanceled):
                reading.result()
            gate.open()
            assert result(conn, handle, "n int") == [(1,)]
            gate.close()


def test_two_sessions_may_not_look_at_once(conn: Connection, connect: Connect) -> None:
    reader = connect()
    with closed_gate(connect()) as gate, at_the_same_time(reader) as call:
        handle = start(conn, f"{gate.sql}; SELECT 1")
        reading = call(result, reader, handle, "n int")
        wait_until_in_extension(conn, reader)
        with pytest.raises(psycopg.errors.ObjectInUse, match="being read by another session"):
            describe(conn, handle)
        gate.open()
        assert reading.result() == [(1,)]
        gate.close()
