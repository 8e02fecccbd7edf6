"""What pg_background_describe says of a type is what a column list can declare, and reads it."""

from __future__ import annotations

import psycopg
import pytest

from ..support.calls import query
from ..support.fix_db import Connection
from ..support.jobs import launch, result
from .test_describe import describe
from .test_result_types import can_be_declared

#: With types of their own, where the server has them.
EXTENSIONS = ["citext", "cube", "hstore", "intarray", "isn", "lo", "ltree", "seg"]

MANY_TYPES = """
CREATE TYPE mood AS ENUM ('fine');
CREATE TYPE pair AS (a int, b mood[]);
CREATE DOMAIN small AS int CHECK (VALUE < 10);
CREATE DOMAIN ints AS int[];
CREATE DOMAIN intss AS ints[];
CREATE DOMAIN paired AS pair;
CREATE DOMAIN attribute AS pg_attribute;
CREATE DOMAIN attributes AS pg_attribute[];
CREATE TYPE moods AS RANGE (subtype = mood);
CREATE TABLE tab (a int, b text, c moods, d intss[]);
ALTER TABLE tab DROP b;
CREATE VIEW shown AS SELECT * FROM tab
"""


def test_every_type_can_be_read_as_described(conn: Connection) -> None:
    """Types of the server, of extensions and of one's own, their arrays and row types."""
    for (name,) in query(conn, "SELECT name FROM pg_available_extensions WHERE name = ANY (%s)", EXTENSIONS):
        query(conn, f"CREATE EXTENSION {name}")
    query(conn, MANY_TYPES)
    types = [
        name
        for (name,) in query(
            conn, "SELECT format_type(oid, NULL) FROM pg_type WHERE typisdefined ORDER BY oid"
        )
        if has_nulls(conn, name)
    ]
    assert len(types) > 300
    undeclarable = set()
    for some in (types[start : start + 400] for start in range(0, len(types), 400)):
        job = "SELECT " + ", ".join(f"NULL::{name} AS c{n}" for n, name in enumerate(some))
        handle = launch(conn, job)
        told = [type_name for _, _, _, type_name in describe(conn, handle)]
        undeclarable |= {name for name, as_ in zip(some, told, strict=True) if as_ == "text" != name}
        columns = ", ".join(f"c{n} {type_name}" for n, type_name in enumerate(told))
        assert result(conn, handle, columns) == [(None,) * len(some)]
    assert {"pg_attribute", "pg_attribute[]", "pg_stats", "attribute", "attributes"} <= undeclarable
    assert all(not can_be_declared(conn, name) for name in undeclarable)


def has_nulls(conn: Connection, type_: str) -> bool:
    """Tell whether there are values of the type in a session."""
    try:
        query(conn, f"SELECT NULL::{type_}")
    except psycopg.Error:
        return False
    return True


@pytest.mark.parametrize(
    "job",
    [
        "SELECT a FROM pg_attribute AS a WHERE attrelid = 'pg_class'::regclass ORDER BY attnum",
        "SELECT array_agg(s) AS a FROM pg_statistic AS s WHERE starelid = 'counted'::regclass",
        "SELECT s AS a FROM pg_stats AS s WHERE tablename = 'counted'",
        "SELECT most_common_vals AS a FROM pg_stats WHERE tablename = 'counted'",
        "SELECT 'x'::cstring AS a",
    ],
)
def test_what_no_column_can_have_is_described_as_text(conn: Connection, job: str) -> None:
    query(
        conn, "CREATE TABLE counted AS SELECT 'a b' AS a, ARRAY[g % 2] AS b FROM generate_series(1, 100) AS g"
    )
    query(conn, "ANALYZE counted")
    handle = launch(conn, job)
    assert describe(conn, handle) == [(1, "a", "text", "text")]
    assert result(conn, handle, "a text") == query(conn, f"SELECT a::text FROM ({job}) AS s")
