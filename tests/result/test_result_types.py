"""Values of every type come out of a job as they are in a session."""

from __future__ import annotations

import psycopg
import pytest

from ..support.calls import query, read
from ..support.fix_db import Connection
from ..support.jobs import run

#: An expression for a value of each type; more of them for types whose values differ in form.
VALUES = {
    "bool": ["true", "false"],
    "int2": ["'-32768'::int2"],
    "int4": ["2147483647"],
    "int8": ["'-9223372036854775808'::int8"],
    "oid": ["4294967295::oid"],
    "float4": ["'1e-30'::float4", "'-Infinity'::float4"],
    "float8": ["'NaN'::float8", "pi()"],
    "numeric": ["repeat('9', 500)::numeric + 0.5", "'NaN'::numeric", "0.000"],
    "money": ["'-1.5'::money"],
    "text": ["'ä€𝄞'::text", "''::text", r"E'tab\tnewline\n'::text"],
    "varchar": ["'v'::varchar"],
    "bpchar": ["'pad '::bpchar"],
    '"char"': ["'c'::\"char\""],
    "name": ["'a_name'::name", "repeat('n', 63)::name"],
    "bytea": [r"'\x00ff00'::bytea", "''::bytea"],
    "date": ["'infinity'::date", "'4713-01-01 BC'::date"],
    "time": ["'24:00'::time"],
    "timetz": ["'01:02:03.000004+05:30'::timetz"],
    "timestamp": ["'-infinity'::timestamp"],
    "timestamptz": ["'2026-01-02 03:04:05.678901+02'::timestamptz"],
    "interval": ["'-1 year 2 mons -3 days 04:05:06.7'::interval"],
    "uuid": ["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid"],
    "json": ["'{\"a\": [1, null]}'::json"],
    "jsonb": ['\'{"a": [1, null, {"b": 1e400}]}\'::jsonb', "'[]'::jsonb"],
    "jsonpath": ["'$.a[*] ? (@ > 1)'::jsonpath"],
    "xml": ["'<a>b</a>'::xml"],
    "point": ["'(1,2)'::point"],
    "lseg": ["'[(1,2),(3,4)]'::lseg"],
    "line": ["'{1,2,3}'::line"],
    "box": ["'(3,4),(1,2)'::box"],
    "path": ["'[(1,2),(3,4)]'::path"],
    "polygon": ["'((1,2),(3,4),(5,6))'::polygon"],
    "circle": ["'<(1,2),3>'::circle"],
    "cidr": ["'10.1.0.0/16'::cidr"],
    "inet": ["'::1/64'::inet"],
    "macaddr": ["'08:00:2b:01:02:03'::macaddr"],
    "macaddr8": ["'08:00:2b:01:02:03:04:05'::macaddr8"],
    "bit": ["'1'::bit"],
    "varbit": ["'10101'::varbit", "''::varbit"],
    "tsvector": ["'a:1A b:2'::tsvector"],
    "tsquery": ["'a & !b <-> c'::tsquery"],
    "int4range": ["'[1,5)'::int4range", "'empty'::int4range"],
    "tstzrange": ["'[2026-01-01, infinity)'::tstzrange"],
    "nummultirange": ["'{[1.5,2],[3,4)}'::nummultirange"],
    "regclass": ["'pg_class'::regclass"],
    "regproc": ["'now'::regproc"],
    "regprocedure": ["'abs(int4)'::regprocedure"],
    "regoperator": ["'+(int4,int4)'::regoperator"],
    "regtype": ["'int4'::regtype"],
    "regrole": ["'postgres'::regrole"],
    "regnamespace": ["'public'::regnamespace"],
    "regconfig": ["'english'::regconfig"],
    "regdictionary": ["'simple'::regdictionary"],
    "regcollation": ["'\"C\"'::regcollation"],
    "xid": ["'7'::xid"],
    "xid8": ["'18446744073709551615'::xid8"],
    "cid": ["'3'::cid"],
    "tid": ["'(7,9)'::tid"],
    "pg_lsn": ["'16/B374D848'::pg_lsn"],
    "pg_snapshot": ["'10:20:10,14,15'::pg_snapshot"],
    "txid_snapshot": ["'10:20:10,14,15'::txid_snapshot"],
    "aclitem": ["'postgres=arwdDxt/postgres'::aclitem"],
    "refcursor": ["'c'::refcursor"],
    "oidvector": ["'1 2 3'::oidvector"],
    "int2vector": ["'1 2 3'::int2vector"],
    "int4[]": ["ARRAY[1, NULL, 3]", "'{}'::int4[]", "'[2:3][0:1]={{1,2},{3,4}}'::int4[]"],
    "text[]": ["ARRAY['a', NULL, '', 'NULL', 'q\"']", "array_fill('x'::text, ARRAY[1000])"],
    "aclitem[]": ["ARRAY['=r/postgres'::aclitem]"],
    "bytea[]": [r"ARRAY['\x00'::bytea, NULL]"],
    "point[]": ["ARRAY['(1,2)'::point]"],
    "int4range[]": ["ARRAY['[1,2)'::int4range]"],
    "pg_class": ["(SELECT c FROM pg_class c WHERE oid = 'pg_proc'::regclass)"],
}

