"""Statements that a session may run only outside of a transaction block: as the only one of a job."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from psycopg import errors as e

from ..support.fix_db import Connection
from ..support.jobs import has_ended, launch, result, run, state, wait
from ..support.waiting import wait_until


@pytest.fixture
def busy(conn: Connection) -> Connection:
    """A session, and a table with an index."""
    conn.execute("CREATE TABLE busy (a int); INSERT INTO busy SELECT generate_series(1, 1000)")
    conn.execute("CREATE INDEX busy_a ON busy (a); CREATE INDEX busy_b ON busy (a)")
    return conn


@pytest.mark.parametrize(
    ("statement", "tag"),
    [
        ("VACUUM busy", "VACUUM"),
        ("VACUUM (ANALYZE) busy", "VACUUM"),
        ("VACUUM (PARALLEL 2) busy", "VACUUM"),
        ("VACUUM FULL busy", "VACUUM"),
        ("VACUUM", "VACUUM"),
        ("CREATE INDEX CONCURRENTLY busy_2 ON busy (a)", "CREATE INDEX"),
        ("REINDEX INDEX CONCURRENTLY busy_a", "REINDEX"),
        ("REINDEX TABLE CONCURRENTLY busy", "REINDEX"),
        ("DROP INDEX CONCURRENTLY busy_a", "DROP INDEX"),
        ("ALTER SYSTEM RESET work_mem", "ALTER SYSTEM"),
        ("DISCARD ALL", "DISCARD ALL"),
        ("CLUSTER busy USING busy_a", "CLUSTER"),
    ],
)
def test_as_the_only_statement(busy: Connection, statement: str, tag: str) -> None:
    # Twice: the first time the worker is fresh, the second time it is warm; a semicolon makes no second one.
    again = statement.replace("busy_2", "busy_3").replace(
        "INDEX CONCURRENTLY busy_a", "INDEX CONCURRENTLY busy_b"
    )
    for job in (statement, f"{again};"):
        handle = launch(busy, job)
        # Not by a waiting statement: its snapshot is one that CONCURRENTLY waits for.
        wait_until(lambda handle=handle: has_ended(busy, handle), what="its end")  # type: ignore[misc]
        assert result(busy, handle) == [(tag,)]
    assert busy.execute("SELECT count(*) FROM pg_index WHERE NOT indisvalid").fetchone() == (0,)


@pytest.mark.parametrize(
    "statement",
    [
        "VACUUM busy",
        "CREATE INDEX CONCURRENTLY busy_2 ON busy (a)",
        "REINDEX TABLE CONCURRENTLY busy",
        "CREATE DATABASE never_made",
        "ALTER SYSTEM SET work_mem = '5MB'",
    ],
)
@pytest.mark.parametrize("around", ["SELECT 1; {}", "{}; SELECT 1"], ids=["after", "before"])
def test_among_others_it_has_postgresql_s_own_error(busy: Connection, statement: str, around: str) -> None:
    """Word by word."""
    with pytest.raises(e.ActiveSqlTransaction) as expected:
        busy.execute(around.format(statement).encode())
    handle = launch(busy, around.format(statement))
    assert wait(busy, handle)
    assert state(busy, handle) == "error"
    with pytest.raises(e.ActiveSqlTransaction) as caught:
        result(busy, handle, "value int" if around.endswith("1") else "value text")
    assert caught.value.diag.message_primary == expected.value.diag.message_primary


def test_databases(conn: Connection, make_db: Callable[[str], str]) -> None:
    database = make_db("template_of_job")
    assert run(conn, f"CREATE DATABASE copied_by_job TEMPLATE {database}") == [("CREATE DATABASE",)]
    assert run(conn, "DROP DATABASE copied_by_job") == [("DROP DATABASE",)]


PROCEDURE = """
CREATE PROCEDURE batches(batches int) LANGUAGE plpgsql AS $$ BEGIN
  FOR i IN 1..batches LOOP
    INSERT INTO done VALUES (i);
    IF i % 2 = 0 THEN ROLLBACK; ELSE COMMIT; END IF;
  END LOOP;
END $$
"""


def test_call_that_commits(conn: Connection) -> None:
    conn.execute("CREATE TABLE done (a int)")
    conn.execute(PROCEDURE)
    assert run(conn, "CALL batches(6)") == [("CALL",)]
    assert conn.execute("SELECT array_agg(a ORDER BY a) FROM done").fetchone() == ([1, 3, 5],)


@pytest.mark.parametrize(
    "job",
    [
        "CALL batches(6)",
        "DO $$ BEGIN FOR i IN 1..6 LOOP INSERT INTO done VALUES (i); COMMIT; END LOOP; END $$",
    ],
    ids=["call", "do"],
)
def test_a_failure_after_a_commit(conn: Connection, job: str) -> None:
    """What had been committed stays."""
    conn.execute("CREATE TABLE done (a int CHECK (a < 4))")
    conn.execute(PROCEDURE)
    with pytest.raises(e.CheckViolation):
        run(conn, job)
    kept = [1, 3] if job.startswith("CALL") else [1, 2, 3]
    assert conn.execute("SELECT array_agg(a ORDER BY a) FROM done").fetchone() == (kept,)


def test_call_with_an_out_parameter(conn: Connection) -> None:
    conn.execute(
        "CREATE PROCEDURE answer(INOUT a int) LANGUAGE plpgsql AS $$ BEGIN COMMIT; a := a + 2; END $$"
    )
    assert run(conn, "CALL answer(40)", "a int") == [(42,)]


def test_do_that_commits(conn: Connection) -> None:
    conn.execute("CREATE TABLE done (a int)")
    job = (
        "DO $$ BEGIN FOR i IN 1..3 LOOP INSERT INTO done VALUES (i); COMMIT; END LOOP; "
        "INSERT INTO done VALUES (4); ROLLBACK; END $$"
    )
    assert run(conn, job) == [("DO",)]
    assert conn.execute("SELECT count(*) FROM done").fetchone() == (3,)


def test_do_that_commits_among_others(conn: Connection) -> None:
    with pytest.raises(e.InvalidTransactionTermination):
        run(conn, "SELECT 1; DO $$ BEGIN COMMIT; END $$")


def test_do_that_commits_notices_and_output(conn: Connection) -> None:
    """Notices of before a COMMIT are not lost."""
    notices: list[str | None] = []
    conn.add_notice_handler(lambda notice: notices.append(notice.message_primary))
    job = (
        "DO $$ BEGIN FOR i IN 1..300 LOOP RAISE NOTICE '% %', i, repeat('x', 1000); COMMIT; END LOOP; END $$"
    )
    handle = launch(conn, job)
    assert wait(conn, handle)
    assert result(conn, handle) == [("DO",)]
    assert [(notice or "").split()[0] for notice in notices] == [str(n) for n in range(1, 301)]
