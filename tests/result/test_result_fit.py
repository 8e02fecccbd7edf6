"""Lengths, precisions and checks of the reader's columns hold, as for an INSERT, under any settings."""

from __future__ import annotations

import psycopg
import pytest

from ..support.calls import query, read_result
from ..support.fix_db import Connect, Connection
from ..support.jobs import launch, result, wait
from .test_describe import as_json

#: Of the job, then of the reader.
SETTINGS = [
    ({}, {}),
    ({"DateStyle": "German, DMY", "TimeZone": "Asia/Kolkata"}, {"DateStyle": "SQL, MDY", "TimeZone": "UTC"}),
    ({"DateStyle": "SQL, DMY", "TimeZone": "America/St_Johns"}, {"DateStyle": "Postgres, MDY"}),
    ({"DateStyle": "Postgres, YMD", "IntervalStyle": "sql_standard"}, {"IntervalStyle": "iso_8601"}),
    # Abbreviations that are other zones' names too: India's and Israel's.
    ({}, {"DateStyle": "SQL, DMY", "TimeZone": "Asia/Kolkata"}),
    (
        {"DateStyle": "German", "TimeZone": "Asia/Kolkata"},
        {"DateStyle": "German", "TimeZone": "Asia/Kolkata"},
    ),
    ({"IntervalStyle": "postgres_verbose"}, {"IntervalStyle": "sql_standard", "TimeZone": "Asia/Jerusalem"}),
    ({"bytea_output": "escape", "extra_float_digits": "-15"}, {"extra_float_digits": "3"}),
    ({"lc_monetary": "C", "xmloption": "content"}, {"xmloption": "document", "search_path": ""}),
]

#: An expression, its type in the job, and one that the reader declares.
FITTED = [
    ("'2026-02-03 04:05:06.789012+02'::timestamptz", "timestamptz", "timestamptz(2)"),
    ("'0044-03-15 04:05:06.78 BC'::timestamptz", "timestamptz", "timestamptz(0)"),
    ("'infinity'::timestamptz", "timestamptz", "timestamptz(1)"),
    ("'2026-02-03 04:05:06.789'::timestamp", "timestamp", "timestamp(1)"),
    ("'04:05:06.789'::time", "time", "time(0)"),
    ("'04:05:06.789-03:30'::timetz", "timetz", "timetz(1)"),
    ("'-1 year -2 mons 3 days -04:05:06.789'::interval", "interval", "interval(1)"),
    ("'1 year 2 mons 3 days 04:05:06.789'::interval", "interval", "interval year to month"),
    ("'-1 days +02:03:04'::interval", "interval", "interval hour to minute"),
    ("1234.5678::numeric", "numeric", "numeric(6,2)"),
    ("'NaN'::numeric", "numeric", "numeric(6,2)"),
    ("1234.56::numeric(6,2)", "numeric(6,2)", "numeric(5,1)"),
    ("'abc'::varchar", "varchar", "varchar(3)"),
    ("'abc   '::varchar", "varchar", "varchar(4)"),
    ("'abc'::bpchar", "bpchar", "char(5)"),
    ("'abc  '::char(5)", "char(5)", "char(3)"),
    ("B'101'::bit(3)", "bit(3)", "bit(3)"),
    ("B'101'::varbit", "varbit", "varbit(3)"),
    ("ARRAY['2026-02-03 04:05:06.789+02', NULL]::timestamptz[]", "timestamptz[]", "timestamptz(0)[]"),
    ("'[0:1][2:3]={{1.25,2.25},{NULL,4.55}}'::numeric[]", "numeric[]", "numeric(5,1)[]"),
    ("ARRAY['abc', 'de ']::varchar[]", "varchar[]", "varchar(3)[]"),
    ("ARRAY['1.789 s']::interval[]", "interval[]", "interval(1)[]"),
    ("ARRAY['abc']::bpchar[]", "bpchar[]", "char(4)[]"),
]

#: What no value may be, and the error that an INSERT has for it.
UNFIT = [
    ("'abcd'::varchar", "varchar(3)", "22001"),
    ("'abcd'::bpchar", "char(3)", "22001"),
    ("B'101'::bit(3)", "bit(2)", "22026"),
    ("B'1011'::varbit", "varbit(3)", "22001"),
    ("12345::numeric", "numeric(4,1)", "22003"),
    ("ARRAY['abc', 'abcd']::varchar[]", "varchar(3)[]", "22001"),
    ("ARRAY[12345]::numeric[]", "numeric(4,1)[]", "22003"),
]


