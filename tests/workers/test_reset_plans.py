"""What a worker caches is valid for each job; what can't be undone is avoided by a process for each."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from ..support.calls import query, value
from ..support.fix_db import Connect, Connection
from ..support.fix_server import FreshServer
from ..support.jobs import Handle, launch, launch_within, result, run, wait, wait_until_gone
from ..support.server import Server
from ..support.workers import only_worker, wait_until_idle


@pytest.fixture
def one(server: Server) -> Iterator[None]:
    """All jobs run in one worker, which stays."""
    with only_worker(server), server.alter_system({"pg_background.worker_idle_timeout": "1h"}):
        yield


@pytest.fixture
def conn(one: None, connect: Connect) -> Connection:
    return connect()


def job(conn: Connection, sql: str) -> tuple[int, object]:
    """Run a job with one text value; return its worker's pid and the value, once the worker is idle."""
    handle = launch(conn, sql)
    ((found,),) = result(conn, handle)
    wait_until_idle(conn, handle.pid)
    return handle.pid, found


@pytest.mark.in_public
def test_search_path_in_plpgsql(conn: Connection) -> None:
    """A function's plans are made for one search path, and not used under another."""
    query(
        conn,
        """CREATE SCHEMA a; CREATE SCHEMA b;
        CREATE TABLE a.t AS SELECT 'of a'::text AS v; CREATE TABLE b.t AS SELECT 'of b'::text AS v;
        CREATE FUNCTION v() RETURNS text LANGUAGE plpgsql AS
          'DECLARE found text; BEGIN SELECT t.v INTO found FROM t; RETURN found; END';
        SET check_function_bodies = off;
        CREATE FUNCTION s() RETURNS text LANGUAGE sql AS 'SELECT t.v FROM t'""",
    )
    workers = set()
    for _ in range(3):
        for schema in ("a", "b"):
            query(conn, f"SET search_path = {schema}, public")
            for function in ("v", "s"):
                pid, found = job(conn, f"SELECT {function}()")
                assert found == f"of {schema}"
                workers.add(pid)
    assert len(workers) == 1


def test_search_path_set_by_the_job(conn: Connection) -> None:
    query(
        conn,
        """CREATE SCHEMA a; CREATE TABLE a.t AS SELECT 'of a'::text AS v;
        CREATE TABLE public.t AS SELECT 'public'::text AS v;
        CREATE FUNCTION public.v() RETURNS text LANGUAGE plpgsql AS
          'DECLARE found text; BEGIN SELECT t.v INTO found FROM t; RETURN found; END'""",
    )
    for _ in range(3):
        assert job(conn, "SET search_path = a, public; SELECT v()")[1] == "of a"
        assert job(conn, "SELECT v()")[1] == "public"


def test_temporary_table_that_hides_another(conn: Connection) -> None:
    """The function of the next job sees the other one again."""
    query(
        conn,
        """CREATE TABLE t AS SELECT 'lasting'::text AS v;
        CREATE FUNCTION v() RETURNS text LANGUAGE plpgsql AS
          'DECLARE found text; BEGIN SELECT t.v INTO found FROM t; RETURN found; END'""",
    )
    for _ in range(3):
        assert job(conn, "CREATE TEMP TABLE t AS SELECT 'passing'::text AS v; SELECT v()")[1] == "passing"
        assert job(conn, "SELECT v()")[1] == "lasting"


@pytest.mark.in_public
def test_new_table_that_hides_another(conn: Connection) -> None:
    """It comes between two jobs; a session that begins after it would see it."""
    query(
        conn,
        """CREATE SCHEMA a; CREATE TABLE t AS SELECT 'public'::text AS v;
        CREATE FUNCTION v() RETURNS text LANGUAGE plpgsql AS
          'DECLARE found text; BEGIN SELECT t.v INTO found FROM t; RETURN found; END';
        SET search_path = a, public""",
    )
    assert job(conn, "SELECT v()")[1] == "public"
    query(conn, "CREATE TABLE a.t AS SELECT 'of a'::text AS v")
    assert job(conn, "SELECT v()")[1] == "of a"