PAIRS = [(type_, expression) for type_, expressions in VALUES.items() for expression in expressions]

#: Of the server's own making, which nobody can write down: expressions over the catalogues.
UNWRITABLE = {
    "pg_node_tree": "(SELECT ev_action FROM pg_rewrite ORDER BY oid LIMIT 1)",
    "pg_ndistinct": "(SELECT stxdndistinct FROM pg_statistic_ext_data)",
    "pg_dependencies": "(SELECT stxddependencies FROM pg_statistic_ext_data)",
    "pg_mcv_list": "(SELECT stxdmcv FROM pg_statistic_ext_data)",
}


def test_every_value(conn: Connection) -> None:
    """In one row, with a NULL of its type after each."""
    pairs = [pair for pair in PAIRS if pair[0] != "xml" or has_xml(conn)]
    expressions = ", ".join(f"{expression}, NULL::{type_}" for type_, expression in pairs)
    columns = ", ".join(f"c{n} {type_}, n{n} {type_}" for n, (type_, _) in enumerate(pairs))
    texts = ", ".join(f"c{n}::text, n{n}::text" for n in range(len(pairs)))
    (expected,) = query(conn, f"SELECT {texts} FROM (SELECT {expressions}) AS r ({names(len(pairs))})")
    (found,) = read(conn, f"SELECT {expressions}", columns, texts)
    wrong = [(pairs[n // 2], a, b) for n, (a, b) in enumerate(zip(expected, found, strict=True)) if a != b]
    assert wrong == []
    assert list(found[1::2]) == [None] * len(pairs)


def has_xml(conn: Connection) -> bool:
    """Tell whether the server was built with it."""
    try:
        query(conn, "SELECT '<a/>'::xml")
    except psycopg.errors.FeatureNotSupported:
        return False
    return True


def names(count: int) -> str:
    return ", ".join(f"c{n}, n{n}" for n in range(count))


@pytest.mark.parametrize(("kind", "least"), [("b", 100), ("r", 6), ("m", 6), ("c", 50), ("d", 4)])
def test_null_of_every_type_that_the_server_has(conn: Connection, kind: str, least: int) -> None:
    """Base types and arrays, ranges, multiranges, rows of catalogues, domains; look-alikes are in public."""
    names = query(
        conn,
        "SELECT format_type(oid, NULL) FROM pg_type"
        " WHERE typtype = %s AND typnamespace <> 'public'::regnamespace ORDER BY oid",
        kind,
    )
    types = [name for (name,) in names if can_be_declared(conn, name)]
    assert len(types) >= least
    columns = ", ".join(f"c{n} {name}" for n, name in enumerate(types))
    job = "SELECT " + ", ".join(f"NULL::{name}" for name in types)
    (row,) = read(conn, job, columns, ", ".join(f"c{n} IS NULL" for n in range(len(types))))
    assert set(row) == {True}


def can_be_declared(conn: Connection, type_: str) -> bool:
    """Tell whether PostgreSQL allows it in a column list; what holds an anyarray it does not."""
    try:
        query(conn, f"SELECT FROM json_to_record('{{}}') AS (a {type_})")
    except psycopg.errors.InvalidTableDefinition:
        return False
    return True


def test_values_that_only_the_server_makes(conn: Connection) -> None:
    query(
        conn,
        "CREATE TABLE s AS SELECT g % 5 AS a, g % 5 AS b FROM generate_series(1, 1000) g;"
        "CREATE STATISTICS st ON a, b FROM s",
    )
    query(conn, "ANALYZE s")
    job = "SELECT " + ", ".join(UNWRITABLE.values())
    columns = ", ".join(f"c{n} {name}" for n, name in enumerate(UNWRITABLE))
    texts = ", ".join(f"c{n}::text" for n in range(len(UNWRITABLE)))
    expected = query(conn, "SELECT " + ", ".join(f"{value}::text" for value in UNWRITABLE.values()))
    assert None not in expected[0]
    assert read(conn, job, columns, texts) == expected


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("pg_sleep(0)", ""),
        ("row(1, 'a b', NULL)", '(1,"a b",)'),
        ("row()", "()"),
        ("row(row(1, 2), ARRAY[3])", '("(1,2)",{3})'),
        ("ARRAY[row(1, 'x'), row(2, NULL)]", '{"(1,x)","(2,)"}'),
        ("'c string'::cstring", "c string"),
        ("(SELECT most_common_vals FROM pg_stats WHERE tablename = 's' AND attname = 'a')", "{7}"),
        ("(SELECT stavalues1 FROM pg_statistic WHERE starelid = 's'::regclass)", "{7}"),
        ("NULL", None),
        ("NULL::record", None),
    ],
)
def test_values_that_no_column_can_be_declared_for(
    conn: Connection, expression: str, text: str | None
) -> None:
    """These are read as text."""
    query(conn, "CREATE TABLE s AS SELECT 7 AS a FROM generate_series(1, 100)")
    query(conn, "ANALYZE s")
    assert run(conn, f"SELECT {expression}, 1", "a text, b int") == [(text, 1)]


def test_rows_of_records(conn: Connection) -> None:
    """Of different shapes in one column, many of them."""
    job = "SELECT CASE WHEN g % 2 = 0 THEN row(g) ELSE row(g, 'x') END FROM generate_series(1, 5000) g"
    found = run(conn, job, "r text")
    assert found == [(f"({g})" if g % 2 == 0 else f"({g},x)",) for g in range(1, 5001)]


def test_a_record_declared_as_one(conn: Connection) -> None:
    """Its fields are those of the job, in each row."""
    job = (
        "SELECT CASE g WHEN 1 THEN row(1, 'x'::text, row(now() IS NULL))"
        " WHEN 2 THEN row(ARRAY[row(2.50)]) END,"
        " ARRAY[row(g), row(g, g)] FROM generate_series(1, 3) g"
    )
    columns, select = "r record, rs record[]", "to_json(r)::jsonb, r::text, to_json(rs)::jsonb"
    expected = query(conn, f"SELECT {select} FROM ({job}) AS v (r, rs)")
    assert read(conn, job, columns, select) == expected
    assert expected[0][0] == {"f1": 1, "f2": "x", "f3": {"f1": False}}


def test_relacl(conn: Connection) -> None:
    job = "SELECT relname, relacl, relkind, reloptions, relpartbound FROM pg_class ORDER BY oid"
    columns = 'a name, b aclitem[], c "char", d text[], e pg_node_tree'
    assert read(conn, job, columns, "r::text") == query(conn, f"SELECT r::text FROM ({job}) AS r")
