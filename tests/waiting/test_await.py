"""CALL pg_background_await: a wait that no other session has to wait for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from ..support.calls import at_the_same_time, wait_until_in_extension
from ..support.fix_db import Connect, Connection
from ..support.jobs import FOREVER, Handle, cancel, launch, result, wait

STATEMENTS = {
    "CREATE INDEX": "CREATE INDEX CONCURRENTLY ON parts (number)",
    "REINDEX": "REINDEX TABLE CONCURRENTLY parts",
}


@pytest.fixture
def session(connect: Connect) -> Connection:
    """Checks for deadlocks soon, and has a table with an index."""
    conn = connect()
    conn.execute("SET deadlock_timeout = '100ms'")
    conn.execute("CREATE TABLE parts (number int PRIMARY KEY)")
    conn.execute("INSERT INTO parts SELECT generate_series(1, 1000)")
    return conn


def call_await(conn: Connection, handle: Handle, timeout_ms: int = 0) -> bool:
    row = conn.execute("CALL pg_background_await(%s, %s, %s)", (*handle, timeout_ms)).fetchone()
    assert row is not None
    return bool(row[0])


@contextmanager
def launched(session: Connection, connect: Connect, statement: str) -> Iterator[Handle]:
    """Launch a job that a lock holds back until the session waits, as the block must make it do in a thread.

    So it looks for snapshots when the session's statement is at its wait, not on its way there.
    """
    holder, watcher = connect(), connect()
    holder.execute("BEGIN")
    holder.execute("LOCK TABLE parts IN SHARE UPDATE EXCLUSIVE MODE")
    yield launch(session, statement)
    wait_until_in_extension(watcher, session)
    holder.execute("COMMIT")


@pytest.mark.parametrize("tag", STATEMENTS)
def test_statements_that_wait_for_all_snapshots(session: Connection, connect: Connect, tag: str) -> None:
    with at_the_same_time(session) as call:
        with launched(session, connect, STATEMENTS[tag]) as handle:
            waiting = call(call_await, session, handle)
        assert waiting.result()
    assert result(session, handle) == [(tag,)]


@pytest.mark.parametrize("tag", STATEMENTS)
def test_inside_the_implicit_transaction_of_psycopg(session: Connection, connect: Connect, tag: str) -> None:
    """It neither commits nor harms the transaction."""
    session.autocommit = False
    with at_the_same_time(session) as call:
        with launched(session, connect, STATEMENTS[tag]) as handle:
            waiting = call(call_await, session, handle)
        assert waiting.result()
    session.execute("CREATE TABLE made_in_between ()")
    assert result(session, handle) == [(tag,)]
    session.rollback()
    assert session.execute("SELECT to_regclass('made_in_between')").fetchone() == (None,)
    session.rollback()


def test_repeatable_read_keeps_its_snapshot(session: Connection) -> None:
    session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    session.execute("SELECT 1")
    handle = launch(session, STATEMENTS["REINDEX"])
    with pytest.raises(psycopg.errors.DeadlockDetected):
        call_await(session, handle)
    session.execute("ROLLBACK")
    assert call_await(session, handle)


def test_a_function_keeps_its_snapshot(session: Connection, connect: Connect) -> None:
    session.execute("""
        CREATE FUNCTION await_in_function(p int, c bigint) RETURNS bool LANGUAGE plpgsql AS $$
        DECLARE
          finished bool;
        BEGIN
          CALL pg_background_await(p, c, 0, finished);
          RETURN finished;
        END $$""")
    waits_in_vain(
        session, connect, lambda handle: session.execute("SELECT await_in_function(%s, %s)", handle)
    )


def test_function_wait_cannot_but_says_so(session: Connection, connect: Connect) -> None:
    """The snapshot of the statement that waits is one that the job waits for."""
    waits_in_vain(session, connect, lambda handle: wait(session, handle))


def waits_in_vain(session: Connection, connect: Connect, wait_for: Callable[[Handle], object]) -> None:
    """The session's snapshot is one that the job waits for."""
    with at_the_same_time(session) as call:
        with launched(session, connect, STATEMENTS["REINDEX"]) as handle:
            waiting = call(wait_for, handle)
        assert waiting.failure().sqlstate == "40P01"
    assert call_await(session, handle)


def test_time_limit(session: Connection) -> None:
    handle = launch(session, FOREVER)
    assert not call_await(session, handle, 10)
    cancel(session, handle)
    assert call_await(session, handle)


def test_null_and_unknown_handles(session: Connection) -> None:
    with pytest.raises(psycopg.errors.NullValueNotAllowed):
        session.execute("CALL pg_background_await(NULL, 1)")
    with pytest.raises(psycopg.errors.UndefinedObject):
        session.execute("CALL pg_background_await(1, 1)")