def test_roles_in_plans(conn: Connection, connect: Connect) -> None:
    """Row security is that of the job's role, not of the role for which a function was first planned."""
    query(
        conn,
        """CREATE TABLE secrets (owner text); INSERT INTO secrets VALUES ('postgres'), ('pg_monitor');
        ALTER TABLE secrets ENABLE ROW LEVEL SECURITY;
        CREATE POLICY own ON secrets USING (owner = current_user); GRANT SELECT ON secrets TO pg_monitor;
        CREATE FUNCTION n() RETURNS text LANGUAGE plpgsql AS
          'BEGIN RETURN (SELECT string_agg(owner, '' '' ORDER BY owner) FROM secrets); END'""",
    )
    for _ in range(3):
        assert job(conn, "SELECT n()")[1] == "pg_monitor postgres"
        assert job(conn, "SET ROLE pg_monitor; SELECT n()")[1] == "pg_monitor"


def test_changed_objects(conn: Connection) -> None:
    """An idle worker's caches follow what others change."""
    query(
        conn,
        """CREATE TABLE t (v text); INSERT INTO t VALUES ('old');
        CREATE FUNCTION v() RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT t.v FROM t); END'""",
    )
    assert job(conn, "SELECT v()")[1] == "old"
    query(conn, "ALTER TABLE t RENAME v TO w; ALTER TABLE t ADD v text DEFAULT 'new'")
    assert job(conn, "SELECT v()")[1] == "new"
    query(conn, "CREATE OR REPLACE FUNCTION v() RETURNS text LANGUAGE sql AS 'SELECT ''replaced''::text'")
    assert job(conn, "SELECT v()")[1] == "replaced"
    query(conn, "DROP FUNCTION v()")
    handle = launch(conn, "SELECT v()")
    assert wait(conn, handle)
    assert query(conn, "SELECT last_error FROM pg_background_list WHERE cookie = %s", handle.cookie) == [
        ("function v() does not exist",)
    ]


def test_plans_follow_changes(conn: Connection) -> None:
    """A warm worker learns what others did to the catalogue."""
    conn.execute("CREATE TABLE changing (a int); INSERT INTO changing VALUES (1)")
    conn.execute("CREATE FUNCTION answer() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'")
    assert run(conn, "SELECT a, answer() FROM changing", "a int, b int") == [(1, 1)]
    conn.execute("ALTER TABLE changing ALTER a TYPE text")
    conn.execute("CREATE OR REPLACE FUNCTION answer() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 2; END'")
    assert run(conn, "SELECT a, answer() FROM changing", "a text, b int") == [("1", 2)]
    conn.execute("DROP TABLE changing")
    with pytest.raises(psycopg.errors.UndefinedTable):
        run(conn, "SELECT a FROM changing", "a text")


@pytest.mark.parametrize("end", ["", "; SELECT 1 / 0"], ids=["well", "failed"])
def test_large_objects(conn: Connection, end: str) -> None:
    """A descriptor ends with its transaction, and the next job's are numbered from the start."""
    made = value(conn, "SELECT lo_create(0)")
    first = launch(conn, f"SELECT lo_open({made}, 131072); SELECT lo_open({made}, 131072){end}")
    assert wait(conn, first)
    wait_until_idle(conn, first.pid)
    handle = launch(conn, "SELECT loread(0, 10)")
    assert handle.pid == first.pid
    assert wait(conn, handle)
    assert query(conn, "SELECT last_error FROM pg_background_list WHERE cookie = %s", handle.cookie) == [
        ("invalid large-object descriptor: 0",)
    ]
    assert run(conn, f"SELECT lo_open({made}, 131072)::text") == [("0",)]