def configure(conn: Connection, settings: dict[str, str]) -> None:
    for name, setting in settings.items():
        query(conn, "SELECT set_config(%s, %s, false)", name, setting)


@pytest.mark.parametrize(("job", "reader"), SETTINGS)
def test_fitted(conn: Connection, connect: Connect, job: dict[str, str], reader: dict[str, str]) -> None:
    """To what an INSERT … SELECT makes of it."""
    launcher, session = connect(), connect()
    query(launcher, "SET search_path = public")
    configure(launcher, job)
    configure(session, reader)
    query(session, "SET search_path = public")
    for expression, sent, declared in FITTED:
        query(conn, f"CREATE TABLE kept (y {sent}); CREATE TABLE fit (x {declared})")
        query(conn, f"INSERT INTO kept SELECT {expression}; INSERT INTO fit TABLE kept")
        handle = launch(launcher, "SELECT y, y FROM kept")
        found = query(
            session,
            "SELECT r.x = fit.x, r.x::text = fit.x::text, r.y = kept.y"
            f" FROM fit, kept, pg_background_result{tuple(handle)} AS r (x {declared}, y {sent})",
        )
        assert found == [(True, True, True)], declared
        query(conn, "DROP TABLE kept, fit")


@pytest.mark.parametrize(("expression", "declared", "code"), UNFIT)
def test_unfit(conn: Connection, expression: str, declared: str, code: str) -> None:
    """As an assignment: never cut off silently."""
    query(conn, f"CREATE TABLE t (x {declared})")
    with pytest.raises(psycopg.Error) as inserted:
        query(conn, f"INSERT INTO t SELECT {expression}")
    handle = launch(conn, f"SELECT {expression}")
    with pytest.raises(psycopg.Error) as read:
        result(conn, handle, f"x {declared}")
    assert (read.value.sqlstate, read.value.diag.message_primary) == (
        code,
        inserted.value.diag.message_primary,
    )


def test_a_text_that_is_too_long(conn: Connection) -> None:
    """Of a type that is read as text."""
    query(conn, "CREATE TYPE pair AS (a int, b text)")
    with pytest.raises(psycopg.errors.StringDataRightTruncation):
        result(conn, launch(conn, "SELECT row(1, 'x')::pair"), "x varchar(4)")
    assert result(conn, launch(conn, "SELECT row(1, 'x')::pair"), "x varchar(5)") == [("(1,x)",)]


# ---- values within others, whatever the settings

DEEP = """
CREATE TYPE mood AS ENUM ('ok', 'sa"d, ');
CREATE DOMAIN short AS varchar(5);
CREATE TYPE moments AS RANGE (subtype = timestamptz);
CREATE TYPE money_range AS RANGE (subtype = money);
CREATE TYPE deep AS (
    at timestamptz, i interval, d date, f float8, f4 float4, b bytea, m money, x xml, n numeric(7,3), s short,
    mood mood, moods mood[], ats timestamptz[], span moments, spans moments[], cash money_range, c regclass,
    j jsonb, ts tsvector, nothing int
);
CREATE TYPE deeper AS (a deep, b deep[], t text)
"""

VALUE = """
row(row('2026-02-03 04:05:06.789012+02', '-1 year 2 mons -3 days 04:05:06.7', '2026-03-02', 0.1::float8 + 0.2,
    '1e-30', '\\x00ff5c', '-1234.5', 'a<b/>c', 1.5, 'abc', 'sa"d, ', '{ok,NULL,"sa\\"d, "}',
    '{2026-02-03 04:05:06+02}', '[2026-02-03 04:05:06+02,2027-01-01 00:00:00.5+00)',
    ARRAY['(,2026-02-03 04:05:06+02]'::moments], '[-5.5,6)', 'pg_class', '{"k": [1, 1e400]}', 'a:1A b', NULL),
    ARRAY[NULL, row(NULL, '1 day', NULL, 'NaN', '-Infinity', '', 0, NULL, NULL, '', 'ok', '{}', '{}', 'empty',
    '{}', NULL, 'pg_proc', 'null', '', 7)]::deep[], E'\\t"\\\\(,)')::deeper
"""


