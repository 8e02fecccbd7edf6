"""What a job may not do, and what only a job may."""

from __future__ import annotations

import pytest

from ..support.calls import Failure, failure, query, result_failure, tags, value
from ..support.fix_db import Connect, Connection
from ..support.jobs import closed_gate, launch, progress, result, run, state, submit, wait
from ..support.waiting import wait_until

TRANSACTION_CONTROL = [
    "BEGIN",
    "START TRANSACTION ISOLATION LEVEL SERIALIZABLE",
    "COMMIT",
    "END",
    "ROLLBACK",
    "ABORT",
    "COMMIT AND CHAIN",
    "SAVEPOINT a",
    "RELEASE SAVEPOINT a",
    "ROLLBACK TO SAVEPOINT a",
    "PREPARE TRANSACTION 'x'",
    "COMMIT PREPARED 'x'",
    "ROLLBACK PREPARED 'x'",
]

NOT_ALLOWED = ("0A000", "transaction control statements are not allowed in pg_background")
NO_COPY = ("0A000", "COPY protocol not allowed in pg_background")


@pytest.mark.parametrize("statement", TRANSACTION_CONTROL)
def test_transaction_control(conn: Connection, statement: str) -> None:
    """Alone and anywhere in a list; nothing of the list takes effect."""
    query(conn, "CREATE SEQUENCE s")
    count = "SELECT nextval('s')"
    for job in ("{}", f"{{}}; {count}", f"{count}; {{}}", f"{count}; {{}}; SELECT 1"):
        handle = launch(conn, job.format(statement))
        assert result_failure(conn, handle)[:2] == NOT_ALLOWED
    assert value(conn, "SELECT is_called FROM s") is False


def test_transaction_control_in_a_submitted_job(conn: Connection) -> None:
    handle = submit(conn, "CREATE TABLE made (); COMMIT")
    wait(conn, handle)
    assert state(conn, handle) == "error"
    listed = "SELECT last_error FROM pg_background_list WHERE cookie = %s"
    assert value(conn, listed, handle.cookie) == NOT_ALLOWED[1]
    assert value(conn, "SELECT to_regclass('made')") is None


def test_modes_of_the_transaction_may_be_set(conn: Connection) -> None:
    job = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SHOW transaction_isolation"
    assert run(conn, job) == [("repeatable read",)]


@pytest.mark.parametrize(
    "statement",
    [
        "COPY t TO STDOUT",
        "COPY t FROM STDIN",
        "COPY (SELECT * FROM t) TO STDOUT WITH (FORMAT csv)",
        "COPY t FROM STDIN WITH (FORMAT binary)",
        "INSERT INTO t VALUES (2); COPY t TO STDOUT; INSERT INTO t VALUES (3)",
        "COPY (INSERT INTO t VALUES (9) RETURNING a) TO STDOUT",
    ],
)
def test_copy_with_the_client(conn: Connection, statement: str) -> None:
    query(conn, "CREATE TABLE t (a int); INSERT INTO t VALUES (1)")
    for _ in range(2):
        assert result_failure(conn, launch(conn, statement))[:2] == NO_COPY
    handle = submit(conn, statement)
    wait(conn, handle)
    assert state(conn, handle) == "error"
    assert query(conn, "SELECT a FROM t") == [(1,)]
    assert run(conn, "SELECT 'after'") == [("after",)]


def test_copy_with_the_server(conn: Connection) -> None:
    query(conn, "CREATE TABLE t (a int)")
    assert tags(conn, "COPY t FROM PROGRAM 'seq 3'") == ["COPY 3"]
    assert tags(conn, "COPY t TO PROGRAM 'cat >/dev/null'") == ["COPY 3"]


