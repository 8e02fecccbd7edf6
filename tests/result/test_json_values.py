"""What result_json gives for a value is what row_to_json gives in the session that reads."""

from __future__ import annotations

import psycopg
import pytest

from ..support.calls import query, value
from ..support.fix_db import Connection
from ..support.jobs import Handle, launch, wait
from .test_result_own_types import TYPES as OWN
from .test_result_own_types import VALUES as OWN_VALUES
from .test_result_types import PAIRS, has_xml

#: Of the job, and of its reader: each of them changes how some type is written.
OF_THE_JOB = """
SET timezone = 'Asia/Kolkata'; SET datestyle = 'German'; SET intervalstyle = 'sql_standard';
SET bytea_output = 'escape'; SET extra_float_digits = 0
"""
OF_THE_READER = """
SET timezone = 'America/New_York'; SET datestyle = 'SQL, DMY'; SET intervalstyle = 'iso_8601';
SET bytea_output = 'hex'; SET extra_float_digits = 3
"""

TYPES = """
CREATE DOMAIN at AS timestamptz;
CREATE DOMAIN many_ints AS ints[];
CREATE DOMAIN moods AS mood[];
CREATE DOMAIN pairs AS pair[];
CREATE DOMAIN tables AS regclass[];
CREATE DOMAIN trees AS pg_node_tree;
CREATE TYPE times AS RANGE (subtype = timestamptz, multirange_type_name = times_or_none);
CREATE TYPE lengths AS RANGE (subtype = interval);
CREATE TYPE days AS RANGE (subtype = at);
CREATE TYPE event AS (name text, during times, at at, lasts lengths);
CREATE TYPE events AS RANGE (subtype = event);
CREATE TYPE calendar AS (events event[], all_ints many_ints, free times_or_none);
"""

NOW = "'2026-01-02 03:04:05.6+00'::timestamptz"
TIMES = f"times({NOW}, NULL)"
EVENT = f"('a \"b\"', {TIMES}, {NOW}, lengths('1 day 02:03', '2 years'))::event"

VALUES = [
    ("int4[]", "'{}'::int4[]"),
    ("at", NOW),
    ("ints[]", "ARRAY['{1,NULL}', NULL, '[2:3][1:2]={{1,2},{3,4}}']::ints[]"),
    ("ints[]", '\'{{"{1}","{2,3}"},{"{}",NULL}}\'::ints[]'),
    ("ints[]", "'{}'::ints[]"),
    ("many_ints[]", "ARRAY[ARRAY['{1}', NULL]::ints[]::many_ints, NULL]::many_ints[]"),
    ("moods[]", "ARRAY['{ok,NULL}', '{}']::moods[]"),
    ("pairs[]", "ARRAY[ARRAY[(1, 'x'), NULL]::pair[]::pairs]::pairs[]"),
    ("tables[]", "ARRAY['{pg_class}']::tables[]"),
    ("trees[]", "ARRAY[NULL, (SELECT ev_action FROM pg_rewrite ORDER BY oid LIMIT 1)]::trees[]"),
    ("times", TIMES),
    ("times_or_none", f"times_or_none({TIMES})"),
    ("times[]", f"ARRAY[{TIMES}, NULL, 'empty']"),
    ("lengths", "lengths('1 day 02:03', '2 years')"),
    ("days", f"days({NOW}, {NOW}, '[]')"),
    ("event", EVENT),
    ("events", f"events({EVENT}, NULL)"),
    ("calendar", f"(ARRAY[{EVENT}], ARRAY['{{7}}']::ints[], times_or_none({TIMES}))::calendar"),
]


@pytest.fixture
def typed(conn: Connection) -> Connection:
    query(conn, OWN)
    query(conn, TYPES)
    return conn


def finished(conn: Connection, job: str) -> Handle:
    """Run a job under settings of its own."""
    query(conn, OF_THE_JOB)
    handle = launch(conn, job)
    wait(conn, handle)
    query(conn, OF_THE_READER)
    return handle


