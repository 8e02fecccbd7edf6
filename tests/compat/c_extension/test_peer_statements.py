"""Each statement of a job sees the effects of those before it, as with psql's `-c`."""

from __future__ import annotations

import psycopg
import pytest

from ...support.calls import Failure, query, read, result_failure, tags, value
from ...support.fix_db import Connection
from ...support.jobs import launch, result, run, submit, wait, wait_for_state

SETUP = "CREATE TABLE lu (a int); INSERT INTO lu VALUES (0)"

#: Several statements, the last with one text column.
SCRIPTS = {
    "three updates": "UPDATE lu SET a = a + 1; UPDATE lu SET a = a + 1; UPDATE lu SET a = a + 1;"
    " SELECT a::text FROM lu",
    "insert, delete": "INSERT INTO lu VALUES (7); DELETE FROM lu WHERE a = 7;"
    " SELECT count(*)::text FROM lu WHERE a = 7",
    "insert, select": "INSERT INTO lu SELECT 8 FROM generate_series(1, 3);"
    " SELECT count(*)::text FROM lu WHERE a = 8",
    "create, use": "CREATE TABLE made (b text); INSERT INTO made VALUES ('x'); SELECT b FROM made",
    "function": "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS 'SELECT ''new'''; SELECT f()",
    "plpgsql": "CREATE FUNCTION g() RETURNS text LANGUAGE plpgsql AS"
    " 'BEGIN UPDATE lu SET a = a + 1; RETURN a FROM lu; END'; SELECT g(); SELECT g()",
    "temporary": "CREATE TEMP TABLE t ON COMMIT DROP AS SELECT 5 AS c; UPDATE t SET c = c + 1;"
    " SELECT c::text FROM t",
    "truncate": "INSERT INTO lu VALUES (1); TRUNCATE lu; INSERT INTO lu VALUES (2);"
    " SELECT string_agg(a::text, ',') FROM lu",
    "alter": "ALTER TABLE lu ADD b text DEFAULT 'd'; UPDATE lu SET b = b || a; SELECT b FROM lu",
    "index": "CREATE UNIQUE INDEX ON lu (a); INSERT INTO lu VALUES (0) ON CONFLICT (a) DO UPDATE SET a = 50;"
    " SELECT a::text FROM lu",
    "settings": "SET LOCAL work_mem = '3MB'; SELECT set_config('a.b', current_setting('work_mem'), true);"
    " SELECT current_setting('a.b')",
    "cursor": "DECLARE c CURSOR FOR SELECT n::text FROM generate_series(1, 9) n; MOVE 4 FROM c;"
    " FETCH 2 FROM c",
    "prepared": "PREPARE p (int) AS UPDATE lu SET a = a + $1; EXECUTE p (3); EXECUTE p (4); DEALLOCATE p;"
    " SELECT a::text FROM lu",
    "sequence": "CREATE SEQUENCE s; SELECT nextval('s'); SELECT nextval('s'); SELECT currval('s')::text",
    "deferred": "CREATE TABLE f (a int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED);"
    " INSERT INTO f VALUES (1), (2); UPDATE f SET a = 3 - a;"
    " SELECT string_agg(a::text, '' ORDER BY a) FROM f",
    "trigger": "CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS"
    " 'BEGIN NEW.a := (SELECT count(*) FROM lu); RETURN NEW; END';"
    " CREATE TRIGGER t BEFORE INSERT ON lu FOR EACH ROW EXECUTE FUNCTION t();"
    " INSERT INTO lu VALUES (9); INSERT INTO lu VALUES (9); SELECT max(a)::text FROM lu",
}


def test_no_update_is_lost(conn: Connection) -> None:
    query(conn, SETUP)
    found = tags(conn, "update lu set a=a+1; update lu set a=a+1; update lu set a=a+1")
    assert found == ["UPDATE 1", "UPDATE 1", "UPDATE 1"]
    assert value(conn, "SELECT a FROM lu") == 3


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_same_as_in_a_session(conn: Connection, script: str) -> None:
    """The same script, in a transaction that is taken back, is what the job is compared with."""
    query(conn, SETUP)
    cursor = conn.execute(f"BEGIN; {script}".encode())
    while cursor.nextset():
        pass
    expected = cursor.fetchall()
    conn.execute("ROLLBACK")
    assert expected
    assert run(conn, script) == expected


@pytest.mark.parametrize("start", [launch, submit])
def test_a_script_takes_effect_as_a_whole(conn: Connection, start: type) -> None:
    query(conn, SETUP)
    job = ";".join(["UPDATE lu SET a = a + 1"] * 100)
    assert wait(conn, start(conn, job))
    assert value(conn, "SELECT a FROM lu") == 100