@pytest.mark.parametrize(("job", "reader"), SETTINGS)
def test_values_within_others(
    conn: Connection, connect: Connect, job: dict[str, str], reader: dict[str, str]
) -> None:
    query(conn, DEEP)
    expression = VALUE if has_xml(conn) else VALUE.replace("'a<b/>c'", "NULL")
    query(conn, f"CREATE TABLE kept AS SELECT {expression} AS x")
    launcher, session = connect(), connect()
    configure(launcher, job)
    query(session, "SET search_path = public")
    configure(session, {name: v for name, v in reader.items() if name != "search_path"})
    handles = [launch(launcher, "TABLE kept") for _ in range(3)]
    for handle in handles:
        wait(launcher, handle)
    query(
        session,
        f"CREATE TEMP TABLE got AS SELECT * FROM pg_background_result{tuple(handles[0])} AS (x deeper)",
    )
    assert query(session, "SELECT got.x::text = kept.x::text, pg_column_size(got.x) FROM got, kept") == query(
        session, "SELECT true, pg_column_size(x) FROM kept"
    )
    # Text is what the reader's session makes of it, but for the ranges, which come as they were written.
    assert len(result(session, handles[1], "x text")) == 1
    (found,) = as_json(session, handles[2])
    ((expected,),) = query(session, "SELECT to_json(x) FROM kept")
    assert {**found["x"]["a"], "span": 0, "spans": 0, "cash": 0} == {
        **expected["a"],
        "span": 0,
        "spans": 0,
        "cash": 0,
    }


def has_xml(conn: Connection) -> bool:
    try:
        query(conn, "SELECT '<a/>'::xml")
    except psycopg.errors.FeatureNotSupported:
        return False
    return True


# ---- domains


DOMAINS = """
CREATE DOMAIN small AS int CHECK (VALUE < 100);
CREATE DOMAIN smaller AS small NOT NULL CHECK (VALUE < 50);
CREATE DOMAIN short AS varchar(3) CHECK (VALUE <> 'bad');
CREATE DOMAIN smalls AS small[] CHECK (cardinality(VALUE) < 3);
CREATE TYPE pair AS (a small, b short);
CREATE DOMAIN good_pair AS pair CHECK ((VALUE).a > 0);
CREATE DOMAIN pairs AS good_pair[] CHECK (cardinality(VALUE) > 0)
"""

#: A domain, a value, a constraint that comes after the job, and the domain that has it.
TIGHTENED = [
    ("small", "7", "small", "CHECK (VALUE > 7)"),
    ("smaller", "7", "small", "CHECK (VALUE > 7)"),
    ("smaller", "7", "smaller", "CHECK (VALUE > 7)"),
    ("short", "'abc'", "short", "CHECK (length(VALUE) < 3)"),
    ("small[]", "'{1,7}'", "small", "CHECK (VALUE <> 7)"),
    ("smalls", "'{1,7}'", "small", "CHECK (VALUE <> 7)"),
    ("smalls", "'{1,7}'", "smalls", "CHECK (cardinality(VALUE) < 2)"),
    ("pair", "row(1, 'abc')", "short", "CHECK (VALUE <> 'abc')"),
    ("pair[]", "ARRAY[NULL, row(1, 'abc')::pair]", "short", "CHECK (VALUE <> 'abc')"),
    ("good_pair", "row(1, 'abc')", "good_pair", "CHECK ((VALUE).b <> 'abc')"),
    ("good_pair", "row(1, 'abc')", "small", "CHECK (VALUE <> 1)"),
    ("pairs", "ARRAY[row(1, 'abc')::good_pair]", "pairs", "CHECK (cardinality(VALUE) > 1)"),
    ("pairs", "ARRAY[row(1, 'abc')::good_pair]", "good_pair", "CHECK ((VALUE).a > 1)"),
]


