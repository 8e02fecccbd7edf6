"""Columns and values of a job's rows are those of a psycopg session, whatever they are."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import TupleRow, dict_row

from pg_background import Client

from ..support.fix_client import Place
from ..support.fix_db import Connection

AnyClient = Client[TupleRow]

#: A type with modifiers, and a value that shows whether they were understood.
MODIFIED = [
    *((f"interval({digits})", "3 days 04:05:06.789123") for digits in range(7)),
    *(
        (f"interval {field}", "1 day 02:03:04.5")
        for field in ("day", "hour", "minute", "second", "day to hour")
    ),
    ("interval year", "3-2"),
    ("interval year to month", "3-2"),
    ("interval day to minute", "1 day 02:03"),
    ("interval day to second(3)", "1 day 02:03:04.56789"),
    ("interval hour to minute", "02:03"),
    ("interval hour to second(1)", "02:03:04.56"),
    ("interval minute to second(0)", "03:04.56"),
    ("interval second(2)", "4.5678"),
    ("time(3)", "12:34:56.789123"),
    ("timetz(2)", "12:34:56.789123+02"),
    ("timestamp(0)", "2026-01-02 03:04:05.6"),
    ("timestamptz(4)", "2026-01-02 03:04:05.678912+00"),
    ("numeric(12)", "1234.5"),
    ("numeric(12,4)", "1234.56789"),
    ("char", "a"),
    ("char(5)", "a"),
    ("varchar(5)", "abc"),
    ("bpchar", "abc "),
    ("bit", "1"),
    ("bit(3)", "101"),
    ("bit varying", "101"),
    ("varbit(7)", "101"),
]

#: What Python has no value for, and the text of it.
BEYOND_PYTHON = [
    ("date", "infinity", "infinity"),
    ("date", "-infinity", "-infinity"),
    ("date", "0044-03-15 BC", "0044-03-15 BC"),
    ("date", "10000-01-01", "10000-01-01"),
    ("timestamp", "infinity", "infinity"),
    ("timestamp", "10000-01-01 00:00:00", "10000-01-01 00:00:00"),
    ("timestamptz", "-infinity", "-infinity"),
    ("time", "24:00", "24:00:00"),
    ("date[]", "{2026-01-01,infinity}", "{2026-01-01,infinity}"),
    ("daterange", "[2026-01-01,infinity]", "[2026-01-01,infinity]"),
    ("daterange[]", '{"[2026-01-01,infinity)"}', '{"[2026-01-01,infinity)"}'),
    ("tsrange", "[-infinity,infinity)", "[-infinity,infinity)"),
]


def session_result(side: Connection, query: Any) -> tuple[list[TupleRow], list[Any]]:
    cursor = side.execute(query)
    return cursor.fetchall(), described(cursor.description or [])


def described(columns: Any) -> list[Any]:
    return [tuple(column) for column in columns]


@pytest.mark.parametrize(("kind", "value"), MODIFIED)
def test_types_with_modifiers(client: AnyClient, side: Connection, kind: str, value: str) -> None:
    query = f"SELECT '{value}'::{kind} AS one, ARRAY['{value}'::{kind}]::{kind}[] AS many"
    job = client.launch(query)
    rows, columns = session_result(side, query)
    assert list(job.result()) == rows
    assert described(job.result().columns) == columns


@pytest.mark.pg(">= 15")
def test_a_scale_below_zero_or_above_the_precision(client: AnyClient, side: Connection) -> None:
    query = "SELECT 12345::numeric(3,-2), 0.00012::numeric(2,5), ARRAY[12345]::numeric(3,-2)[]"
    rows, columns = session_result(side, query)
    result = client.run(query)
    assert list(result) == rows
    assert described(result.columns) == columns


def test_all_built_in_types(client: AnyClient, side: Connection) -> None:
    (kinds,) = side.execute(
        "SELECT array_agg(format('NULL::%I.%I AS %I', 'pg_catalog', typname, typname)) FROM pg_type"
        " WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype IN ('b', 'r', 'm')"
        # No column can be of these, as they hold what is no type of columns.
        " AND typname <> '_cstring' AND oid NOT IN (SELECT typarray FROM pg_type WHERE typtype = 'c')"
    ).fetchone() or ([],)
    assert len(kinds) > 100
    query = f"SELECT {', '.join(kinds)}"
    rows, columns = session_result(side, query)
    result = client.run(query)
    assert described(result.columns) == columns
    assert list(result) == rows


@pytest.mark.parametrize(("kind", "value", "text"), BEYOND_PYTHON)
def test_values_that_python_can_not_hold(client: AnyClient, kind: str, value: str, text: str) -> None:
    job = client.launch(f"SELECT n, CASE n WHEN 2 THEN '{value}'::{kind} END FROM generate_series(1, 2) n")
    assert job.exception() is None
    for _ in range(2):
        result = job.result()
        assert (len(result), result.rowcount) == (2, 2)
        assert result.texts(1) == [None, text]
        assert result.column(0) == [1, 2]
        with pytest.raises(psycopg.DataError):
            list(result)
        with pytest.raises(psycopg.DataError):
            result.column(1)
    assert f"<td>{escape(text)}</td>" in job.result()._repr_html_()
    assert job.state == "stopped"


def test_a_row_factory_that_fails(client: AnyClient) -> None:
    def broken(cursor: Any) -> Any:
        raise LookupError("no rows of this kind")

    job = client.launch("SELECT 1 AS a", row_factory=broken)
    for _ in range(2):
        with pytest.raises(LookupError, match="no rows of this kind"):
            job.result().one()
        assert job.result().value() == 1


NAMES = [
    *("growth %", "100%s", "%(a)s", "%%", "{}", "{0}", "a{b}c", 'say "hi"', "it's", "two\nlines", "tab\t"),
    *(" ", "\\", "größe", "名前", "e" * 63, "*", "--", "/*", "$1", ":a", "NULL", "select"),
]


def test_names_of_columns(client: AnyClient, side: Connection) -> None:
    query = sql.SQL("SELECT {}").format(
        sql.SQL(", ").join(
            sql.SQL("{} AS {}").format(sql.Literal(n), sql.Identifier(name)) for n, name in enumerate(NAMES)
        )
    )
    rows, columns = session_result(side, query)
    job = client.launch(query)
    assert [column.name for column in job.describe()] == NAMES
    assert list(job.result()) == rows
    assert described(job.result().columns) == columns
    assert list(job.result().to_dicts()[0]) == NAMES
    (page,) = client.launch(query, row_factory=dict_row).fetch()
    assert page == [dict(zip(NAMES, rows[0], strict=True))]


def test_names_of_types_and_schemas(client: AnyClient, side: Connection, place: Place) -> None:
    schema = f"50% {{of}} {place.schema}"
    side.execute(
        sql.SQL(
            "CREATE SCHEMA {0}; CREATE TYPE {0}.{1} AS ENUM ('%s'); CREATE DOMAIN {0}.{2} AS varchar(3)"
        ).format(sql.Identifier(schema), sql.Identifier('odd % "{}"'), sql.Identifier("numeric(5,2)"))
    )
    kind, domain = sql.Identifier(schema, 'odd % "{}"'), sql.Identifier(schema, "numeric(5,2)")
    query = sql.SQL("SELECT '%s'::{}, 'abc'::{}").format(kind, domain)
    assert client.run(query) == [("%s", "abc")]


def test_names_that_people_try(client: AnyClient) -> None:
    job = client.launch("SELECT n, n * 2 AS twice FROM generate_series(1, 4) AS n")
    result = job.result()
    assert result.to_dicts()[:2] == [{"n": 1, "twice": 2}, {"n": 2, "twice": 4}]
    assert result.scalar() == 1
    assert (result.fetchone(), result.fetchmany(2), result.fetchall()) == ((1, 2), [(2, 4), (3, 6)], [(4, 8)])
    assert (result.fetchone(), result.fetchall()) == (None, [])
    # The same at each call.
    assert job.result().fetchall() == [(1, 2), (2, 4), (3, 6), (4, 8)] == list(result)
    assert client.run("SELECT 1 WHERE false").scalar() is None
    assert client.run("SELECT 1 AS a", row_factory=dict_row).fetchone() == {"a": 1}
    with pytest.raises(ValueError, match="no columns"):
        client.run("CREATE TABLE t ()").scalar()


def test_names_that_are_there_twice(client: AnyClient) -> None:
    result = client.run("SELECT 1 AS a, 2 AS a, 3 AS a_2, 4 AS a")
    assert result.to_dicts() == [{"a": 1, "a_3": 2, "a_2": 3, "a_4": 4}]
    assert result.to_arrow().to_pylist() == result.to_dicts()
    assert result.to_polars().rows() == [(1, 2, 3, 4)]


@pytest.fixture
def narrow(place: Place) -> Iterator[Connection]:
    """A connection whose encoding does not have all characters."""
    with psycopg.connect(place.dsn(client_encoding="latin1"), autocommit=True) as made:
        yield made


@pytest.mark.parametrize("transaction", [False, True])
def test_a_narrow_encoding(narrow: Connection, transaction: bool) -> None:
    client = Client(narrow)
    if transaction:
        narrow.execute("BEGIN")
    assert client.run('SELECT %s || chr(8364) AS "größe"', ["ä"]).value() == "ä€"
    with pytest.raises(psycopg.errors.DivisionByZero):
        client.run("SELECT chr(8364), 1/0")
    assert client.run("SELECT chr(8364) AS a", row_factory=dict_row).one() == {"a": "€"}
    assert [*client.launch("SELECT chr(8364)").fetch()] == [[("€",)]]
    assert narrow.info.parameter_status("client_encoding") == "LATIN1"
    assert narrow.execute("SHOW client_encoding").fetchone() == ("LATIN1",)


@pytest.mark.parametrize("setting", ["on", pytest.param("off", marks=pytest.mark.pg("< 19"))])
def test_bytes_whatever_backslashes_mean(place: Place, setting: str) -> None:
    value = bytes(range(256)) + b"\\\\x"
    with psycopg.connect(place.dsn(), options=f"-c standard_conforming_strings={setting}") as connection:
        client = Client(connection)
        row = client.run(
            "SELECT %s, %s, %s, %s", [value, bytearray(value), memoryview(value), [value, None]]
        ).one()
        assert row == (value, value, value, [value, None])
        assert client.run("SELECT %(a)s::text", {"a": "C:\\new"}).value() == "C:\\new"