def differences(conn: Connection, job: str) -> list[tuple[object, ...]]:
    """Return name, JSON of the job and JSON of the session of the values that are not the same."""
    handle = finished(conn, job)
    differ = (
        f"WITH of_job AS (SELECT row_number() OVER () AS n, r"
        f" FROM pg_background_result_json({handle.pid}, {handle.cookie}) AS r),"
        f" here AS (SELECT row_number() OVER () AS n, row_to_json(r) AS r FROM ({job}) AS r)"
        " SELECT * FROM (SELECT n, key, value::text FROM of_job, json_each(r)) AS a (n, key, of_job)"
        " FULL JOIN (SELECT n, key, value::text FROM here, json_each(r)) AS b (n, key, here) USING (n, key)"
        " WHERE of_job IS DISTINCT FROM here"
    )
    return query(conn, differ)


def rows_of(conn: Connection, pairs: list[tuple[str, str]]) -> str:
    """Make a table of values; return a query for each alone, and within each kind of constructor."""
    columns = ", ".join(f"c{n} {type_}" for n, (type_, _) in enumerate(pairs))
    query(conn, f"CREATE TABLE stored ({columns})")
    query(conn, "INSERT INTO stored SELECT " + ", ".join(expression for _, expression in pairs))
    query(conn, "INSERT INTO stored DEFAULT VALUES")
    kinds = []
    for n in range(len(pairs)):
        kinds += [
            f"c{n} AS c{n}",
            f"ROW(c{n}, c{n}) AS r{n}",
            f"ARRAY[ROW(c{n}), NULL, ROW(1, c{n})] AS rs{n}",
        ]
        if has_arrays(conn, pairs[n][0]):
            kinds.append(f"ARRAY[c{n}, NULL]::{pairs[n][0]}[] AS a{n}")
    return f"SELECT {', '.join(kinds)} FROM stored"


def has_arrays(conn: Connection, type_: str) -> bool:
    """Tell whether the server can make arrays of it; of oidvector it can from 16 on."""
    try:
        query(conn, f"SELECT ARRAY[NULL::{type_}]::{type_}[]")
    except psycopg.Error:
        return False
    return not type_.endswith("[]")


def test_built_in_types(conn: Connection) -> None:
    pairs = [pair for pair in PAIRS if pair[0] != "xml" or has_xml(conn)]
    assert differences(conn, rows_of(conn, pairs)) == []


def test_types_of_ones_own(typed: Connection) -> None:
    assert differences(typed, rows_of(typed, OWN_VALUES + VALUES)) == []


def test_domains_over_all_built_in_types(conn: Connection) -> None:
    """And over their arrays, in arrays."""
    pairs = []
    for n, (type_, expression) in enumerate(PAIRS):
        if type_ == "xml" and not has_xml(conn):
            continue
        query(conn, f"CREATE DOMAIN d{n} AS {type_}")
        pairs += [(f"d{n}", expression), (f"d{n}[]", f"ARRAY[{expression}::d{n}, NULL]::d{n}[]")]
        if has_arrays(conn, type_):
            query(conn, f"CREATE DOMAIN ds{n} AS {type_}[]")
            pairs.append((f"ds{n}[]", f"ARRAY[ARRAY[{expression}, NULL]::ds{n}, NULL]::ds{n}[]"))
    assert differences(conn, rows_of(conn, pairs)) == []


def test_statistics(typed: Connection) -> None:
    """Their arrays have another type in each row."""
    query(
        typed,
        "CREATE TABLE counted AS SELECT g % 3 AS i, 'x' || g % 3 AS t,"
        " (ARRAY['ok', 'sad'])[1 + g % 2]::mood AS m,"
        f" {NOW} + (g % 5) * '1 day'::interval AS at, ARRAY[g % 4, NULL] AS a, (g % 2)::smaller AS d,"
        f" times({NOW}, {NOW} + (g % 3) * '1 day'::interval) AS r, row(g % 2, 'x')::pair AS p,"
        " array_fill(g % 2, ARRAY[2])::ints AS ds FROM generate_series(1, 100) AS g",
    )
    query(typed, "ANALYZE counted")
    stats = (
        "SELECT attname, most_common_vals, histogram_bounds, most_common_elems FROM pg_stats"
        " WHERE tablename = 'counted' ORDER BY attname"
    )
    assert differences(typed, stats) == []
    raw = (
        "SELECT s, ROW(s), ARRAY[s], stavalues1 FROM pg_statistic AS s"
        " WHERE starelid = 'counted'::regclass ORDER BY staattnum"
    )
    assert differences(typed, raw) == []
    some = value(
        typed,
        "SELECT to_json(most_common_vals)::text FROM pg_stats WHERE attname = 'a' AND tablename = 'counted'",
    )
    assert some.startswith("[[")
