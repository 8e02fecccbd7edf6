"""A job that waits for what its waiter holds, of each kind of lock: 40P01, and the job goes on."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from psycopg import errors as e

from ..support.calls import error_of, failure, query, wait_until_blocked
from ..support.fix_db import Connect, Connection
from ..support.jobs import Handle, has_ended, launch, result, state, wait, wait_for_state


class Held(NamedTuple):
    """What a session holds, and a job that wants it."""

    held: str
    job: str
    tag: str
    #: as pg_locks names what the job waits for
    locktype: str


HELD = {
    "relation": Held("LOCK TABLE parts", "INSERT INTO parts VALUES (9)", "INSERT 0 1", "relation"),
    "weak relation lock": Held("SELECT FROM parts", "TRUNCATE parts", "TRUNCATE TABLE", "relation"),
    "row update": Held("UPDATE parts SET n = 5", "UPDATE parts SET n = 6", "UPDATE 1", "transactionid"),
    "row share": Held("SELECT FROM parts FOR SHARE", "DELETE FROM parts", "DELETE 1", "transactionid"),
    "unique key": Held(
        "INSERT INTO keys VALUES (1)",
        "INSERT INTO keys VALUES (1) ON CONFLICT DO NOTHING",
        "INSERT 0 1",
        "transactionid",
    ),
    "speculative": Held(
        "INSERT INTO keys VALUES (1) ON CONFLICT DO NOTHING",
        "INSERT INTO keys VALUES (1) ON CONFLICT (k) DO UPDATE SET k = 2",
        "INSERT 0 1",
        "transactionid",
    ),
    "foreign key": Held("DELETE FROM keys", "INSERT INTO refers VALUES (7)", "INSERT 0 1", "transactionid"),
    "advisory": Held(
        "SELECT pg_advisory_xact_lock(7)", "DO $$ BEGIN PERFORM pg_advisory_lock(7); END $$", "DO", "advisory"
    ),
    "advisory of two keys": Held(
        "SELECT pg_advisory_xact_lock_shared(7, 8)",
        "DO $$ BEGIN PERFORM pg_advisory_xact_lock(7, 8); END $$",
        "DO",
        "advisory",
    ),
    "function of a dropped type": Held(
        "ALTER TYPE mood ADD VALUE 'bad'", "DROP TYPE mood", "DROP TYPE", "object"
    ),
    "snapshot of an index build": Held(
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT FROM pg_class",
        "CREATE INDEX CONCURRENTLY ON parts (n)",
        "CREATE INDEX",
        "virtualxid",
    ),
    "snapshot of a dropped index": Held(
        "SELECT FROM parts WHERE n = 1", "DROP INDEX CONCURRENTLY parts_n", "DROP INDEX", "virtualxid"
    ),
}

WAYS = {
    "wait": "SELECT pg_background_wait(%s, %s)",
    "wait with a limit": "SELECT pg_background_wait(%s, %s, 3600000)",
    "result": "SELECT * FROM pg_background_result(%s, %s) AS (tag text)",
    "await": "CALL pg_background_await(%s, %s)",
}


@pytest.fixture
def session(connect: Connect) -> Connection:
    """Checks for deadlocks soon, and has tables."""
    conn = connect(options="-c deadlock_timeout=50ms")
    query(
        conn,
        "CREATE TABLE parts (n int); CREATE INDEX parts_n ON parts (n); INSERT INTO parts VALUES (1);"
        "CREATE TABLE keys (k int PRIMARY KEY); INSERT INTO keys VALUES (7);"
        "CREATE TABLE refers (k int REFERENCES keys);"
        "CREATE TYPE mood AS ENUM ('good')",
    )
    return conn


def wait_again(conn: Connection, handle: Handle, held: Held) -> None:
    """The job was left alone: once its way is free, it comes to its end, and its result can be read."""
    assert wait(conn, handle)
    assert state(conn, handle) == "stopped"
    tag = held.tag
    assert result(conn, handle) == [(tag,)]


@pytest.mark.parametrize("held", HELD.values(), ids=HELD)
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_held_by_the_waiter(session: Connection, connect: Connect, held: Held, way: str) -> None:
    session.execute("BEGIN")
    query(session, held.held)
    handle = launch(session, held.job)
    watcher = connect()
    if "CONCURRENTLY" not in held.job:
        wait_until_blocked(watcher, handle.pid)
        locks = "SELECT DISTINCT locktype FROM pg_locks WHERE NOT granted AND pid = %s"
        assert query(watcher, locks, handle.pid) == [(held.locktype,)]
    session.execute("SAVEPOINT waiting")
    error = failure(session, way, *handle)
    assert error[:3] == (
        "40P01",
        "deadlock detected",
        f"Process {session.info.backend_pid} waits for the background job of process {handle.pid};"
        f" the job waits for process {session.info.backend_pid}.",
    )
    assert error.hint
    # The job is as it was, and waiting again says the same.
    session.execute("ROLLBACK TO waiting")
    assert not has_ended(session, handle)
    assert state(session, handle) == "running"
    assert failure(session, way, *handle).sqlstate == "40P01"
    session.execute("ROLLBACK")
    wait_again(session, handle, held)


@pytest.mark.parametrize("held", [HELD["relation"], HELD["advisory"]], ids=["relation", "advisory"])
def test_released_after_the_error(session: Connection, held: Held) -> None:
    """A savepoint's end is enough, where it releases."""
    session.execute("BEGIN")
    session.execute("SAVEPOINT holding")
    query(session, held.held)
    handle = launch(session, held.job)
    session.execute("SAVEPOINT waiting")
    assert failure(session, WAYS["wait"], *handle).sqlstate == "40P01"
    session.execute("ROLLBACK TO holding")
    wait_again(session, handle, held)
    session.execute("ROLLBACK")