def test_any_error_takes_all_back(conn: Connection) -> None:
    query(conn, SETUP)
    handle = launch(conn, "UPDATE lu SET a = 1; CREATE TABLE made (); SELECT 1/0; UPDATE lu SET a = 2")
    assert result_failure(conn, handle)[:2] == ("22012", "division by zero")
    assert query(conn, "SELECT a, to_regclass('made') FROM lu") == [(0, None)]


def test_a_syntax_error_at_the_end_runs_nothing(conn: Connection) -> None:
    query(conn, SETUP)
    query(conn, "CREATE SEQUENCE s")
    handle = launch(conn, "SELECT nextval('s'); SELEC 1")
    assert result_failure(conn, handle)[:2] == ("42601", 'syntax error at or near "SELEC"')
    assert value(conn, "SELECT is_called FROM s") is False


def test_a_deferred_constraint_is_checked_at_the_end(conn: Connection) -> None:
    query(conn, "CREATE TABLE u (a int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    handle = launch(conn, "INSERT INTO u VALUES (1); INSERT INTO u VALUES (1); SELECT 'before the commit'")
    assert result_failure(conn, handle)[0] == "23505"
    assert value(conn, "SELECT count(*) FROM u") == 0


@pytest.mark.parametrize(
    "statement",
    [
        "VACUUM lu",
        "CREATE INDEX CONCURRENTLY ON lu (a)",
        "CREATE DATABASE never_made",
        "REINDEX TABLE CONCURRENTLY lu",
        "ALTER SYSTEM SET work_mem = '5MB'",
    ],
)
@pytest.mark.parametrize("position", ["first", "last"])
def test_statement_that_must_be_alone(conn: Connection, statement: str, position: str) -> None:
    """PostgreSQL's own error, word by word."""
    query(conn, SETUP)
    script = f"{statement}; SELECT 1" if position == "first" else f"SELECT 1; {statement}"
    with pytest.raises(psycopg.Error) as caught:
        query(conn, script)
    diag = caught.value.diag
    assert diag.sqlstate == "25001"
    assert result_failure(conn, launch(conn, script))[:2] == (diag.sqlstate, diag.message_primary)


@pytest.mark.parametrize(
    ("statement", "tag"),
    [
        ("VACUUM (ANALYZE) lu", "VACUUM"),
        ("CREATE INDEX CONCURRENTLY lu_a ON lu (a)", "CREATE INDEX"),
        ("REINDEX TABLE CONCURRENTLY lu", "REINDEX"),
        ("CALL three()", "CALL"),
        ("DO $$ BEGIN UPDATE lu SET a = a + 1; COMMIT; UPDATE lu SET a = 1/0; END $$", None),
    ],
    ids=["vacuum", "create index", "reindex", "call", "do"],
)
def test_statement_that_may_be_alone(conn: Connection, statement: str, tag: str | None) -> None:
    query(conn, SETUP)
    query(
        conn,
        "CREATE PROCEDURE three() LANGUAGE plpgsql AS $$ BEGIN FOR i IN 1..3 LOOP"
        " UPDATE lu SET a = a + 1; COMMIT; UPDATE lu SET a = 100; ROLLBACK; END LOOP; END $$",
    )
    handle = launch(conn, statement)
    # Not inside a statement that waits: its snapshot is what building an index concurrently waits for.
    wait_for_state(conn, handle, "stopped" if tag else "error")
    if tag is None:
        assert result_failure(conn, handle)[0] == "22012"
        assert value(conn, "SELECT a FROM lu") == 1
    else:
        assert result(conn, handle) == [(tag,)]
        assert value(conn, "SELECT a FROM lu") == (3 if tag == "CALL" else 0)


def test_transaction_identity_is_one_for_all_statements(conn: Connection) -> None:
    query(conn, "CREATE TABLE ids (id xid8, at timestamptz)")
    insert = "INSERT INTO ids VALUES (pg_current_xact_id(), now())"
    assert read(conn, f"{insert}; {insert}; SELECT count(DISTINCT (id, at)) FROM ids", "n int8") == [(1,)]


def test_serializable_script(conn: Connection) -> None:
    query(conn, SETUP)
    query(conn, "SET default_transaction_isolation = 'serializable'")
    script = "UPDATE lu SET a = a + 1; SHOW transaction_isolation"
    assert run(conn, script) == [("serializable",)]


def test_read_only_script(conn: Connection) -> None:
    query(conn, SETUP)
    query(conn, "SET default_transaction_read_only = on")
    failed = result_failure(conn, launch(conn, "UPDATE lu SET a = a + 1"))
    assert failed == Failure("25006", "cannot execute UPDATE in a read-only transaction")
