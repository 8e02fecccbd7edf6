"""A job is a transaction of its own, whatever its launcher's does."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from psycopg import errors as e

from ..support.fix_db import Connect, Connection
from ..support.jobs import (
    Handle,
    closed_gate,
    has_ended,
    launch,
    result,
    run,
    state,
    submit,
    wait,
    wait_until_asleep,
    wait_until_gone,
)
from ..support.waiting import wait_until

Start = Callable[[Connection, str], Handle]
START: list[Start] = [launch, submit]


@pytest.fixture
def kept(conn: Connection) -> Connection:
    """A session, and a table that jobs write to."""
    conn.execute("CREATE TABLE kept (a int)")
    return conn


def count(conn: Connection) -> int:
    """Count the rows of the table."""
    row = conn.execute("SELECT count(*) FROM kept").fetchone()
    assert row is not None
    return int(row[0])


def test_commits_while_its_launcher_rolls_back(kept: Connection, connect: Connect) -> None:
    launcher = connect(autocommit=False)
    launcher.execute("CREATE TABLE not_kept (a int)")
    handle = launch(launcher, "INSERT INTO kept VALUES (1)")
    assert wait(launcher, handle)
    assert count(kept) == 1
    launcher.rollback()
    assert count(kept) == 1
    assert result(launcher, handle) == [("INSERT 0 1",)]


def test_goes_on_when_its_launcher_rolls_back(kept: Connection, connect: Connect) -> None:
    launcher = connect(autocommit=False)
    with closed_gate(kept) as gate:
        handles = [start(launcher, f"{gate.sql}; INSERT INTO kept VALUES (1)") for start in START]
        launcher.rollback()
        assert not any(has_ended(launcher, handle) for handle in handles)
        launcher.rollback()
    assert all(wait(launcher, handle) for handle in handles)
    assert count(kept) == 2


def test_goes_on_when_its_savepoint_is_rolled_back(kept: Connection) -> None:
    with closed_gate(kept) as gate, kept.transaction():
        kept.execute("SAVEPOINT s")
        handles = [start(kept, f"{gate.sql}; INSERT INTO kept VALUES (1)") for start in START]
        kept.execute("ROLLBACK TO s")
    assert all(wait(kept, handle) for handle in handles)
    assert count(kept) == 2


def test_goes_on_after_an_error_in_its_launcher(kept: Connection) -> None:
    with pytest.raises(e.DivisionByZero):
        kept.execute("SELECT pg_background_submit('INSERT INTO kept VALUES (1)'), 1 / (random() * 0)::int")
    with pytest.raises(e.RaiseException):
        kept.execute(
            "DO $$ BEGIN PERFORM pg_background_submit('INSERT INTO kept VALUES (2)'); RAISE 'no'; END $$"
        )
    wait_until(lambda: count(kept) == 2, what="both rows")


@pytest.mark.parametrize("statement", ["DISCARD ALL", "RESET ALL", "SELECT 1"])
@pytest.mark.parametrize("start", START)
def test_its_handle_outlives(kept: Connection, connect: Connect, start: Start, statement: str) -> None:
    with closed_gate(connect()) as gate:
        handle = start(kept, f"{gate.sql}; INSERT INTO kept VALUES (1)")
        kept.execute(statement.encode())
        assert not has_ended(kept, handle)
    assert wait(kept, handle)
    assert state(kept, handle) == "stopped"
    assert count(kept) == 1


@pytest.mark.parametrize("how", ["closes", "is terminated"])
def test_goes_on_when_its_launcher_disconnects(kept: Connection, connect: Connect, how: str) -> None:
    """In the midst of a transaction."""
    launcher = connect(autocommit=False)
    backend = launcher.info.backend_pid
    with closed_gate(kept) as gate:
        launch(launcher, f"{gate.sql}; INSERT INTO kept VALUES (1)")
        submit(launcher, f"{gate.sql}; INSERT INTO kept VALUES (2)")
        if how == "closes":
            launcher.close()
        else:
            kept.execute("SELECT pg_terminate_backend(%s)", [backend])
        wait_until_gone(kept, backend)
        assert count(kept) == 0
    wait_until(lambda: count(kept) == 2, what="both rows")


def test_does_not_see_what_its_launcher_has_not_committed(kept: Connection, connect: Connect) -> None:
    launcher = connect(autocommit=False)
    launcher.execute("INSERT INTO kept VALUES (1)")
    assert run(launcher, "SELECT count(*) FROM kept", "n bigint") == [(0,)]
    launcher.commit()
    assert run(launcher, "SELECT count(*) FROM kept", "n bigint") == [(1,)]


def test_is_not_seen_by_a_launcher_with_an_older_snapshot(kept: Connection) -> None:
    with kept.transaction():
        kept.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        assert count(kept) == 0
        assert run(kept, "INSERT INTO kept VALUES (1)") == [("INSERT 0 1",)]
        assert count(kept) == 0
    assert count(kept) == 1


def test_an_error_undoes_all_of_it(kept: Connection) -> None:
    job = "INSERT INTO kept VALUES (1); CREATE TABLE made (); SELECT 1 / 0; INSERT INTO kept VALUES (2)"
    with pytest.raises(e.DivisionByZero):
        run(kept, job)
    assert kept.execute("SELECT count(*), to_regclass('made') FROM kept").fetchone() == (0, None)


def test_a_syntax_error_at_the_end_runs_nothing(conn: Connection) -> None:
    conn.execute("CREATE SEQUENCE s")
    with pytest.raises(e.SyntaxError, match='syntax error at or near "SELEC"'):
        run(conn, "SELECT nextval('s'); SELEC 1")
    assert conn.execute("SELECT is_called FROM s").fetchone() == (False,)


def test_its_statements_have_one_id_and_one_now(conn: Connection) -> None:
    conn.execute("CREATE TABLE ids (id xid8, at timestamptz)")
    insert = "INSERT INTO ids VALUES (pg_current_xact_id(), now())"
    job = f"{insert}; SELECT pg_sleep(0.01); {insert}; SELECT count(*), count(DISTINCT (id, at)) FROM ids"
    assert run(conn, job, "n int8, ids int8") == [(2, 1)]


def test_a_deferred_constraint_fails_the_job_at_commit(conn: Connection) -> None:
    conn.execute(
        "CREATE TABLE parent (a int PRIMARY KEY);"
        "CREATE TABLE child (a int CONSTRAINT has_parent REFERENCES parent DEFERRABLE INITIALLY DEFERRED)"
    )
    handle = launch(conn, "INSERT INTO child VALUES (1) RETURNING a")
    assert wait(conn, handle)
    assert state(conn, handle) == "error"
    with pytest.raises(e.ForeignKeyViolation) as caught:
        result(conn, handle, "a int")
    assert caught.value.diag.constraint_name == "has_parent"
    assert conn.execute("SELECT count(*) FROM child").fetchone() == (0,)
    ok = launch(conn, "INSERT INTO child VALUES (1); INSERT INTO parent VALUES (1)")
    assert result(conn, ok) == [("INSERT 0 1",), ("INSERT 0 1",)]


def test_a_serializable_launcher_has_serializable_jobs(kept: Connection) -> None:
    kept.execute("SET default_transaction_isolation = 'serializable'")
    assert run(kept, "INSERT INTO kept VALUES (1); SHOW transaction_isolation") == [("serializable",)]
    assert count(kept) == 1


def test_a_launcher_in_a_serializable_transaction(kept: Connection) -> None:
    with kept.transaction():
        kept.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        kept.execute("SELECT count(*) FROM kept")
        assert run(kept, "INSERT INTO kept VALUES (1)") == [("INSERT 0 1",)]
    assert count(kept) == 1
    # Nor does the next job's transaction keep anything of it.
    assert run(kept, "SHOW transaction_isolation") == [("read committed",)]


def test_a_launcher_in_a_read_only_transaction(kept: Connection) -> None:
    """Only the setting of the session holds for its jobs, as for its next transactions."""
    with kept.transaction():
        kept.execute("SET TRANSACTION READ ONLY")
        handle = launch(kept, "SELECT 1")
        assert result(kept, handle, "a int") == [(1,)]
    kept.execute("SET default_transaction_read_only = on")
    with pytest.raises(e.ReadOnlySqlTransaction):
        run(kept, "INSERT INTO kept VALUES (1)")
    kept.execute("SET default_transaction_read_only = off")
    assert run(kept, "INSERT INTO kept VALUES (1)") == [("INSERT 0 1",)]


def test_notify_is_delivered_when_the_job_commits(kept: Connection, connect: Connect) -> None:
    listener = connect()
    listener.execute("LISTEN news")
    with closed_gate(kept) as gate:
        committed = launch(kept, f"NOTIFY news, 'sent'; {gate.sql}")
        failed = launch(kept, "NOTIFY news, 'undone'; SELECT 1 / 0")
        assert wait(kept, failed)
        wait_until_asleep(kept, committed.pid, "advisory")
        assert list(listener.notifies(timeout=0.1)) == []
    assert wait(kept, committed)
    (notification,) = listener.notifies(timeout=20, stop_after=1)
    assert (notification.payload, notification.pid) == ("sent", committed.pid)


def test_a_launch_in_an_aborted_transaction_is_refused(connect: Connect) -> None:
    launcher = connect(autocommit=False)
    with pytest.raises(e.DivisionByZero):
        launcher.execute("SELECT 1 / 0")
    with pytest.raises(e.InFailedSqlTransaction):
        launch(launcher, "SELECT 1")


def test_a_job_may_launch_jobs(kept: Connection) -> None:
    rows = run(
        kept,
        "SELECT r.a FROM pg_background_launch('INSERT INTO kept VALUES (5) RETURNING a') h,"
        " LATERAL pg_background_result(h.pid, h.cookie) AS r (a int)",
        "a int",
    )
    assert rows == [(5,)]
    assert count(kept) == 1


def test_a_job_of_a_job_outlives_it(kept: Connection) -> None:
    with closed_gate(kept) as gate:
        inner = gate.sql.replace("'", "''")
        ((pid, cookie),) = run(
            kept,
            f"SELECT (h).* FROM pg_background_submit('{inner}; INSERT INTO kept VALUES (1)') h",
            "pid int, cookie bigint",
        )
        assert not has_ended(kept, Handle(pid, cookie))
    assert wait(kept, Handle(pid, cookie))
    assert count(kept) == 1
