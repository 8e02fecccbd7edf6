"""Each statement of a job sees the effects of those before it, as with psql's `-c`."""

from __future__ import annotations

import pytest

from ...support.calls import query, tags, value
from ...support.fix_db import Connection
from ...support.jobs import launch, run, submit, wait

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
    "create, alter, delete": "CREATE TABLE made (a int PRIMARY KEY, b text DEFAULT 'x');"
    " INSERT INTO made SELECT generate_series(1, 3); ALTER TABLE made ADD c int DEFAULT 7;"
    " DELETE FROM made WHERE a = 2; SELECT string_agg(made::text, '' ORDER BY a) FROM made",
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