@pytest.mark.parametrize(("type_", "expression", "domain", "constraint"), TIGHTENED)
def test_domains_hold(conn: Connection, type_: str, expression: str, domain: str, constraint: str) -> None:
    """A value is not of a domain that has got constraints which it did not pass."""
    query(conn, DOMAINS)
    handles = [launch(conn, f"SELECT ({expression})::{type_} AS x") for _ in range(2)]
    for handle in handles:
        wait(conn, handle)
    assert read_result(conn, handles[0], f"x {type_}", "pg_typeof(x)::text") == [(type_,)]
    query(conn, f"ALTER DOMAIN {domain} ADD CONSTRAINT later {constraint} NOT VALID")
    with pytest.raises(psycopg.errors.DatatypeMismatch, match="has changed since the job ran"):
        result(conn, handles[1], f"x {type_}")
    query(conn, f"ALTER DOMAIN {domain} DROP CONSTRAINT later")
    assert read_result(conn, handles[1], f"x {type_}", "pg_typeof(x)::text") == [(type_,)]


def test_nulls_that_a_domain_forbids(conn: Connection) -> None:
    query(conn, "CREATE DOMAIN d AS int; CREATE TYPE c AS (d d)")
    for type_, expression in (("d", "NULL"), ("d[]", "'{NULL}'"), ("c", "row(NULL)")):
        handle = launch(conn, f"SELECT ({expression})::{type_}")
        wait(conn, handle)
        query(conn, "ALTER DOMAIN d SET NOT NULL")
        with pytest.raises(psycopg.errors.DatatypeMismatch, match="has changed since the job ran"):
            result(conn, handle, f"x {type_}")
        query(conn, "ALTER DOMAIN d DROP NOT NULL")


#: What a job of each has that the domain forbids, for each domain to be declared as itself.
LET_OFF = {
    "a NULL of an outer join": (
        "CREATE DOMAIN d AS text NOT NULL; CREATE TABLE t (a int, x d)",
        "SELECT t.x FROM generate_series(1, 1) AS g LEFT JOIN t ON t.a = g",
        "d",
    ),
    "a row older than a constraint": (
        "CREATE DOMAIN d AS int; CREATE TABLE t (x d); INSERT INTO t VALUES (-1);"
        " ALTER DOMAIN d ADD CHECK (VALUE > 0) NOT VALID",
        "SELECT x FROM t",
        "d",
    ),
    "a whole row": (
        "CREATE DOMAIN d AS int; CREATE TABLE t (x d); INSERT INTO t VALUES (-1);"
        " ALTER DOMAIN d ADD CHECK (VALUE > 0) NOT VALID",
        "SELECT t FROM t",
        "t",
    ),
    "an array": (
        "CREATE DOMAIN d AS int; CREATE TABLE t (x d[]); INSERT INTO t VALUES ('{-1,NULL}');"
        " ALTER DOMAIN d ADD CHECK (VALUE > 0) NOT VALID",
        "SELECT x FROM t",
        "d[]",
    ),
    "a range": (
        "CREATE DOMAIN d AS int; CREATE TYPE r AS RANGE (subtype = d); CREATE TABLE t (x r);"
        " INSERT INTO t VALUES ('[-1,2)'); ALTER DOMAIN d ADD CHECK (VALUE > 0) NOT VALID",
        "SELECT x FROM t",
        "r",
    ),
    "a domain over it": (
        "CREATE DOMAIN b AS int; CREATE DOMAIN d AS b; CREATE TABLE t (x d); INSERT INTO t VALUES (-1);"
        " ALTER DOMAIN b ADD CHECK (VALUE > 0) NOT VALID",
        "SELECT x FROM t",
        "d",
    ),
}


@pytest.mark.parametrize(("make", "job", "type_"), LET_OFF.values(), ids=LET_OFF)
def test_what_a_domain_has_let_off(conn: Connection, make: str, job: str, type_: str) -> None:
    """An INSERT … SELECT takes it, which does not check what is of the domain already."""
    query(conn, make)
    query(conn, f"CREATE TABLE copy (x {type_}); INSERT INTO copy {job}")
    handle = launch(conn, job)
    assert read_result(conn, handle, f"x {type_}", "x::text") == query(conn, "SELECT x::text FROM copy")


