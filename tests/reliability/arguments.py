"""Arguments at random, as SQL writes them: NULL, extremes, hostile text, handles of jobs and of none."""

from __future__ import annotations

from hypothesis import strategies as st
from psycopg import sql

#: What a call's handle is of: replaced by pid and cookie of such a job when the statement is run.
JOBS = {
    "running": "SELECT pg_sleep(3600)",
    "stopped": "SELECT g, g::text FROM generate_series(1, 3) g",
    "wide": "SELECT repeat('x', 100000), ARRAY[1, NULL], ROW(1, 'a'), now() FROM generate_series(1, 20)",
    "tags": "CREATE TEMP TABLE t AS SELECT 1; DROP TABLE t",
    "notices": "DO 'BEGIN RAISE WARNING ''%'', repeat(''w'', 5000); END'; SELECT NULL::int, NULL::text",
    "error": "SELECT 1 / 0",
    "empty": "",
}

_INT4 = [0, 1, -1, 2, 100, 1000, 2**31 - 1, -(2**31)]
_INT8 = [*_INT4, 2**63 - 1, -(2**63), 2**32]
_FLOATS = ["NaN", "Infinity", "-Infinity", "-0", "1e308", "1e-320", "50.5", "100.00001"]

_TEXTS = [
    *JOBS.values(),
    "'",
    '"',
    "''; DROP TABLE victim --",
    "%s%n%x%%",
    "$1",
    "$$",
    "\\",
    "\\x00",
    "🙈é",
    "\u202e\u0007\x1b[2J\r\n\t",
    "error",
    "queue",
    "submit",
    "pg_background",
    "postgres",
    "template1",
    "a int",
    "a int, b text",
    "a int[], b record",
    'a "int',
    "a int,",
    ",",
    "a numeric(10",
    "a no_such_type",
    "value text",
    "SELECT $1",
    "SELECT $1::int + $2::int",
    "SELECT 1; SELECT 2",
    "BEGIN",
    "COMMIT",
    "ROLLBACK; SELECT 1",
    "SAVEPOINT a",
    "VACUUM",
    "COPY (SELECT 1) TO STDOUT",
    "SET statement_timeout = 1",
    "SET ROLE pg_monitor",
    "LISTEN a",
    "PREPARE TRANSACTION 'x'",
    "SELECT FROM no_such_table",
    "DO $x$ BEGIN RAISE EXCEPTION USING ERRCODE = 'P0042'; END $x$",
    "SELECT pg_background_cancel_all()",
    "SELECT pg_background_detach_all()",
    "SELECT pg_background_progress(50, 'half')",
    "SELECT (",
    "/*",
    "--",
    "SELECT pg_terminate_backend(pg_backend_pid())",
    "SELECT pg_cancel_backend(pg_backend_pid())",
]

_MANY = [10_000, 100_000]


def _literal(value: object, type_name: str) -> str:
    return f"{sql.Literal(str(value)).as_string(None)}::{type_name}"


def _one_of(values: list[object] | list[int] | list[str], type_name: str) -> st.SearchStrategy[str]:
    return st.sampled_from([_literal(value, type_name) for value in values])


def _integers(values: list[int], type_name: str, bits: int) -> st.SearchStrategy[str]:
    limit = 2 ** (bits - 1)
    drawn = st.integers(-limit, limit - 1).map(lambda value: _literal(value, type_name))
    return st.just(f"NULL::{type_name}") | _one_of(values, type_name) | drawn


_WORDS = st.sampled_from(_TEXTS) | st.text(
    # What a text of PostgreSQL can hold, and a statement in UTF-8 can send.
    st.characters(codec="utf-8", exclude_characters="\0"),
    max_size=200,
)
_LONG = st.sampled_from(
    ["repeat('x', 1000000)", "repeat('SELECT 1;', 2000)", "repeat('é', 70)", "repeat('(', 5000)"]
)
_TEXT = st.just("NULL::text") | _WORDS.map(lambda text: _literal(text, "text")) | _LONG


def _job(part: str) -> st.SearchStrategy[str]:
    return st.sampled_from([f"{{{name}.{part}}}" for name in JOBS])


_HANDLE = st.one_of(
    st.sampled_from(["NULL", "ROW(NULL, NULL)", "ROW(0, 0)", "ROW(-1, -1)", "ROW(1, NULL)"]),
    st.sampled_from([f"ROW({{{name}.pid}}, {{{name}.cookie}})" for name in JOBS]),
    # One of another job's.
    st.tuples(_job("pid"), _job("cookie")).map(lambda pair: f"ROW({pair[0]}, {pair[1]})"),
).map(lambda row: f"{row}::pg_background_handle")

_HANDLES = st.one_of(
    st.sampled_from(["NULL", "'{}'", "'[5:5]={\"(1,1)\"}'", '\'{{"(1,1)"},{"(1,2)"}}\'']).map(
        lambda text: f"{text}::pg_background_handle[]"
    ),
    st.lists(_HANDLE, max_size=5).map(lambda every: f"ARRAY[{', '.join(every)}]::pg_background_handle[]"),
    st.tuples(_HANDLE, st.sampled_from(_MANY)).map(
        lambda drawn: f"array_fill({drawn[0]}, ARRAY[{drawn[1]}])"
    ),
    st.sampled_from(_MANY).map(
        lambda many: f"ARRAY(SELECT ROW(g, g)::pg_background_handle FROM generate_series(1, {many}) g)"
    ),
)

_PARAMETERS = st.one_of(
    st.sampled_from(["NULL::text[]", "'{}'::text[]", "'[0:1]={a,b}'::text[]", "'{{1,2},{3,4}}'::text[]"]),
    st.lists(_TEXT, max_size=4).map(lambda every: f"ARRAY[{', '.join(every)}]::text[]"),
    st.just("array_fill('1'::text, ARRAY[70000])"),
)

_BY_TYPE = {
    "integer": _integers(_INT4, "int4", 32),
    "bigint": _integers(_INT8, "int8", 64),
    "double precision": st.just("NULL::float8") | _one_of(_FLOATS, "float8"),
    "boolean": st.sampled_from(["NULL::bool", "true", "false"]),
    "text": _TEXT,
    "name": st.just("NULL::name") | _WORDS.map(lambda text: _literal(text, "name")),
    "text[]": _PARAMETERS,
    "anyelement": st.sampled_from(
        ["NULL::text", "NULL::pg_class", "NULL::int[]", "NULL::pg_background_stats", "1", "NULL::int4range"]
    ),
    "pg_background_handle": _HANDLE,
    "pg_background_handle[]": _HANDLES,
}

#: How the fields of a handle are called where they are arguments of their own.
_PIDS = {"pid": "pid", "p_pid": "pid", "cookie": "cookie", "p_cookie": "cookie"}


def argument(name: str, type_name: str) -> st.SearchStrategy[str]:
    """Draw an argument; of a type that is not known here the test must learn."""
    drawn = _BY_TYPE[type_name.rpartition(".")[2]]
    part = _PIDS.get(name)
    # Mostly of a job that is there: others fail early, and alike.
    return st.one_of(_job(part), _job(part), drawn) if part else drawn


#: For functions that return records.
COLUMNS = [
    "value text",
    "a int, b text",
    "a int",
    "a text, b int[], c record, d timestamptz",
    "a point",
    "a int[]",
]
