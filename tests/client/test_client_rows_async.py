"""What goes into a job, and the rows that come out, are as in psycopg."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import TupleRow, class_row, dict_row, scalar_row
from psycopg.types.json import Jsonb

from pg_background import AsyncClient

from ..support.fix_client import Place
from ..support.fix_db import Connection

AnyClient = AsyncClient[TupleRow]


async def test_rows_have_names_and_types(aclient: AnyClient) -> None:
    job = await aclient.launch(
        "SELECT 1::int8 AS n, 'a'::text, '2026-01-02'::date AS day, 1.50 AS price, ARRAY[1, NULL] AS list, "
        'NULL::point AS nothing, \'{"a": [1]}\'::jsonb AS json, true AS "Yes, quoted"'
    )
    result = await job.result()
    assert result == [(1, "a", date(2026, 1, 2), Decimal("1.50"), [1, None], None, {"a": [1]}, True)]
    assert [column.name for column in result.columns] == [
        *("n", "text", "day", "price", "list", "nothing", "json", "Yes, quoted")
    ]
    assert (result.rowcount, result.statusmessage) == (1, "SELECT 1")


async def test_the_result_stays_with_the_job(aclient: AnyClient) -> None:
    job = await aclient.launch("SELECT generate_series(1, 3)")
    assert await job.result() is await job.result()
    assert await job.state == "stopped"
    assert await job.done()
    assert await job.wait(0)


async def test_two_columns_of_one_name(aclient: AnyClient) -> None:
    result = await aclient.run("SELECT 1, 2")
    assert result == [(1, 2)]
    assert [column.name for column in result.columns] == ["?column?", "?column?"]


async def test_types_outside_of_the_search_path(aclient: AnyClient, side: Connection, place: Place) -> None:
    side.execute(f"""
        CREATE SCHEMA "A part of {place.schema}";
        SET search_path = "A part of {place.schema}";
        CREATE TYPE "Odd "" name" AS ENUM ('one', 'two');
        CREATE DOMAIN int4 AS numeric(5, 2)""")
    apart = f'"A part of {place.schema}"'
    value = f"""'two'::{apart}."Odd "" name\""""
    (row,) = await aclient.run(f"SELECT {value}, ARRAY[{value}], 1::{apart}.int4, 2::int4")
    assert row == ("two", "{two}", Decimal("1.00"), 2)


async def test_columns_know_their_precision(aclient: AnyClient) -> None:
    result = await aclient.run(
        "SELECT 1::numeric(5, 2), 'a'::varchar(7), 'b'::char(3), now()::timestamptz(3), '{1}'::numeric(7)[]"
    )
    known = [(column.precision, column.scale, column.display_size) for column in result.columns]
    assert known[:4] == [(5, 2, None), (None, None, 7), (None, None, 3), (3, None, None)]
    assert result.one()[2] == "b  "


async def test_a_statement_without_rows(aclient: AnyClient, side: Connection) -> None:
    side.execute("CREATE TABLE t (a int)")
    result = await aclient.run("INSERT INTO t SELECT generate_series(1, 5)")
    assert (list(result), result.columns, result.rowcount) == ([], (), 5)
    assert result.statusmessage == "INSERT 0 5"


async def test_a_select_without_columns(aclient: AnyClient) -> None:
    """Its rows are there, as those of a session."""
    query = "SELECT FROM generate_series(1, 3)"
    result = await aclient.run(query)
    assert result == [(), (), ()]
    assert (len(result), result.rowcount, result.columns) == (3, 3, ())
    assert result.statusmessage == "SELECT 3"
    assert result.to_dicts() == await aclient.run(query, row_factory=dict_row) == [{}, {}, {}]
    assert [page async for page in (await aclient.launch(query)).fetch(2)] == [[(), ()], [()]]
    assert await aclient.run("SELECT WHERE false") == []
    assert await aclient.run("CREATE TABLE of_no_columns (); INSERT INTO of_no_columns DEFAULT VALUES") == []
    assert await aclient.run("TABLE of_no_columns") == [()]
    assert await aclient.run("INSERT INTO of_no_columns DEFAULT VALUES", row_factory=scalar_row) == []


