"""A session that waits for a job that waits for the session is told so, instead of waiting for ever."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from psycopg import errors as e

from ..support.fix_db import Connect, Connection
from ..support.jobs import (
    Handle,
    cancel,
    detach,
    has_ended,
    launch,
    result,
    run,
    state,
    wait,
    wait_until_asleep,
)
from ..support.waiting import wait_until

DETAIL = r"Process \d+ waits for .*job.*process \d+"


@pytest.fixture
def launcher(conn: Connection, connect: Connect) -> Connection:
    """A session in a transaction, on a database with a table."""
    conn.execute("CREATE TABLE shared (a int PRIMARY KEY, b int); INSERT INTO shared VALUES (1, 0), (2, 0)")
    session = connect(autocommit=False)
    session.execute("SET deadlock_timeout = 100")
    session.commit()
    return session


def assert_deadlock(launcher: Connection, handle: Handle) -> None:
    """Waiting and reading both end with 40P01, which names both processes."""
    with pytest.raises(e.DeadlockDetected) as caught, launcher.transaction():
        wait(launcher, handle)
    detail = caught.value.diag.message_detail or ""
    assert str(launcher.info.backend_pid) in detail
    assert str(handle.pid) in detail
    with pytest.raises(e.DeadlockDetected), launcher.transaction():
        result(launcher, handle)


@pytest.mark.parametrize(
    ("held", "wanted"),
    [
        ("LOCK TABLE shared", "SELECT count(*) FROM shared"),
        ("LOCK TABLE shared IN SHARE MODE", "DELETE FROM shared"),
        ("UPDATE shared SET b = 1 WHERE a = 1", "UPDATE shared SET b = 2 WHERE a = 1"),
        ("SELECT FROM shared WHERE a = 1 FOR UPDATE", "DELETE FROM shared"),
        ("INSERT INTO shared VALUES (3)", "INSERT INTO shared VALUES (3)"),
        ("SELECT pg_advisory_xact_lock(1)", "SELECT pg_advisory_xact_lock(1)"),
        ("SELECT pg_advisory_lock(1)", "SELECT pg_advisory_lock_shared(1)"),
        ("ALTER TABLE shared ADD c int", "TABLE shared"),
    ],
    ids=["table", "table mode", "row update", "row lock", "unique", "advisory xact", "advisory", "ddl"],
)
def test_by_a_lock_of_the_waiter(launcher: Connection, conn: Connection, held: str, wanted: str) -> None:
    launcher.execute(held.encode())
    handle = launch(launcher, wanted)
    assert_deadlock(launcher, handle)
    # Once the waiter lets go, the job goes on.
    launcher.rollback()
    conn.execute("SELECT pg_terminate_backend(%s)", [launcher.info.backend_pid])
    assert wait(conn, handle)
    detach(conn, handle)


def test_by_a_lock_that_a_third_session_waits_for(launcher: Connection, connect: Connect) -> None:
    """The job waits for a session that waits for the waiter."""
    third = connect(autocommit=False)
    third.execute("UPDATE shared SET b = 3 WHERE a = 2")
    launcher.execute("UPDATE shared SET b = 1 WHERE a = 1")
    with ThreadPoolExecutor(1) as threads:
        blocked = threads.submit(third.execute, "UPDATE shared SET b = 3 WHERE a = 1")
        with connect() as watcher:
            wait_until_asleep(watcher, third.info.backend_pid, "transactionid")
        handle = launch(launcher, "UPDATE shared SET b = 2 WHERE a = 2")
        assert_deadlock(launcher, handle)
        launcher.rollback()
        blocked.result()
        third.rollback()
    assert wait(launcher, handle)
    detach(launcher, handle)


def test_by_a_session_that_waits_for_another_job(launcher: Connection, connect: Connect) -> None:
    """Two sessions, each waiting for a job that wants what the other one holds."""
    second = connect(autocommit=False)
    second.execute("SET deadlock_timeout = '1h'")
    second.execute("SELECT pg_advisory_xact_lock(2)")
    launcher.execute("SELECT pg_advisory_xact_lock(1)")
    wants_1 = launch(second, "SELECT pg_advisory_xact_lock(1)")
    wants_2 = launch(launcher, "SELECT pg_advisory_xact_lock(2)")
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(wait, second, wants_1)
        with connect() as watcher:
            wait_until_asleep(watcher, second.info.backend_pid, "Extension")
        with pytest.raises(e.DeadlockDetected):
            wait(launcher, wants_2)
        launcher.rollback()
        assert waiting.result() is True
    second.rollback()
    assert wait(launcher, wants_2)
    for handle in (wants_1, wants_2):
        detach(launcher, handle)


def test_by_jobs_that_wait_for_jobs(launcher: Connection) -> None:
    """The cycle goes through a job that waits for its own job."""
    launcher.execute("SELECT pg_advisory_xact_lock(1)")
    # The first one to look is the one to give up: not the job.
    launcher.execute("SET LOCAL deadlock_timeout = '1h'")
    handle = launch(
        launcher,
        "SELECT pg_background_wait(h.pid, h.cookie) "
        "FROM pg_background_launch('SELECT pg_advisory_xact_lock(1)') AS h",
    )
    launcher.execute("SET LOCAL deadlock_timeout = 100")
    with pytest.raises(e.DeadlockDetected):
        wait(launcher, handle)
    launcher.rollback()
    assert wait(launcher, handle)
    assert state(launcher, handle) == "stopped"
    detach(launcher, handle)


def test_a_wait_that_can_end_goes_on(launcher: Connection, connect: Connect) -> None:
    """Blocked, but not by the waiter."""
    holder = connect(autocommit=False)
    holder.execute("LOCK TABLE shared")
    launcher.execute("SELECT pg_advisory_xact_lock(1)")
    handle = launch(launcher, "SELECT count(*) FROM shared")
    assert not wait(launcher, handle, 500)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(wait, launcher, handle)
        holder.rollback()
        assert waiting.result() is True
    assert result(launcher, handle, "n bigint") == [(2,)]


def test_a_wait_with_a_limit_may_end_by_that(launcher: Connection) -> None:
    launcher.execute("SET LOCAL deadlock_timeout = '1h'")
    launcher.execute("LOCK TABLE shared")
    handle = launch(launcher, "SELECT count(*) FROM shared")
    assert not wait(launcher, handle, 200)
    launcher.rollback()
    assert result(launcher, handle, "n bigint") == [(2,)]


@pytest.mark.parametrize(
    "statement",
    ["CREATE INDEX CONCURRENTLY shared_b ON shared (b)", "REINDEX TABLE CONCURRENTLY shared"],
)
@pytest.mark.parametrize("in_one", [True, False], ids=["one statement", "two"])
def test_concurrently_in_a_waiting_statement(
    launcher: Connection, connect: Connect, statement: str, in_one: bool
) -> None:
    """CONCURRENTLY waits for snapshots, that of the waiting statement too: 40P01, unless it ended before."""
    session = connect()
    session.execute("SET deadlock_timeout = 100")
    try:
        if in_one:
            session.execute(
                "SELECT r.tag FROM pg_background_launch(%s) h, "
                "LATERAL pg_background_result(h.pid, h.cookie) AS r (tag text)",
                [statement],
            )
        else:
            run(session, statement)
    except e.DeadlockDetected:
        # Once the statement is over, nothing is in its way.
        row = session.execute("SELECT pid, cookie FROM pg_background_list").fetchone()
        assert row is not None
        handle = Handle(*row)
        wait_until(lambda: has_ended(session, handle), what="its end")
        assert result(session, handle) == [
            (" ".join(statement.split()[: 2 if "CREATE" in statement else 1]),)
        ]
    assert session.execute("SELECT count(*) FROM pg_index WHERE NOT indisvalid").fetchone() == (0,)


def test_of_a_canceled_job_is_none(launcher: Connection) -> None:
    launcher.execute("LOCK TABLE shared")
    handle = launch(launcher, "SELECT count(*) FROM shared")
    cancel(launcher, handle)
    assert wait(launcher, handle)
    assert state(launcher, handle) == "canceled"
    detach(launcher, handle)
