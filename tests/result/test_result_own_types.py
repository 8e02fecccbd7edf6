"""Values of types that the database defines, and of tables whose shape has changed."""

from __future__ import annotations

import pytest

from ..support.calls import query, read, result_failure
from ..support.fix_db import Connection
from ..support.jobs import launch, result

TYPES = """
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE pair AS (a int, b text);
CREATE TYPE nest AS (p pair, ps pair[], m mood);
CREATE DOMAIN small AS int CHECK (VALUE < 10);
CREATE DOMAIN smaller AS small CHECK (VALUE < 5);
CREATE DOMAIN short AS varchar(5);
CREATE DOMAIN ints AS int[];
CREATE DOMAIN sorted_pair AS pair CHECK ((VALUE).a > 0);
CREATE TYPE small_range AS RANGE (subtype = small);
CREATE TYPE holder AS (s small, d short, i ints)
"""

#: Type, and an expression of it.
VALUES = [
    ("mood", "'ok'::mood"),
    ("mood[]", "ARRAY['sad', NULL, 'happy']::mood[]"),
    ("pair", "(1, 'x')::pair"),
    ("pair", "(NULL, NULL)::pair"),
    ("pair[]", "ARRAY[(1, 'x'), NULL, (2, NULL)]::pair[]"),
    ("nest", "((1, 'x'), ARRAY[(2, 'y')]::pair[], 'sad')::nest"),
    ("small", "7::small"),
    ("smaller", "3::smaller"),
    ("short", "'abc'::short"),
    ("ints", "'{1,2}'::ints"),
    ("small[]", "ARRAY[1, 2]::small[]"),
    ("sorted_pair", "row(1, 'x')::sorted_pair"),
    ("sorted_pair[]", "ARRAY[row(1, 'x')::sorted_pair]"),
    ("small_range", "'[1,4]'::small_range"),
    ("holder", "(1, 'x', '{5}')::holder"),
]

#: A domain may be declared as any of these.
BASES = [
    ("small", "7", ["small", "int"]),
    ("smaller", "3", ["smaller", "int"]),
    ("short", "'abc'", ["short", "varchar", "varchar(5)"]),
    ("ints", "'{1,2}'", ["ints", "int[]"]),
    ("sorted_pair", "row(1, 'x')", ["sorted_pair", "pair"]),
]


@pytest.fixture
def typed(conn: Connection) -> Connection:
    query(conn, TYPES)
    return conn


def test_values(typed: Connection) -> None:
    expressions = ", ".join(expression for _, expression in VALUES)
    columns = ", ".join(f"c{n} {type_}" for n, (type_, _) in enumerate(VALUES))
    texts = ", ".join(f"c{n}::text" for n in range(len(VALUES)))
    expected = query(typed, f"SELECT {', '.join(f'{expression}::text' for _, expression in VALUES)}")
    assert read(typed, f"SELECT {expressions}", columns, texts) == expected


def test_nulls(typed: Connection) -> None:
    job = "SELECT " + ", ".join(f"NULL::{type_}" for type_, _ in VALUES)
    columns = ", ".join(f"c{n} {type_}" for n, (type_, _) in enumerate(VALUES))
    (found,) = read(typed, job, columns, ", ".join(f"c{n} IS NULL" for n in range(len(VALUES))))
    assert set(found) == {True}


@pytest.mark.parametrize(("domain", "literal", "declared"), BASES, ids=[base[0] for base in BASES])
def test_domains_as_themselves_and_as_their_base(
    typed: Connection, domain: str, literal: str, declared: list[str]
) -> None:
    query(typed, f"CREATE TABLE t (x {domain}); INSERT INTO t VALUES ({literal}), (NULL)")
    expected = query(typed, "SELECT x::text FROM t")
    for type_ in declared:
        assert read(typed, "SELECT x FROM t", f"x {type_}", "x::text") == expected, type_


def test_a_base_value_is_not_of_the_domain(typed: Connection) -> None:
    """Its checks would not have been made."""
    handle = launch(typed, "SELECT 100")
    assert result_failure(typed, handle, "x small").sqlstate == "42804"
    assert result(typed, handle, "x int") == [(100,)]


def test_domain_of_the_information_schema(conn: Connection) -> None:
    job = (
        "SELECT table_name, is_typed FROM information_schema.tables"
        " WHERE (table_schema, table_name) = ('pg_catalog', 'pg_class')"
    )
    assert read(conn, job, "a name, b varchar", "a::text, b") == [("pg_class", "NO")]


def test_columns_added_with_a_default_and_dropped(conn: Connection) -> None:
    """Rows from before are shorter than the table, and none are as they were declared."""
    query(conn, "CREATE TABLE t (gone text, a int, b text)")
    query(conn, "INSERT INTO t VALUES ('g', 1, 'old')")
    query(conn, "ALTER TABLE t ADD c int DEFAULT 42, ADD d text DEFAULT 'new', ADD e int")
    query(conn, "INSERT INTO t VALUES ('g', 2, 'mid', 3, 'x', 4)")
    query(conn, "ALTER TABLE t DROP gone, DROP b, ADD f jsonb DEFAULT '{\"k\": 1}'")
    query(conn, "INSERT INTO t VALUES (5, 6, NULL, 7, NULL)")
    expected = [
        (1, 42, "new", None, '{"k": 1}'),
        (2, 3, "x", 4, '{"k": 1}'),
        (5, 6, None, 7, None),
    ]
    columns = "a int, c int, d text, e int, f jsonb"
    assert read(conn, "SELECT * FROM t", columns, "a, c, d, e, f::text") == expected
    assert read(conn, "TABLE t", columns, "a, c, d, e, f::text") == expected
    assert read(conn, "SELECT e, d FROM t", "e int, d text") == [(None, "new"), (4, "x"), (7, None)]


def test_whole_rows_of_a_changed_table(conn: Connection) -> None:
    """As values of the table's type."""
    query(conn, "CREATE TABLE t (a int, gone text, b text); INSERT INTO t VALUES (1, 'g', 'x')")
    query(conn, "ALTER TABLE t ADD c int DEFAULT 42")
    query(conn, "ALTER TABLE t DROP gone")
    query(conn, "INSERT INTO t VALUES (2, NULL, 3)")
    expected = [(1, "x", 42), (2, None, 3)]
    assert read(conn, "SELECT t FROM t", "t t", "(t).a, (t).b, (t).c") == expected
    assert read(conn, "SELECT array_agg(t) FROM t", "ts t[]", "(ts[1]).c, (ts[2]).c") == [(42, 3)]


def test_temporary_type_of_the_job(conn: Connection) -> None:
    """Its table ends with the job; the rows can still be read."""
    job = "CREATE TEMP TABLE t (a int, b text); INSERT INTO t VALUES (1, 'x'); SELECT * FROM t"
    assert read(conn, job, "a int, b text") == [(1, "x")]