@pytest.mark.parametrize("moment", ["running", "finished", "failed"])
def test_result_of_a_submitted_job(conn: Connection, connect: Connect, moment: str) -> None:
    with closed_gate(connect()) as gate:
        job = {"running": gate.sql, "finished": "SELECT 1", "failed": "SELECT 1/0"}[moment]
        handle = submit(conn, job)
        if moment != "running":
            wait(conn, handle)
        expected = Failure(
            "0A000", f"results are disabled for PID {handle.pid} (submitted via pg_background_submit)"
        )
        for session in (conn, connect()):
            assert result_failure(session, handle) == expected
            assert result_failure(session, handle, "a int, b int") == expected
        assert failure(conn, "SELECT * FROM pg_background_result_v2(%s, %s) AS (a int)", *handle) == expected
    assert wait(conn, handle)


@pytest.mark.parametrize("function", ["pg_background_progress", "pg_background_report_progress"])
@pytest.mark.parametrize("arguments", ["50", "50, 'half'", "50.5", "50.5, NULL", "'7'::float8"])
def test_progress_outside_of_a_job(conn: Connection, function: str, arguments: str) -> None:
    assert failure(conn, f"SELECT {function}({arguments})") == Failure(
        "0A000", "pg_background_report_progress can only be called from a background worker"
    )


@pytest.mark.parametrize("function", ["pg_background_progress", "pg_background_report_progress"])
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("0", (0, None)),
        ("42", (42, None)),
        ("100, 'done'", (100, "done")),
        ("101", (100, None)),
        ("-1", (0, None)),
        ("2147483647", (100, None)),
        ("-2147483648", (0, None)),
        ("99.9", (99, None)),
        ("12.5, 'an eighth'", (12, "an eighth")),
        ("1e300", (100, None)),
        ("'-Infinity'::float8", (0, None)),
        ("50, NULL", (50, None)),
        ("50, ''", (50, "")),
        ("50, 'ä€𝄞'", (50, "ä€𝄞")),
    ],
)
def test_progress_of_a_job(
    conn: Connection, connect: Connect, function: str, arguments: str, expected: tuple[int, str | None]
) -> None:
    """Seen while it runs and after, by any session of the role."""
    with closed_gate(connect()) as gate:
        handle = launch(conn, f"SELECT {function}({arguments}); {gate.sql}; SELECT 'x'")
        wait_until(lambda: progress(conn, handle)[0] is not None)
        assert progress(conn, handle) == expected
        assert progress(connect(), handle) == expected
    wait(conn, handle)
    assert progress(conn, handle) == expected
    assert query(conn, "SELECT * FROM pg_background_get_progress_v2(%s, %s)", *handle) == [expected]
    assert result(conn, handle) == [("x",)]


def test_progress_moves(conn: Connection, connect: Connect) -> None:
    """Also back: it is the job's to say."""
    with closed_gate(connect()) as gate:
        steps = "SELECT pg_background_progress(10, 'a'); SELECT pg_background_progress(90.0, 'b');"
        handle = launch(conn, f"{steps} SELECT pg_background_progress(20); {gate.sql}")
        wait_until(lambda: progress(conn, handle) == (20, None))


def test_progress_is_of_one_job(conn: Connection) -> None:
    """Not of the process: the next job has none."""
    first = launch(conn, "SELECT pg_background_progress(77, 'mine')")
    wait(conn, first)
    for _ in range(5):
        handle = launch(conn, "SELECT 1")
        wait(conn, handle)
        assert progress(conn, handle) == (None, None)
    assert progress(conn, first) == (77, "mine")


def test_progress_that_is_rolled_back_was_made(conn: Connection) -> None:
    handle = launch(conn, "SELECT pg_background_progress(30); SELECT 1/0")
    wait(conn, handle)
    assert progress(conn, handle) == (30, None)


@pytest.mark.parametrize("length", [100, 255, 256, 10_000])
def test_long_progress_message(conn: Connection, length: int) -> None:
    """Its beginning is kept, in whole characters."""
    handle = launch(conn, f"SELECT pg_background_progress(1, repeat('€', {length}))")
    wait(conn, handle)
    message = progress(conn, handle)[1]
    assert message
    assert message == "€" * len(message)
    assert len(message) <= length
