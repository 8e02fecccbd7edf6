"""pg_background_start: the launcher with all that a job can be told."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import errors

from ..support.jobs import Connection, detach, launch, result, start, state, wait
from ..support.server import Server


def one(conn: Connection, job: str, params: list[Any] | None, column: str = "text") -> Any:
    """Start a job with parameters and return its one value."""
    ((value,),) = result(conn, start(conn, job, params=params), f"value {column}")
    return value


# ---- parameters


@pytest.mark.parametrize(
    ("job", "params", "column", "expected"),
    [
        ("SELECT $1::int + $2::int", ["40", "2"], "int", 42),
        ("SELECT $1", ['it\'s "quoted" \\ $2 ; --'], "text", 'it\'s "quoted" \\ $2 ; --'),
        ("SELECT $1::text IS NULL", [None], "bool", True),
        ("SELECT $2::date - $1::date", ["2026-01-01", "2026-02-01"], "int", 31),
        ("SELECT count(*) FROM generate_series(1, $1::int) AS n WHERE n % 2 = $2", ["10", "0"], "bigint", 5),
        ("SELECT array_length($1::int[], 1)", ["{1,2,3}"], "int", 3),
        ("SELECT $1::jsonb ->> 'a'", ['{"a": "é€"}'], "text", "é€"),
        ("VALUES ($1)", [""], "text", ""),
        ("SELECT 7", [], "int", 7),
    ],
)
def test_values_are_bound_in_the_types_that_the_statement_tells(
    conn: Connection, job: str, params: list[Any], column: str, expected: Any
) -> None:
    # Typed: psycopg sends a list of nothing but None as an array of no known type.
    query = "SELECT pid, cookie FROM pg_background_start(%s, params => %s::text[])"
    row = conn.execute(query, [job, params]).fetchone()
    assert row is not None
    assert result(conn, (row[0], row[1]), f"value {column}") == [(expected,)]  # type: ignore[arg-type]


def test_parameters_in_statements_that_change_something(conn: Connection) -> None:
    conn.execute("CREATE TABLE t (a int, b text)")
    conn.execute("CREATE PROCEDURE p(x int) LANGUAGE sql AS 'INSERT INTO t VALUES (x, ''p'')'")
    assert one(conn, "INSERT INTO t VALUES ($1, $2)", ["1", "x"]) == "INSERT 0 1"
    assert one(conn, "CALL p($1)", ["2"]) == "CALL"
    assert conn.execute("SELECT * FROM t ORDER BY a").fetchall() == [(1, "x"), (2, "p")]


@pytest.mark.parametrize(
    ("job", "params", "error", "message"),
    [
        ("SELECT 1; SELECT $1::int", ["1"], errors.SyntaxError, "must be a single statement"),
        ("SELECT $1::int", ["1", "2"], errors.SyntaxError, "wrong number of parameters"),
        ("SELECT $1::int, $2::int", ["1"], errors.SyntaxError, "wrong number of parameters"),
        ("SELECT $2::int", ["1", "2"], errors.IndeterminateDatatype, r"data type of parameter \$1"),
        ("SELECT $1::int", ["x"], errors.InvalidTextRepresentation, 'integer: "x"'),
        ("SELECT $1::int", None, errors.UndefinedParameter, r"no parameter \$1"),
    ],
)
def test_what_is_wrong_with_parameters_is_the_jobs_error(
    conn: Connection, job: str, params: list[str] | None, error: type[psycopg.Error], message: str
) -> None:
    handle = start(conn, job, params=params)
    with pytest.raises(error, match=message):
        result(conn, handle)


def test_parameters_must_be_one_list(conn: Connection) -> None:
    with pytest.raises(errors.ArraySubscriptError, match="one-dimensional"):
        start(conn, "SELECT $1", params=[["a"], ["b"]])


def test_parameters_and_each_statement_exclude_each_other(conn: Connection) -> None:
    with pytest.raises(errors.InvalidParameterValue, match="each_statement") as caught:
        start(conn, "SELECT $1", params=["1"], each_statement=True)
    assert caught.value.diag.message_hint == "A job with parameters is a single statement."


def test_parameters_are_logged_with_the_statement(conn: Connection, server: Server) -> None:
    conn.execute("SET log_statement = 'all'")
    mark = server.log.mark()
    assert one(conn, "SELECT $1 || $2", ["don't", None]) is None
    server.log.wait_for(r"statement: SELECT \$1 \|\| \$2", mark)
    server.log.wait_for(r"DETAIL:  Parameters: \$1 = 'don''t', \$2 = NULL", mark)


def test_a_prepared_plan_of_one_job_is_not_that_of_the_next(conn: Connection) -> None:
    assert [one(conn, "SELECT $1::text", [str(n)]) for n in range(20)] == [str(n) for n in range(20)]


# ---- one transaction per statement


def test_each_statement_is_a_transaction_of_its_own(conn: Connection) -> None:
    conn.execute("CREATE TABLE t (a int)")
    handle = start(
        conn,
        "VACUUM t; INSERT INTO t VALUES (1); CREATE INDEX CONCURRENTLY ON t (a); VACUUM ANALYZE t",
        each_statement=True,
    )
    # Reading it has a snapshot, for which the index would wait.
    conn.execute("CALL pg_background_await(%s, %s)", handle)
    tags = [tag for (tag,) in result(conn, handle)]
    assert tags == ["VACUUM", "INSERT 0 1", "CREATE INDEX", "VACUUM"]


def test_statements_before_a_failed_one_stay_and_those_after_it_are_not_run(conn: Connection) -> None:
    conn.execute("CREATE TABLE t (a int)")
    handle = start(
        conn,
        "INSERT INTO t VALUES (1); INSERT INTO t VALUES (1/0); INSERT INTO t VALUES (3)",
        each_statement=True,
    )
    with pytest.raises(errors.DivisionByZero):
        result(conn, handle)
    assert conn.execute("SELECT a FROM t").fetchall() == [(1,)]


def test_each_statement_has_its_own_transaction_id(conn: Connection) -> None:
    conn.execute("CREATE TABLE t (x xid8)")
    insert = "INSERT INTO t VALUES (pg_current_xact_id())"
    wait(conn, start(conn, f"{insert}; {insert}", each_statement=True))
    wait(conn, start(conn, f"{insert}; {insert}"))
    assert conn.execute("SELECT count(DISTINCT x), count(*) FROM t").fetchone() == (3, 4)


def test_the_last_rows_of_a_script_are_the_result(conn: Connection) -> None:
    handle = start(conn, "SELECT 1; SELECT n FROM generate_series(1, 3) AS n", each_statement=True)
    assert result(conn, handle, "n int") == [(1,), (2,), (3,)]


def test_a_setting_holds_for_the_statements_after_it(conn: Connection) -> None:
    handle = start(conn, "SET application_name = 'mine'; SHOW application_name", each_statement=True)
    assert result(conn, handle) == [("mine",)]


@pytest.mark.parametrize("statement", ["BEGIN", "COMMIT", "ROLLBACK"])
def test_a_script_has_no_transaction_control(conn: Connection, statement: str) -> None:
    handle = start(conn, f"SELECT 1; {statement}", each_statement=True)
    with pytest.raises(errors.FeatureNotSupported, match="transaction control"):
        result(conn, handle)


# ---- the rest


def test_a_discarded_result_is_as_that_of_submit(conn: Connection) -> None:
    handle = start(conn, "SELECT generate_series(1, 100000)", discard_result=True)
    assert wait(conn, handle)
    with pytest.raises(errors.FeatureNotSupported, match="results are disabled"):
        result(conn, handle)


def test_label_and_queue_size(conn: Connection) -> None:
    handle = start(conn, "SELECT 1", label="mine", queue_size=4096)
    row = conn.execute("SELECT label, queue_size FROM pg_background_list WHERE cookie = %s", [handle.cookie])
    assert row.fetchone() == ("mine", 4096)
    with pytest.raises(errors.InvalidParameterValue, match="at least 64 bytes"):
        start(conn, "SELECT 1", queue_size=1)
    with pytest.raises(errors.StringDataRightTruncation, match="label too long"):
        start(conn, "SELECT 1", label="x" * 65)


def test_a_null_argument_is_its_default(conn: Connection) -> None:
    handle = start(
        conn,
        "SELECT 1",
        params=None,
        label=None,
        queue_size=None,
        timeout_ms=None,
        database=None,
        each_statement=None,
        discard_result=None,
        on_full=None,
    )
    assert result(conn, handle, "n int") == [(1,)]


def test_no_sql(conn: Connection) -> None:
    with pytest.raises(errors.NullValueNotAllowed, match="sql parameter cannot be NULL"):
        conn.execute("SELECT pg_background_start(NULL)")


def test_on_full_has_three_values(conn: Connection) -> None:
    with pytest.raises(errors.InvalidParameterValue, match='on_full: "never"') as caught:
        start(conn, "SELECT 1", on_full="never")
    assert caught.value.diag.message_hint == "Use error, wait or queue."


def test_a_timeout_without_a_wait_is_refused(conn: Connection) -> None:
    with pytest.raises(errors.InvalidParameterValue, match="timeout_ms") as caught:
        start(conn, "SELECT 1", timeout_ms=1000)
    assert caught.value.diag.message_hint is not None
    assert "worker_timeout" in caught.value.diag.message_hint


def test_a_job_of_start_is_one_like_others(conn: Connection) -> None:
    handle = start(conn, "SELECT 1")
    wait(conn, handle)
    assert state(conn, handle) == "stopped"
    detach(conn, handle)
    assert state(conn, handle) is None
    assert result(conn, launch(conn, "SELECT 2"), "n int") == [(2,)]