def test_session_lock_outlives_the_transaction(session: Connection) -> None:
    """Held at session level, without any transaction open."""
    query(session, "SELECT pg_advisory_lock(5)")
    handle = launch(session, "SELECT 'got it' FROM pg_advisory_xact_lock(5)")
    assert failure(session, WAYS["result"], *handle).sqlstate == "40P01"
    query(session, "SELECT pg_advisory_unlock(5)")
    assert result(session, handle) == [("got it",)]


def test_caught_in_plpgsql(session: Connection) -> None:
    """The error is one like others: a block can catch it, release nothing, and go on."""
    session.execute("BEGIN")
    session.execute("LOCK TABLE parts")
    handle = launch(session, "INSERT INTO parts VALUES (2)")
    query(
        session,
        f"""DO $$ BEGIN
          FOR i IN 1..3 LOOP
            BEGIN
              PERFORM pg_background_wait({handle.pid}, {handle.cookie});
              RAISE 'not seen';
            EXCEPTION WHEN deadlock_detected THEN
              NULL;
            END;
          END LOOP;
        END $$""",
    )
    session.execute("COMMIT")
    assert result(session, handle) == [("INSERT 0 1",)]


def test_time_limit_before_the_search(session: Connection) -> None:
    """A wait that ends first is no error."""
    query(session, "SET deadlock_timeout = '1h'")
    session.execute("BEGIN")
    session.execute("LOCK TABLE parts")
    handle = launch(session, "INSERT INTO parts VALUES (2)")
    assert wait(session, handle, 20) is False
    session.execute("COMMIT")
    assert result(session, handle) == [("INSERT 0 1",)]


def test_canceled_while_it_waits(session: Connection) -> None:
    """Neither does the search hide a cancel."""
    query(session, "SET deadlock_timeout = '1h'; SET statement_timeout = 100")
    session.execute("BEGIN")
    session.execute("LOCK TABLE parts")
    handle = launch(session, "RESET statement_timeout; INSERT INTO parts VALUES (2)")
    assert isinstance(error_of(session, WAYS["wait"], *handle), e.QueryCanceled)
    session.execute("ROLLBACK")
    query(session, "RESET statement_timeout")
    assert wait(session, handle)


def test_job_that_has_read_rows_already(session: Connection) -> None:
    """Rows come, and then the job waits for the reader."""
    query(
        session,
        """CREATE FUNCTION lock_late(n int) RETURNS int LANGUAGE plpgsql AS $$
        BEGIN
          IF n = 50000 THEN
            PERFORM pg_advisory_xact_lock(9);
          END IF;
          RETURN n;
        END $$""",
    )
    query(session, "SELECT pg_advisory_lock(9)")
    handle = launch(session, "SELECT lock_late(n) FROM generate_series(1, 60000) n")
    sql = "SELECT count(*) FROM pg_background_result(%s, %s) AS (n int)"
    assert failure(session, sql, *handle).sqlstate == "40P01"
    query(session, "SELECT pg_advisory_unlock(9)")
    # Consumed: rows were taken before.
    assert failure(session, sql, *handle).sqlstate == "42704"


def test_result_that_has_no_columns_yet(session: Connection) -> None:
    """Nothing was taken before the error, so the result stays readable."""
    query(session, "SELECT pg_advisory_lock(9)")
    handle = launch(session, "SELECT 'after' FROM pg_advisory_xact_lock(9)")
    assert failure(session, WAYS["result"], *handle).sqlstate == "40P01"
    query(session, "SELECT pg_advisory_unlock(9)")
    wait_for_state(session, handle, "stopped")
    assert result(session, handle) == [("after",)]