def test_replication_origin(conn: Connection) -> None:
    """Otherwise the next job could not set up its own, nor anybody else that one."""
    query(conn, "SELECT pg_replication_origin_create('left_over')")
    seen = "SELECT pg_replication_origin_session_is_setup()::text"
    try:
        pid, _ = job(conn, "SELECT pg_replication_origin_session_setup('left_over')::text")
        assert job(conn, seen) == (pid, "false")
        query(conn, "SELECT pg_replication_origin_session_setup('left_over')")
        query(conn, "SELECT pg_replication_origin_session_reset()")
        # Also one that failed after it.
        failed = launch(conn, "SELECT pg_replication_origin_session_setup('left_over'); SELECT 1 / 0")
        assert wait(conn, failed)
        assert job(conn, seen) == (pid, "false")
    finally:
        query(conn, "SELECT pg_replication_origin_drop('left_over')")


def test_label_and_application_name(conn: Connection, connect: Connect) -> None:
    """Each job shows its own."""
    shown = "SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()"
    named = connect(application_name="named")

    def labelled(session: Connection, label: str | None) -> object:
        handle = launch(session, shown, label=label)
        ((found,),) = result(session, handle)
        wait_until_idle(conn, handle.pid)
        return found

    for _ in range(2):
        for session in (named, conn):
            pid = session.info.backend_pid
            assert labelled(session, "night") == f"pg_background:night:{pid}"
            assert labelled(session, None) == f"pg_background:{pid}"


def test_timeouts_of_the_last_job(conn: Connection, connect: Connect) -> None:
    """Neither those that it came with nor those that it set go off in the next one."""
    query(conn, "SET pg_background.worker_timeout = 500")
    first = launch_within(conn, "SELECT 1", statement_timeout="500", lock_timeout="500")
    assert wait(conn, first)
    wait_until_idle(conn, first.pid)
    patient = connect()
    second = launch(patient, "SELECT 'slept' FROM pg_sleep(0.6)")
    assert second.pid == first.pid
    assert result(patient, second) == [("slept",)]


# ---- what can't be undone


def loaded(conn: Connection, handle: Handle) -> str:
    return str(result(conn, handle)[0][0])


def test_without_idle_time_each_job_has_a_process_of_its_own(fresh_server: FreshServer) -> None:
    """So that not even a loaded library, with its settings, is left."""
    server = fresh_server({"pg_background.worker_idle_timeout": 0, "pg_background.max_total_workers": 1})
    seen = "SELECT coalesce(current_setting('plpgsql.variable_conflict', true), 'not loaded')"
    with server.connect() as conn:
        pids = set()
        for _ in range(5):
            # Loads PL/pgSQL, which the launcher has not.
            dirty = launch(
                conn, "DO $$ BEGIN PERFORM 1; END $$; SET plpgsql.variable_conflict = 'use_column'"
            )
            assert wait(conn, dirty)
            wait_until_gone(conn, dirty.pid)
            clean = launch(conn, seen)
            assert loaded(conn, clean) == "not loaded"
            pids |= {dirty.pid, clean.pid}
        assert len(pids) == 10


def test_with_idle_time_a_loaded_library_stays_but_its_settings_do_not(conn: Connection) -> None:
    """As the manual says."""
    shown = "SELECT coalesce(current_setting('plpgsql.variable_conflict', true), 'not loaded')"
    pid, before = job(conn, shown)
    assert before == "not loaded"
    dirty = launch(conn, "DO $$ BEGIN PERFORM 1; END $$; SET plpgsql.variable_conflict = 'use_column'")
    assert dirty.pid == pid
    assert wait(conn, dirty)
    wait_until_idle(conn, pid)
    assert job(conn, shown) == (pid, "error")


def test_a_backup_ends_with_its_job(conn: Connection, server: Server) -> None:
    """With its process, since nothing else ends it."""
    begin = (
        "pg_backup_start('left over', true)"
        if server.major >= 15
        else ("pg_start_backup('left over', true, false)")
    )
    dirty = launch(conn, f"SELECT {begin}::text")
    assert wait(conn, dirty)
    wait_until_gone(conn, dirty.pid)
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
        run(
            conn,
            "SELECT pg_backup_stop()::text" if server.major >= 15 else "SELECT pg_stop_backup(false)::text",
        )
    assert len(run(conn, f"SELECT {begin}::text")) == 1
