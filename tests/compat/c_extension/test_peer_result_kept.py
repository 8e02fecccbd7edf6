"""A call that can't read a result does not take it away."""

from __future__ import annotations

import pytest

from ...support.calls import Failure, failure, query, result_failure, sqlstate, value
from ...support.fix_db import Connection
from ...support.jobs import Handle, launch, result, state, wait

MISMATCH = "remote query result rowtype does not match the specified FROM clause rowtype"

JOB = "SELECT 1 AS n, 'x'::text AS t, 2.5::numeric(5,2) AS d"
RIGHT = "n int, t text, d numeric(5,2)"

WRONG = {
    "n int": "The query returns 3 columns, the column list has 1.",
    "n int, t text, d numeric, more text": "The query returns 3 columns, the column list has 4.",
    "n int8, t text, d numeric": 'Column 1 is "n" of type integer in the query,'
    " type bigint in the column list.",
    "n text, t text, d numeric": 'Column 1 is "n" of type integer in the query,'
    " type text in the column list.",
    "n int, t json, d numeric": 'Column 2 is "t" of type text in the query, type json in the column list.',
    "n int, t text, d float8": 'Column 3 is "d" of type numeric(5,2) in the query,'
    " type double precision in the column list.",
    "n int8, t json, d float8": 'Column 1 is "n" of type integer in the query,'
    " type bigint in the column list.",
    "n int[], t text, d numeric": 'Column 1 is "n" of type integer in the query,'
    " type integer[] in the column list.",
}


def read(conn: Connection, handle: Handle) -> None:
    """The right column list still works, and then it is gone."""
    assert query(conn, f"SELECT n, t, d::text FROM pg_background_result(%s, %s) AS ({RIGHT})", *handle) == [
        (1, "x", "2.50")
    ]
    assert result_failure(conn, handle) == Failure(
        "42704", f"PID {handle.pid} is not attached to this session"
    )


@pytest.mark.parametrize(("columns", "detail"), WRONG.items(), ids=range(len(WRONG)))
@pytest.mark.parametrize("finished", [True, False])
def test_wrong_column_list(conn: Connection, columns: str, detail: str, finished: bool) -> None:
    handle = launch(conn, JOB if finished else f"SELECT pg_sleep(0.2); {JOB}")
    if finished:
        wait(conn, handle)
    assert result_failure(conn, handle, columns) == Failure("42804", MISMATCH, detail)
    assert result_failure(conn, handle, columns) == Failure("42804", MISMATCH, detail)
    wait(conn, handle)
    assert state(conn, handle) == "stopped"
    read(conn, handle)


@pytest.mark.parametrize("rows", [0, 100_000])
def test_wrong_column_list_for_results_of_any_size(conn: Connection, rows: int) -> None:
    handle = launch(conn, f"SELECT g, repeat('x', 50) FROM generate_series(1, {rows}) g")
    for columns in ("g text, x text", "g int", "g int, x text, y text"):
        assert result_failure(conn, handle, columns)[:2] == ("42804", MISMATCH)
    found = "SELECT count(*) FROM pg_background_result(%s, %s) AS (g int, x text)"
    assert value(conn, found, *handle) == rows


@pytest.mark.parametrize("columns", ["a int", "a text, b text", "a varchar", "a name", "a text[]"])
def test_tags_with_a_wrong_column_list(conn: Connection, columns: str) -> None:
    handle = launch(conn, "CREATE TABLE made (); DROP TABLE made")
    assert result_failure(conn, handle, columns)[:2] == (
        "42804",
        "remote query did not return a result set, but result rowtype is not a single text column",
    )
    assert result(conn, handle) == [("CREATE TABLE",), ("DROP TABLE",)]


def test_target_list(conn: Connection) -> None:
    handle = launch(conn, JOB)
    calls = [
        "SELECT pg_background_result(%s, %s)",
        "SELECT (pg_background_result(%s, %s)).*",
        "SELECT pg_background_result_v2(%s, %s)",
        "SELECT * FROM (VALUES (1), (2)) v(i), LATERAL (SELECT pg_background_result(%s, %s)) r",
        "SELECT count(pg_background_result(%s, %s)) FROM generate_series(1, 3)",
        "SELECT 1 WHERE pg_background_result(%s, %s) IS NULL",
    ]
    for call in calls:
        assert sqlstate(conn, call, *handle) in ("0A000", "42601", "42809"), call
    read(conn, handle)


def test_target_list_says_what_to_do(conn: Connection) -> None:
    handle = launch(conn, JOB)
    found = failure(conn, "SELECT pg_background_result(%s, %s)", *handle)
    assert found == Failure(
        "0A000",
        "function returning record called in context that cannot accept type record",
        None,
        "Call the function in the FROM clause, with a column definition list.",
    )
    read(conn, handle)


def test_without_a_column_list(conn: Connection) -> None:
    """PostgreSQL's own error, before the function is called."""
    handle = launch(conn, JOB)
    assert sqlstate(conn, "SELECT * FROM pg_background_result(%s, %s)", *handle) == "42601"
    read(conn, handle)


def test_wrong_column_list_in_a_transaction_that_goes_on(conn: Connection) -> None:
    handle = launch(conn, JOB)
    with conn.transaction():
        with pytest.raises(Exception, match="remote query result rowtype"), conn.transaction():
            result(conn, handle, "n text")
        read_once = query(conn, f"SELECT n FROM pg_background_result(%s, %s) AS ({RIGHT})", *handle)
    assert read_once == [(1,)]


def test_failed_job_with_a_wrong_column_list(conn: Connection) -> None:
    """Its error is what there is to read, whatever the columns; and that once only."""
    handle = launch(conn, "SELECT 1/0")
    assert result_failure(conn, handle, "a int, b int")[:2] == ("22012", "division by zero")
    assert result_failure(conn, handle, "a int").sqlstate == "42704"


def test_failed_after_rows_with_a_wrong_column_list(conn: Connection) -> None:
    handle = launch(conn, "SELECT 100 / (5000 - g) FROM generate_series(1, 5000) g")
    wait(conn, handle)
    assert result_failure(conn, handle, "a text").sqlstate == "42804"
    assert result_failure(conn, handle, "a int").sqlstate == "22012"
