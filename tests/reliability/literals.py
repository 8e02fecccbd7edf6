"""Values of every type that a server has, whatever extensions brought it."""

from __future__ import annotations

from typing import NamedTuple

from psycopg import sql

from ..support.calls import query
from ..support.jobs import Connection

#: Tried for each base type: what its input function takes is a value of it.
TEXTS = [
    "1",
    "0",
    "-1",
    "a",
    "t",
    "{}",
    "[]",
    "",
    "{1,2}",
    "1.5",
    "(1,2)",
    "[1,2]",
    "((1,2),(3,4))",
    "<(1,2),3>",
    "{1,2,3}",
    "10.1.2.3",
    "::1/64",
    "08:00:2b:01:02:03",
    "08:00:2b:01:02:03:04:05",
    "2026-01-02 03:04:05.678+02",
    "infinity",
    "1 day -02:03",
    "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    "101",
    "\\x00ff",
    '{"a": [1, null]}',
    "<a>b</a>",
    "$.a[*]",
    "a:1A b:2",
    "a & !b <-> c",
    "10:20:10,14,15",
    "postgres=r/postgres",
    "16/B374D848",
    "(7,9)",
    "1 2 3",
    "k=>v",
    "0-393-04002-X",
    "978-0-393-04002-9",
    "0-8436-1072-7",
    "979-0-060-11561-5",
    "036000291452",
    "Top.a.b",
    "pg_class",
    "+(int4,int4)",
    "abs(int4)",
    "english",
    "simple",
    "postgres",
    "C",
    "1 .. 2",
    "(1, 2),(3, 4)",
    "'q\" \\ %s",
    "ä€𝄞",
    "12345678901234567890.5",
    "NaN",
    "9223372036854775807",
    "-9223372036854775808",
    "4294967295",
    "24:00",
]

#: What is made of each type, with expressions of its values; {t} is the type, {v} one of its values.
DERIVED = {
    "arrays": ("{t}[]", ["ARRAY[{v}, NULL]::{t}[]", "ARRAY[[{v}]]::{t}[]", "'{{}}'::{t}[]"]),
    "domains": ("d_{n}", ["({v})::d_{n}"]),
    "domains over arrays": ("da_{n}", ["ARRAY[{v}]::{t}[]::da_{n}"]),
    "composites": ("c_{n}", ["ROW({v}, ARRAY[{v}]::{t}[])::c_{n}", "ROW(NULL, NULL)::c_{n}"]),
    "ranges": ("r_{n}", ["r_{n}({v}, NULL)", "'empty'::r_{n}"]),
    "multiranges": ("m_{n}", ["m_{n}(r_{n}({v}, NULL))"]),
    "arrays of composites": ("c_{n}[]", ["ARRAY[ROW({v}, NULL)::c_{n}, NULL]"]),
    "arrays of domains": ("d_{n}[]", ["ARRAY[{v}]::d_{n}[]"]),
    "arrays of ranges": ("r_{n}[]", ["ARRAY[r_{n}({v}, {v}, '[]')]"]),
}

#: What makes them; a type that cannot have one, as a range over a type without an order, has none.
_MAKERS = [
    "CREATE DOMAIN d_{n} AS {t}",
    "CREATE DOMAIN da_{n} AS {t}[]",
    "CREATE TYPE c_{n} AS (a {t}, b {t}[])",
    "CREATE TYPE r_{n} AS RANGE (subtype = {t}, multirange_type_name = m_{n})",
]


class Sample(NamedTuple):
    """A value to be returned by a job."""

    kind: str
    type_name: str
    expression: str


def install_contrib(conn: Connection) -> list[str]:
    """Create all extensions that the server has, and return which could be."""
    created = []
    for (name,) in query(conn, "SELECT name FROM pg_available_extensions WHERE installed_version IS NULL"):
        create = sql.SQL("CREATE EXTENSION IF NOT EXISTS {} CASCADE").format(sql.Identifier(name))
        if works(conn, create.as_string(conn)):
            created.append(name)
    return created


def samples(conn: Connection) -> list[Sample]:
    """Return values of all types, and of what can be made of each."""
    found = []
    for n, (kind, type_name) in enumerate(_types(conn)):
        values = _values(conn, kind, type_name)
        found += [Sample(f"kind {kind}", type_name, value) for value in values]
        for maker in _MAKERS:
            works(conn, maker.format(t=type_name, n=n))
        for derived, (name, expressions) in DERIVED.items():
            for value in values[:2]:
                for expression in expressions:
                    sample = Sample(
                        derived, name.format(t=type_name, n=n), expression.format(t=type_name, n=n, v=value)
                    )
                    if works(conn, f"SELECT {sample.expression}"):
                        found.append(sample)
    return found


def works(conn: Connection, statement: str) -> bool:
    """Tell whether the server takes a statement."""
    return query(conn, "SELECT takes($1)".replace("$1", "%s"), statement) == [(True,)]


#: Without a round trip for each of thousands of tries.
TAKES = """
CREATE FUNCTION takes(statement text) RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE statement;
  RETURN true;
EXCEPTION WHEN OTHERS THEN
  RETURN false;
END $$;
CREATE FUNCTION taken(type_name text, literals text[]) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  found text[] := '{}';
  literal text;
BEGIN
  FOREACH literal IN ARRAY literals LOOP
    IF takes(format('SELECT %L::%s::text', literal, type_name)) THEN
      found := found || format('%L::%s', literal, type_name);
    END IF;
  END LOOP;
  RETURN found;
END $$
"""


def _types(conn: Connection) -> list[tuple[str, str]]:
    """Of base types, enums, domains, ranges, multiranges, and the rows of relations; without their arrays."""
    return [
        (kind, name)
        for kind, name in query(
            conn,
            "SELECT typtype, format('%I.%I', nspname, typname) FROM pg_type"
            " JOIN pg_namespace n ON n.oid = typnamespace"
            " WHERE typtype IN ('b', 'c', 'd', 'e', 'm', 'r') AND typcategory <> 'A'"
            # Views show what changes.
            " AND nspname <> 'pg_toast'"
            " AND typrelid NOT IN (SELECT oid FROM pg_class WHERE relkind NOT IN ('r', 'c'))"
            " ORDER BY pg_type.oid",
        )
        if works(conn, f"SELECT FROM json_to_record('{{}}') AS (a {name})")
    ]


def _values(conn: Connection, kind: str, type_name: str) -> list[str]:
    if kind == "c":
        row = f"(SELECT x FROM {type_name} x LIMIT 1)"
        return [row] if works(conn, f"SELECT ({row})::text") else []
    if kind == "e":
        return [f"(enum_range(NULL::{type_name}))[1]"]
    ((taken,),) = query(conn, "SELECT taken(%s, %s)", type_name, TEXTS)
    return list(taken)
