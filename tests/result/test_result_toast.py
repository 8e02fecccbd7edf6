"""Large values, however they are stored, even when their table is gone before they are read."""

from __future__ import annotations

import pytest

from ..support.calls import query, read, read_result, value
from ..support.fix_db import Connection
from ..support.jobs import launch, wait

#: Storage of the column, and an expression of what is in it.
STORED = {
    "plain": ("PLAIN", "repeat('p', 1000)"),
    "inline, compressed": ("MAIN", "repeat('m', 100000)"),
    "external": ("EXTERNAL", "repeat('e', 1000000)"),
    "external, compressed": (
        "EXTENDED",
        "(SELECT string_agg(md5(g::text), '') FROM generate_series(1, 50000) g)",
    ),
    "empty": ("EXTENDED", "''"),
    "null": ("EXTENDED", "NULL"),
}


def compressions(conn: Connection) -> list[str]:
    """Return those that the server was built with."""
    names = value(conn, "SELECT enumvals FROM pg_settings WHERE name = 'default_toast_compression'")
    return list(names)


@pytest.mark.parametrize(("storage", "expression"), STORED.values(), ids=STORED)
def test_stored(conn: Connection, storage: str, expression: str) -> None:
    for compression in compressions(conn):
        query(conn, "DROP TABLE IF EXISTS t")
        query(conn, f"CREATE TABLE t (id int, x text COMPRESSION {compression}, y text DEFAULT 'after')")
        query(conn, f"ALTER TABLE t ALTER x SET STORAGE {storage}")
        query(conn, f"INSERT INTO t SELECT g, {expression} FROM generate_series(1, 3) g")
        expected = query(conn, "SELECT id, md5(x), length(x), y FROM t ORDER BY id")
        found = read(
            conn,
            "SELECT * FROM t ORDER BY id",
            "id int, x text, y text",
            "id, md5(x), length(x), y",
        )
        assert found == expected


def test_table_gone_before_the_result_is_read(conn: Connection) -> None:
    query(conn, "CREATE TABLE t (x text)")
    query(conn, "ALTER TABLE t ALTER x SET STORAGE EXTERNAL")
    query(conn, "INSERT INTO t SELECT repeat(g::text, 100000) FROM generate_series(1, 9) g")
    expected = query(conn, "SELECT md5(x) FROM t")
    handles = []
    for job in ("SELECT x FROM t", "TABLE t", "SELECT ARRAY[x] FROM t", "DELETE FROM t RETURNING x"):
        handles.append(launch(conn, job, queue_size=64 if job == "TABLE t" else 0))
        wait(conn, handles[-1])
    query(conn, "VACUUM t")
    query(conn, "DROP TABLE t")
    for n, handle in enumerate(handles):
        columns, select = ("x text[]", "md5(x[1])") if n == 2 else ("x text", "md5(x)")
        assert read_result(conn, handle, columns, select) == expected


def test_large_values_within_others(conn: Connection) -> None:
    query(conn, "CREATE TYPE pair AS (a text, b jsonb)")
    query(conn, "CREATE TABLE t (x text, p pair, j jsonb)")
    query(
        conn,
        "INSERT INTO t SELECT x, row(x, to_jsonb(x))::pair, jsonb_build_array(x, x)"
        " FROM (SELECT string_agg(md5(g::text), '') AS x FROM generate_series(1, 20000) g) s",
    )
    job = "SELECT t, ARRAY[x, x], p, j, row(x) FROM t"
    select = "md5(t::text), md5(xs::text), md5(p::text), md5(j::text), md5(r)"
    expected = query(
        conn, f"SELECT {select} FROM (SELECT t, ARRAY[x, x] AS xs, p, j, row(x)::text AS r FROM t) s"
    )
    handle = launch(conn, job)
    wait(conn, handle)
    query(conn, "TRUNCATE t")
    assert read_result(conn, handle, "t t, xs text[], p pair, j jsonb, r text", select) == expected


@pytest.mark.parametrize("queue_size", [64, 65536, 4 << 20])
@pytest.mark.parametrize("finished", [True, False])
def test_fifty_megabytes_in_one_value(conn: Connection, queue_size: int, finished: bool) -> None:
    handle = launch(conn, "SELECT repeat('0123456789', 5 << 20), 'end'", queue_size=queue_size)
    if finished:
        wait(conn, handle)
    found = read_result(conn, handle, "x text, y text", "length(x), md5(x), y")
    assert found == query(conn, "SELECT 50 << 20, md5(repeat('0123456789', 5 << 20)), 'end'")


@pytest.mark.parametrize("size", [32_600, 32_720, 32_750, 32_768, 32_800, 65_500, 65_536, 70_000])
def test_rows_about_as_large_as_a_message(conn: Connection, size: int) -> None:
    job = f"SELECT g, repeat(chr(96 + g), {size} + g) FROM generate_series(1, 20) g"
    found = read(conn, job, "g int, x text", "g, length(x), left(x, 1), right(x, 1)")
    assert found == [(g, size + g, chr(96 + g), chr(96 + g)) for g in range(1, 21)]


def test_sizes_of_every_remainder(conn: Connection) -> None:
    """Alignment, at each end."""
    job = "SELECT g, repeat('x', g), g FROM generate_series(0, 3000) g"
    found = read(conn, job, "g int, x text, h int", "count(*), bool_and(length(x) = g AND g = h)")
    assert found == [(3001, True)]


def test_expanded_values(conn: Connection) -> None:
    """Arrays as PL/pgSQL keeps them."""
    query(
        conn,
        "CREATE FUNCTION built(n int) RETURNS int[] LANGUAGE plpgsql AS $$ DECLARE a int[] := '{}';"
        " BEGIN FOR i IN 1..n LOOP a[i] := i; END LOOP; RETURN a; END $$",
    )
    job = "SELECT built(n) FROM (VALUES (0), (1), (5000)) v(n)"
    found = read(conn, job, "a int[]", "cardinality(a), (SELECT coalesce(sum(x), 0) FROM unnest(a) x)")
    assert found == [(0, 0), (1, 1), (5000, 12502500)]
