"""Nothing of one job reaches the next one of the same worker, nor of another session's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from ..support.calls import error_of, query, value
from ..support.fix_db import Connect, Connection, MakeRole
from ..support.jobs import Handle, cancel, detach, launch, result, run, wait, wait_until_asleep
from ..support.server import Server
from ..support.waiting import wait_until_sql
from ..support.workers import launch_in, only_worker, wait_until_idle


@pytest.fixture
def one(server: Server) -> Iterator[None]:
    """All jobs run in one worker, which stays."""
    with only_worker(server), server.alter_system({"pg_background.worker_idle_timeout": "1h"}):
        yield


@pytest.fixture
def first(one: None, connect: Connect) -> Connection:
    """The session whose job leaves something."""
    return connect()


@pytest.fixture
def second(first: Connection, connect: Connect) -> Connection:
    """The session whose job must not find it."""
    return connect()


@pytest.fixture
def same(first: Connection) -> Iterator[Connection]:
    """A session whose jobs all run in one process, as is seen at the end."""
    handle = finish(first, "SELECT 1")
    yield first
    assert finish(first, "SELECT 1").pid == handle.pid


def finish(conn: Connection, job: str) -> Handle:
    """Run a job to its end, and its worker to idleness."""
    handle = launch(conn, job)
    assert wait(conn, handle)
    wait_until_idle(conn, handle.pid)
    return handle


class Trace(NamedTuple):
    """What a job leaves, and how another one would see it."""

    left: str
    seen: str
    #: in a session's first job, by default nothing
    expected: str | None = None


SETTINGS = {
    "SET": Trace("SET work_mem = '77MB'", "SELECT current_setting('work_mem')", "4MB"),
    "SET SESSION CHARACTERISTICS": Trace(
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        "SELECT concat_ws(' ', current_setting('default_transaction_read_only'),"
        " current_setting('transaction_read_only'))",
        "off off",
    ),
    "SET TRANSACTION": Trace(
        "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE",
        "SELECT concat_ws(' ', current_setting('transaction_isolation'),"
        " current_setting('transaction_read_only'), current_setting('transaction_deferrable'))",
        "read committed off off",
    ),
    "SET CONSTRAINTS": Trace("SET CONSTRAINTS ALL DEFERRED", "SELECT 'none to see'", "none to see"),
    "isolation of later transactions": Trace(
        "SET default_transaction_isolation = 'serializable'",
        "SELECT current_setting('transaction_isolation')",
        "read committed",
    ),
    "search_path": Trace(
        "SET search_path = pg_catalog",
        "SELECT nullif(current_setting('search_path'), reset_val)"
        " FROM pg_settings WHERE name = 'search_path'",
    ),
    "application_name": Trace(
        "SET application_name = 'left'",
        "SELECT string_agg(nullif(name, ''), ' ') FROM (SELECT application_name FROM pg_stat_activity "
        "WHERE pid = pg_backend_pid() UNION ALL SELECT current_setting('application_name')) AS n (name) "
        "WHERE name !~ '^pg_background:[0-9]+$'",
    ),
    "role": Trace("SET ROLE pg_monitor", "SELECT current_user || current_setting('role')", "postgresnone"),
    "session authorization": Trace(
        "SET SESSION AUTHORIZATION pg_monitor", "SELECT session_user || current_user", "postgrespostgres"
    ),
    "time zone": Trace("SET TIME ZONE 'Asia/Tokyo'", "SELECT to_char(timestamptz 'epoch', 'TZH')", "+00"),
    "datestyle": Trace("SET datestyle = 'German'", "SELECT date '2001-02-03'::text", "2001-02-03"),
    "client_encoding": Trace(
        "SET client_encoding = 'LATIN1'", "SELECT current_setting('client_encoding')", "UTF8"
    ),
    "session_replication_role": Trace(
        "SET session_replication_role = replica",
        "SELECT current_setting('session_replication_role')",
        "origin",
    ),
}

SESSION = {
    "prepared statement": Trace(
        "PREPARE left_over AS SELECT 1", "SELECT string_agg(name, ' ') FROM pg_prepared_statements"
    ),
    "cursor WITH HOLD": Trace(
        "DECLARE left_over CURSOR WITH HOLD FOR SELECT generate_series(1, 10000)",
        "SELECT string_agg(name, ' ') FROM pg_cursors",
    ),
    "temporary table": Trace(
        "CREATE TEMP TABLE left_over (a int); INSERT INTO left_over VALUES (1)",
        "SELECT string_agg(relname, ' ') FROM pg_class WHERE relnamespace = pg_my_temp_schema()",
    ),
    "temporary table by its name": Trace(
        "CREATE TEMP TABLE left_over (a int)", "SELECT to_regclass('left_over')::text"
    ),
    "table in pg_temp": Trace(
        "CREATE TABLE pg_temp.left_over (a text)",
        "SELECT string_agg(relname, ' ') FROM pg_class WHERE relname LIKE 'left%'",
    ),
    "temporary view": Trace(
        "CREATE TEMP VIEW left_over AS SELECT 1", "SELECT to_regclass('left_over')::text"
    ),
    "temporary sequence": Trace(
        "CREATE TEMP SEQUENCE left_over; SELECT nextval('left_over')", "SELECT to_regclass('left_over')::text"
    ),
    "temporary function": Trace(
        "CREATE FUNCTION pg_temp.left_over() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "SELECT string_agg(proname, ' ') FROM pg_proc WHERE pronamespace = pg_my_temp_schema()",
    ),
    "temporary type": Trace(
        "CREATE TYPE pg_temp.left_over AS ENUM ('a')",
        "SELECT string_agg(typname, ' ') FROM pg_type WHERE typnamespace = pg_my_temp_schema()",
    ),
    "advisory lock": Trace(
        "SELECT pg_advisory_lock(1), pg_advisory_lock(1), pg_advisory_lock_shared(2, 3)",
        "SELECT string_agg(objid::text, ' ') FROM pg_locks WHERE locktype = 'advisory'",
    ),
    "LISTEN": Trace(
        "LISTEN left_over", "SELECT string_agg(channel, ' ') FROM pg_listening_channels() AS channel"
    ),
    "transaction id": Trace("SELECT txid_current()", "SELECT txid_current_if_assigned()::text"),
    "temporary replication slot": Trace(
        "SELECT pg_create_physical_replication_slot('left_over', true, true)",
        "SELECT string_agg(slot_name, ' ') FROM pg_replication_slots",
    ),
    "loaded settings of a database": Trace(
        "SELECT set_config('pg_background.max_workers', '3', false)",
        "SELECT current_setting('pg_background.max_workers')",
        "16",
    ),
}

#: As SESSION, of jobs that fail: what was done outside of the transaction, or before.
FAILED = {
    "advisory lock": Trace(
        "DO $$ BEGIN PERFORM pg_advisory_lock(1); RAISE 'failed'; END $$", SESSION["advisory lock"].seen
    ),
    "prepared statement": Trace(
        "DO $$ BEGIN EXECUTE 'PREPARE left_over AS SELECT 1'; RAISE 'failed'; END $$",
        SESSION["prepared statement"].seen,
    ),
    "committed temporary table": Trace(
        "DO $$ BEGIN CREATE TEMP TABLE left_over (a int); COMMIT; RAISE 'failed'; END $$",
        SESSION["temporary table"].seen,
    ),
    "committed setting": Trace(
        "DO $$ BEGIN SET work_mem = '77MB'; COMMIT; RAISE 'failed'; END $$",
        SETTINGS["SET"].seen,
        "4MB",
    ),
    "committed role": Trace(
        "DO $$ BEGIN SET ROLE pg_monitor; COMMIT; RAISE 'failed'; END $$",
        SETTINGS["role"].seen,
        "postgresnone",
    ),
}


def check(first: Connection, second: Connection, trace: Trace) -> None:
    """Neither the other session's next job finds it, nor the same session's."""
    left = finish(first, trace.left)
    for conn in (second, first):
        handle = launch(conn, trace.seen)
        assert handle.pid == left.pid
        assert result(conn, handle) == [(trace.expected,)]
        # Two jobs of one worker, one right after the other, with no time between for a reset to be late.
        dirty = launch(conn, trace.left)
        assert wait(conn, dirty)
        clean = launch(conn, trace.seen)
        assert result(conn, clean) == [(trace.expected,)]
        detach(conn, dirty)


#: How the job ends that leaves something.
ENDS = pytest.mark.parametrize("end", ["", "; SELECT 1 / 0"], ids=["committed", "failed"])


@ENDS
@pytest.mark.parametrize("trace", SETTINGS.values(), ids=SETTINGS)
def test_settings(first: Connection, second: Connection, trace: Trace, end: str) -> None:
    for conn in (first, second):
        query(conn, "SET TIME ZONE 'UTC'")
    check(first, second, trace._replace(left=trace.left + end))


@ENDS
@pytest.mark.parametrize("trace", SESSION.values(), ids=SESSION)
def test_what_a_session_has(first: Connection, second: Connection, trace: Trace, end: str) -> None:
    check(first, second, trace._replace(left=trace.left + end))


@pytest.mark.parametrize("trace", FAILED.values(), ids=FAILED)
def test_what_a_failed_job_has_left(first: Connection, second: Connection, trace: Trace) -> None:
    check(first, second, trace)


@pytest.mark.parametrize("name", ["SET", "role", "session authorization"])
def test_what_a_canceled_job_has_left(first: Connection, second: Connection, name: str) -> None:
    trace = SETTINGS[name]
    handle = launch(first, f"{trace.left}; SELECT pg_advisory_lock(1); SELECT pg_sleep(3600)")
    wait_until_asleep(second, handle.pid)
    cancel(second, handle)
    assert wait(second, handle)
    after = launch_in(second, handle.pid, trace.seen)
    assert result(second, after) == [(trace.expected,)]
    assert query(second, "SELECT pid FROM pg_locks WHERE locktype = 'advisory'") == []


@pytest.mark.parametrize("name", ["work_mem", "my.own", "role", "session_authorization", "search_path"])
def test_settings_of_the_launcher_are_not_the_next_ones(
    first: Connection, second: Connection, make_role: MakeRole, name: str
) -> None:
    """Those that came with a job go with it, like those that it set."""
    role = make_role(member_of=("pgbackground_role",))
    path = value(first, "SELECT 'pg_catalog, ' || current_setting('search_path')")
    new = {"work_mem": "'88MB'", "my.own": "'mine'", "search_path": path}.get(name, role)
    seen = f"SELECT current_setting('{name}', true)"
    before = value(second, seen)
    query(first, f"SET {name} TO {new}")
    launcher_sees = value(first, seen)
    handle = launch(first, seen)
    assert result(first, handle) == [(launcher_sees,)]
    wait_until_idle(second, handle.pid)
    again = launch(second, seen)
    # Other roles have processes of their own, and so have custom settings.
    assert (again.pid == handle.pid) == (name in ("work_mem", "search_path"))
    assert result(second, again) == [(before,)]


def test_sequences(first: Connection, second: Connection) -> None:
    query(first, "CREATE SEQUENCE numbers")
    assert run(first, "SELECT nextval('numbers'); SELECT currval('numbers')", "n bigint") == [(1,)]
    for conn in (second, first):
        for function in ("currval('numbers')", "lastval()"):
            handle = launch(conn, f"SELECT {function}")
            error = error_of(conn, "SELECT * FROM pg_background_result(%s, %s) AS (n int8)", *handle)
            assert error.sqlstate == "55000"
            assert "not yet defined in this session" in str(error)


def test_cached_sequence_values(first: Connection, second: Connection) -> None:
    """Values that a job has reserved and not used are gone, as those of a session that has ended."""
    query(first, "CREATE SEQUENCE numbers CACHE 10")
    finish(first, "SELECT nextval('numbers')")
    assert result(second, launch(second, "SELECT nextval('numbers')"), "n int8") == [(11,)]


def test_random_seed(first: Connection, second: Connection) -> None:
    """A seed steers the job's own numbers and no other's."""
    seeded = "SELECT setseed(0.5); SELECT random()::text"
    after = "SELECT random()::text"
    assert run(first, seeded) == run(first, seeded) == run(second, seeded)
    # It foretells nothing after it.
    found = set()
    for _ in range(5):
        finish(first, "SELECT setseed(0.5)")
        found.add(result(second, launch(second, after))[0])
    assert len(found) == 5


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


def test_progress(same: Connection) -> None:
    first = launch(same, "SELECT pg_background_progress(42, 'half')")
    assert wait(same, first)
    second = launch_in(same, first.pid, "SELECT 1")
    assert wait(same, second)
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
