# Made from test_backfill_state_async.py by tools/async_to_sync.py: edit that one.
"""The state of a backfill: who may write to it, which one it is of, what those who work at it leave there."""

from __future__ import annotations

from contextlib import suppress
from threading import Thread
from typing import Any

import psycopg
import pytest

import pg_background
from pg_background import BackfillError, Client
from pg_background.backfill.state import State

from ..support.fix_db import Connect, Connection, MakeRole
from ..support.server import Server
from ..support.waiting import wait_until_sql

COUNT = "UPDATE t SET times = times + 1 WHERE {range}"


@pytest.fixture(autouse=True)
def table(conn: Connection) -> None:
    """A table `t` whose rows count how often they were changed."""
    conn.execute(
        "CREATE TABLE t AS SELECT n AS k, 0 AS times FROM generate_series(1, 1000) AS n;"
        " ALTER TABLE t ADD PRIMARY KEY (k); ANALYZE t"
    )


def once(conn: Connection) -> None:
    """See that each row was changed once."""
    assert conn.execute("SELECT DISTINCT times FROM t").fetchall() == [(1,)]


def test_default_privileges_give_nobody_the_state(
    server: Server, db: str, conn: Connection, make_role: MakeRole
) -> None:
    """Whoever could write to it would say what its owner runs."""
    role = make_role()
    conn.execute("CREATE SCHEMA mine; GRANT USAGE ON SCHEMA mine TO PUBLIC")
    for grantee in (role, "PUBLIC"):
        conn.execute(f"ALTER DEFAULT PRIVILEGES IN SCHEMA mine GRANT ALL ON TABLES TO {grantee}".encode())
    with Client.connect(server.dsn(db)) as mine:
        assert (mine.backfill(COUNT, "t", schema="mine").run()).is_complete
    with server.connect(db, user=role) as other:
        for name in ("pg_background_backfill", "pg_background_backfill_range"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                other.execute(f"SELECT FROM mine.{name}".encode())
    # To read it may be granted; state that others may write to is not gone on with.
    conn.execute(f"GRANT SELECT ON mine.pg_background_backfill TO {role}".encode())
    with Client.connect(server.dsn(db)) as mine:
        assert (mine.backfill(name="t").report()).is_complete
    for right in ("UPDATE (statement)", "TRIGGER"):
        conn.execute(f"GRANT {right} ON mine.pg_background_backfill TO {role}".encode())
        with Client.connect(server.dsn(db)) as mine:
            fill = mine.backfill(name="t")
            with pytest.raises(BackfillError, match="others may write"):
                fill.resume()
        conn.execute(f"REVOKE {right} ON mine.pg_background_backfill FROM {role}".encode())


def test_interrupted_before_the_last_range_is_known_to_be_done(
    client: Client[Any], conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is open, and so the backfill is not done."""

    class Told(BaseException):
        pass

    def interrupt(*_: Any) -> Any:
        raise Told

    conn.execute("ALTER TABLE t ADD CHECK (times < 1)")
    fill = client.backfill(COUNT, "t")
    with monkeypatch.context() as patch:
        patch.setattr(State, "outcome", interrupt)
        with pytest.raises(Told):
            fill.run()
    report = fill.report()
    assert (report.state, report.ranges_open, report.is_complete) == ("stopped", 1, False)
    conn.execute("ALTER TABLE t DROP CONSTRAINT t_times_check")
    assert (fill.resume()).state == "done"
    once(conn)


def test_forgotten_and_begun_anew_while_it_runs(
    client: Client[Any], server: Server, db: str, conn: Connection
) -> None:
    """Whoever works at the old one leaves the new one alone, which has another statement."""

    class Told(BaseException):
        pass

    def leave(progress: Any) -> None:
        raise Told

    def meddle(progress: Any) -> None:
        if progress.ranges_done == 2:
            with pg_background.connect(server.dsn(db)) as other:
                assert other.backfill(name="t").forget()
                with pytest.raises(Told):
                    other.backfill(COUNT, "t", batch_size=100).run(progress=leave)
            # As if its process had been killed.
            conn.execute("UPDATE pg_background_backfill SET state = 'running'")

    fill = client.backfill(COUNT.replace("1", "100"), "t", batch_size=100)
    with pytest.raises(BackfillError, match="forgotten meanwhile"):
        fill.run(progress=meddle)
    assert (client.backfill(name="t").resume()).is_complete
    changed = "SELECT times, count(*) FROM t GROUP BY times ORDER BY times"
    assert conn.execute(changed).fetchall() == [(1, 800), (101, 200)]


def test_retries_begin_anew(client: Client[Any], conn: Connection, connect: Connect) -> None:
    """Those of a range that was given up do not count for whoever goes on."""
    blocker = connect(autocommit=False)
    blocker.execute("SELECT FROM t WHERE k = 150 FOR UPDATE")
    fill = client.backfill(COUNT, "t", batch_size=100, lock_timeout=0.01, retries=1)
    assert [error.tries for error in (fill.run()).errors] == [1]
    report = fill.resume(progress=lambda now: blocker.rollback() if now.retries else None)
    assert (report.is_complete, report.retries) == (True, 2)
    once(conn)


def test_a_range_in_the_hands_of_another(client: Client[Any], conn: Connection, connect: Connect) -> None:
    """It is not given up, and nobody waits for it while there are others."""
    conn.execute("ALTER TABLE t ADD CHECK (times < 1 OR k > 100)")
    fill = client.backfill(COUNT, "t", batch_size=100, jobs=1, on_error="stop", lock_timeout=0.05, retries=0)
    assert [error.number for error in (fill.run()).errors] == [1]
    # As a process that died leaves it, whose job still runs.
    ranges = "pg_background_backfill_range"
    conn.execute(f"UPDATE {ranges} SET state = 'open'; ALTER TABLE t DROP CONSTRAINT t_check".encode())
    other = connect(autocommit=False)
    other.execute(f"SELECT FROM {ranges} FOR UPDATE".encode())

    def release() -> None:
        with suppress(AssertionError):
            wait_until_sql(conn, f"SELECT count(*) FROM {ranges} WHERE state = 'done'", expected=9)
            done.append(True)
        other.rollback()

    done: list[bool] = []
    thread = Thread(target=release)
    thread.start()
    report = fill.resume()
    thread.join()
    assert (done, report.is_complete, report.ranges_failed) == ([True], True, 0)
    once(conn)


def test_a_session_of_another_isolation(server: Server, db: str, conn: Connection, connect: Connect) -> None:
    """Two who work at it wait for each other; neither fails by what the other has changed."""
    blocker = connect(autocommit=False)
    state = "pg_background_backfill"
    waits = "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"
    threads: list[Thread] = []

    def release() -> None:
        with server.connect(db) as session:
            wait_until_sql(session, waits)
        blocker.commit()

    def change(progress: Any) -> None:
        if progress.ranges_done == 1:
            blocker.execute(f"UPDATE {state} SET batch_size = batch_size".encode())
            threads.append(Thread(target=release))
            threads[0].start()

    options = "-c default_transaction_isolation=serializable"
    with Client.connect(server.dsn(db, options=options)) as mine:
        report = mine.backfill(COUNT, "t", batch_size=100).run(progress=change)
    threads[0].join()
    assert report.is_complete
    once(conn)


def test_without_the_language_of_the_jobs(
    server: Server, db: str, conn: Connection, make_role: MakeRole
) -> None:
    role = make_role(member_of=("pgbackground_role",))
    conn.execute(f"CREATE SCHEMA mine AUTHORIZATION {role}; GRANT ALL ON t TO {role}".encode())
    conn.execute("REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC")
    with Client.connect(server.dsn(db, user=role)) as other:
        fill = other.backfill(COUNT, "t", schema="mine")
        for attempt in (fill.plan, fill.run):
            with pytest.raises(BackfillError, match="language plpgsql"):
                attempt()
        conn.execute(f"GRANT USAGE ON LANGUAGE plpgsql TO {role}".encode())
        assert (fill.run()).is_complete
    once(conn)