async def test_an_empty_query(aclient: AnyClient) -> None:
    assert await aclient.run("") == []


@dataclass
class Point:
    x: int
    y: int


async def test_row_factories(aclient: AnyClient) -> None:
    query = "SELECT 1 AS x, 2 AS y"
    assert await aclient.run(query, row_factory=dict_row) == [{"x": 1, "y": 2}]
    points = await aclient.run(query, row_factory=class_row(Point))
    assert points.one() == Point(1, 2)
    job = await aclient.launch(query, row_factory=scalar_row)
    assert list(await job.result()) == [1]
    assert (await job.result()).column(1) == [2]


async def test_the_clients_row_factory(place: Place) -> None:
    async with AsyncClient(place.dsn(), row_factory=dict_row) as client:
        assert (await client.run("SELECT 1 AS a")).one()["a"] == 1
        assert await (await client.launch("SELECT 1 AS a")).result() == [{"a": 1}]


async def test_one_and_value(aclient: AnyClient) -> None:
    result = await aclient.run("SELECT 40 + 2 AS answer", row_factory=dict_row)
    assert result.value() == 42
    several = await aclient.run("SELECT generate_series(1, 2)")
    with pytest.raises(ValueError, match="2 rows, not one"):
        several.one()
    with pytest.raises(ValueError, match="0 rows, not one"):
        (await aclient.run("SELECT 1 WHERE false")).value()


@pytest.mark.parametrize(
    ("query", "params", "row"),
    [
        ("SELECT %s + 1, %s, %s", [41, "it's; --", None], (42, "it's; --", None)),
        (
            "SELECT %(a)s, %(b)s::date, %(a)s",
            {"a": [1, 2], "b": "2026-01-02"},
            ([1, 2], date(2026, 1, 2), [1, 2]),
        ),
        (b"SELECT %s || '%%'", ["5"], ("5%",)),
        ("SELECT '%%s', 5 %% 3", [], ("%s", 2)),
        ("SELECT '100%', 5 % 3", None, ("100%", 2)),
        ("SELECT %s, %b, %t", [b"\x00\xff", 1.5, True], (b"\x00\xff", 1.5, True)),
        ("SELECT %s", [Jsonb({"a": None})], ({"a": None},)),
        ("SELECT %s, -%s", [Decimal("1.10"), 2**40], (Decimal("1.10"), -(2**40))),
        (sql.SQL("SELECT {} AS {}").format(sql.Placeholder(), sql.Identifier("a b")), ["x"], ("x",)),
        (sql.SQL("SELECT {}").format("literal"), None, ("literal",)),
    ],
)
async def test_queries_as_in_psycopg(aclient: AnyClient, query: Any, params: Any, row: TupleRow) -> None:
    assert await aclient.run(query, params) == [row]


@pytest.mark.parametrize(
    ("query", "params", "message"),
    [
        ("SELECT %s", [], "more placeholders than the 0 parameters"),
        ("SELECT %s", [1, 2], "1 placeholders but 2 parameters"),
        ("SELECT %(a)s", {"b": 1}, "parameter missing: a"),
        ("SELECT %(a)s", [1], "need a mapping"),
        ("SELECT %s", {"a": 1}, "need a sequence"),
        ("SELECT %d", [1], "got '%d'"),
        ("SELECT 5 %", [], "got '%'"),
        ("SELECT %s", [object()], "cannot adapt type 'object'"),
    ],
)
async def test_parameters_that_do_not_fit(aclient: AnyClient, query: str, params: Any, message: str) -> None:
    with pytest.raises(psycopg.ProgrammingError, match=message):
        await aclient.launch(query, params)


async def test_what_is_no_query(aclient: AnyClient) -> None:
    with pytest.raises(TypeError, match="not int"):
        await aclient.launch(5)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="params must be a sequence or a mapping, not str"):
        await aclient.launch("SELECT %s", "a")