def test_a_check_that_has_been_validated(conn: Connection) -> None:
    """Before, it let off what the job has read; now it binds all."""
    query(
        conn,
        "CREATE DOMAIN d AS int; CREATE TABLE t (x d); INSERT INTO t VALUES (-1);"
        " ALTER DOMAIN d ADD CONSTRAINT later CHECK (VALUE > 0) NOT VALID",
    )
    handle = launch(conn, "DELETE FROM t RETURNING x")
    wait(conn, handle)
    query(conn, "ALTER DOMAIN d VALIDATE CONSTRAINT later")
    with pytest.raises(psycopg.errors.DatatypeMismatch):
        result(conn, handle, "x d")
    assert result(conn, handle, "x int") == [(-1,)]


def test_rows_as_a_domain(conn: Connection) -> None:
    """Nobody would check them; without constraints there is nothing to check."""
    query(
        conn,
        "CREATE TYPE pair AS (a int, b text); CREATE DOMAIN free AS pair; CREATE DOMAIN good AS free"
        " CHECK ((VALUE).a > 0); CREATE DOMAIN full_pair AS pair NOT NULL",
    )
    handle = launch(conn, "SELECT -1, 'x'")
    for given in ("NULL::good", "row(1, 'y')::full_pair"):
        with pytest.raises(psycopg.errors.DatatypeMismatch) as caught:
            query(conn, f"SELECT * FROM pg_background_result({given}, %s, %s)", *handle)
        assert caught.value.diag.message_hint == "Give the type that it is based on, and cast the rows."
    assert query(conn, "SELECT * FROM pg_background_result(NULL::free, %s, %s)", *handle) == [(-1, "x")]


# ---- arrays of arrays, and ranges


def test_whole_values_under_other_settings(conn: Connection, connect: Connect) -> None:
    """What they hold is not read from text, where NULL may be a word and a name another object."""
    query(
        conn,
        "CREATE DOMAIN texts AS text[]; CREATE DOMAIN numbers AS int[]; CREATE DOMAIN classes AS regclass[];"
        "CREATE TYPE classes_range AS RANGE (subtype = regclass); CREATE TABLE tab (a int)",
    )
    job = (
        "SELECT ARRAY[ARRAY['a', NULL, 'NULL']::texts] AS a, ARRAY['{1,NULL}'::numbers] AS b,"
        " ARRAY[ARRAY['tab'::regclass]::classes] AS c, classes_range('tab', NULL) AS d"
    )
    oid = query(conn, "SELECT 'tab'::regclass::oid::text")[0][0]
    reader = connect()
    configure(reader, {"array_nulls": "off", "xmloption": "document", "search_path": "public"})
    handle = launch(conn, job)
    wait(conn, handle)
    query(conn, "ALTER TABLE tab RENAME TO old; CREATE TABLE tab (a int)")
    assert read_result(
        reader,
        handle,
        "a texts[], b numbers[], c classes[], d classes_range",
        "(a[1])[2] IS NULL, (a[1])[3], (b[1])[2] IS NULL, (c[1])[1]::oid::text, lower(d)::oid::text",
    ) == [(True, "NULL", True, oid, oid)]


def test_fields_that_have_changed_places(conn: Connection) -> None:
    """A whole value has them where they were."""
    query(conn, "CREATE TYPE c AS (a int); CREATE TYPE r AS RANGE (subtype = c)")
    handle = launch(conn, "SELECT r(row(1), row(2)) AS x")
    wait(conn, handle)
    query(conn, "ALTER TYPE c DROP ATTRIBUTE a, ADD ATTRIBUTE a int")
    with pytest.raises(psycopg.errors.DatatypeMismatch):
        result(conn, handle, "x r")
    assert result(conn, handle, "x text") == [('["(1)","(2)")',)]


def test_a_domain_as_what_it_is_based_on(conn: Connection) -> None:
    """At any depth, and then to any length."""
    query(conn, DOMAINS)
    for declared in ("smaller", "small", "int"):
        assert result(conn, launch(conn, "SELECT 7::smaller"), f"x {declared}") == [(7,)]
    for declared in ("good_pair", "pair", "text"):
        assert len(result(conn, launch(conn, "SELECT row(1, 'abc')::good_pair"), f"x {declared}")) == 1
    assert result(conn, launch(conn, "SELECT 'abc'::short"), "x varchar(5)") == [("abc",)]
    with pytest.raises(psycopg.errors.StringDataRightTruncation):
        result(conn, launch(conn, "SELECT 'abc'::short"), "x varchar(2)")
