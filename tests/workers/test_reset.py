"""Nothing of one job is in the next one, though both run in one process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from psycopg import errors as e

from ..support.fix_db import Connect, Connection, MakeRole
from ..support.jobs import Handle, launch, result, run, wait
from ..support.server import Server
from ..support.waiting import wait_until_sql
from ..support.workers import only_worker


@pytest.fixture
def same(server: Server, connect: Connect) -> Iterator[Connection]:
    """A session all of whose jobs run in one worker."""
    with only_worker(server):
        conn = connect()
        first = launch(conn, "SELECT 1")
        assert result(conn, first, "a int") == [(1,)]
        yield conn
        last = launch(conn, "SELECT 1")
        assert result(conn, last, "a int") == [(1,)]
        assert last.pid == first.pid


@pytest.mark.parametrize("failing", ["", "; SELECT 1 / 0"], ids=["committed", "failed"])
@pytest.mark.parametrize(
    ("leaves", "looks"),
    [
        ("CREATE TEMP TABLE left_behind AS SELECT 1 AS a", "to_regclass('left_behind') IS NULL"),
        ("CREATE TEMP SEQUENCE left_behind", "to_regclass('left_behind') IS NULL"),
        (
            "CREATE TABLE pg_temp.left_behind (a text)",
            "NOT EXISTS (SELECT FROM pg_class WHERE relname LIKE 'left%')",
        ),
        ("PREPARE left_behind AS SELECT 1", "NOT EXISTS (SELECT FROM pg_prepared_statements)"),
        ("DECLARE left_behind CURSOR WITH HOLD FOR SELECT 1", "NOT EXISTS (SELECT FROM pg_cursors)"),
        ("LISTEN left_behind", "NOT EXISTS (SELECT FROM pg_listening_channels())"),
        (
            "SELECT pg_advisory_lock(1), pg_advisory_lock(1), pg_advisory_lock_shared(2)",
            "NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted)",
        ),
        ("SET ROLE pgbackground_role", "current_user = 'postgres'"),
        (
            "SET SESSION AUTHORIZATION pgbackground_role",
            "session_user = 'postgres' AND current_user = 'postgres'",
        ),
        ("SET TRANSACTION READ ONLY", "NOT current_setting('transaction_read_only')::bool"),
        (
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
            "NOT current_setting('transaction_read_only')::bool",
        ),
        ("SET CONSTRAINTS ALL DEFERRED", "true"),
        ("SELECT txid_current()", "txid_current_if_assigned() IS NULL"),
    ],
    ids=lambda value: value.split("(")[0][:30] if " " in value else None,
)
def test_of_a_session(same: Connection, leaves: str, looks: str, failing: str) -> None:
    left = launch(same, leaves + failing)
    assert wait(same, left)
    same.execute("SELECT pg_background_detach(%s, %s)", left)
    assert run(same, f"SELECT {looks}", "clean bool") == [(True,)]


def test_sequences(same: Connection) -> None:
    same.execute("CREATE SEQUENCE numbers")
    assert run(same, "SELECT nextval('numbers'); SELECT currval('numbers')", "n bigint") == [(1,)]
    for call in ("currval('numbers')", "lastval()"):
        with pytest.raises(e.ObjectNotInPrerequisiteState, match="is not yet defined in this session"):
            run(same, f"SELECT {call}", "n bigint")


def test_random_numbers(same: Connection) -> None:
    """A seed holds for its job, and foretells nothing after it."""
    seeded = "SELECT setseed(0.5); SELECT random()"
    assert run(same, seeded, "r float8") == run(same, seeded, "r float8")
    after = []
    for _ in range(2):
        assert run(same, seeded, "r float8")
        after += run(same, "SELECT random()", "r float8")
    assert after[0] != after[1]


def test_open_transactions_of_a_canceled_job(same: Connection) -> None:
    same.execute("CREATE TABLE locked (a int)")
    handle = launch(same, "LOCK TABLE locked; SELECT pg_sleep(3600)")
    same.execute("SELECT pg_background_cancel(%s, %s, 60000)", handle)
    same.execute("SET lock_timeout = 5000; DROP TABLE locked")
    same.execute("RESET lock_timeout")


def test_temporary_tables_do_not_pile_up(same: Connection) -> None:
    for n in range(20):
        job = f"CREATE TEMP TABLE t AS SELECT {n} AS a; SELECT a FROM t"
        assert run(same, job, "a int") == [(n,)]
    # The last one goes after its job's end was told.
    wait_until_sql(same, "SELECT count(*) FROM pg_class WHERE relname = 't'", expected=0)


def test_a_job_whose_defaults_make_transactions_wait(same: Connection, connect: Connect) -> None:
    """Its worker takes the next job, whatever transactions others have open."""
    same.execute("CREATE TABLE written (a int)")
    other = connect()
    other.execute("BEGIN ISOLATION LEVEL SERIALIZABLE")
    other.execute("INSERT INTO written VALUES (1)")
    waits = (
        "CREATE TEMP TABLE t (); SET default_transaction_isolation = serializable;"
        "SET default_transaction_read_only = on; SET default_transaction_deferrable = on"
    )
    assert run(same, waits) == [("CREATE TABLE",), *[("SET",)] * 3]
    handle = launch(same, "SELECT 'next'")
    assert wait(same, handle, 20_000)
    assert result(same, handle) == [("next",)]
    other.execute("ROLLBACK")


def test_plans_follow_changes(same: Connection) -> None:
    """A warm worker learns what others did to the catalogue."""
    same.execute("CREATE TABLE changing (a int); INSERT INTO changing VALUES (1)")
    same.execute("CREATE FUNCTION answer() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'")
    assert run(same, "SELECT a, answer() FROM changing", "a int, b int") == [(1, 1)]
    same.execute("ALTER TABLE changing ALTER a TYPE text")
    same.execute("CREATE OR REPLACE FUNCTION answer() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 2; END'")
    assert run(same, "SELECT a, answer() FROM changing", "a text, b int") == [("1", 2)]
    same.execute("DROP TABLE changing")
    with pytest.raises(e.UndefinedTable):
        run(same, "SELECT a FROM changing", "a text")


def test_progress(same: Connection) -> None:
    first = launch(same, "SELECT pg_background_progress(42, 'half')")
    assert wait(same, first)
    second = launch(same, "SELECT 1")
    assert wait(same, second)
    assert second.pid == first.pid
    for handle, expected in ((first, (42, "half")), (second, (None, None))):
        row = same.execute("SELECT * FROM pg_background_get_progress(%s, %s)", handle).fetchone()
        assert row == expected
        same.execute("SELECT pg_background_detach(%s, %s)", handle)


def test_handles_of_the_job(same: Connection) -> None:
    """What a job launched is not in the list of the next job."""
    same.execute("SELECT 1")
    handle = launch(same, "SELECT count(*) FROM pg_background_list")
    assert result(same, handle, "n bigint") == [(0,)]
    assert isinstance(handle, Handle)


def test_of_another_role(server: Server, connect: Connect, make_role: MakeRole) -> None:
    """SET ROLE in one session, not in the other one, whose jobs run in the same worker."""
    role = make_role()
    with only_worker(server):
        first, second = connect(), connect()
        first.execute(f"SET ROLE {role}".encode())
        first.execute("RESET ROLE")
        first.execute(f"GRANT pgbackground_role TO {role}".encode())
        first.execute(f"SET ROLE {role}".encode())
        for _ in range(3):
            assert run(first, "SELECT current_user::text") == [(role,)]
            assert run(second, "SELECT current_user::text") == [("postgres",)]
