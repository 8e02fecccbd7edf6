"""pg_background.read_only: jobs that can't write, whatever their SQL sets or calls."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from pg_background import Client

from ..support.fix_client import Place
from ..support.jobs import Connection, detach, result, start, state, wait
from ..support.waiting import wait_until_sql

_WRITES = "INSERT INTO t VALUES (1)"

#: Attempts to write, each as a job.
ATTEMPTS = {
    "plainly": _WRITES,
    "a table": "CREATE TABLE u ()",
    "another statement": f"SELECT 1; {_WRITES}",
    "set transaction": f"SET TRANSACTION READ WRITE; {_WRITES}",
    "set local": f"SET LOCAL transaction_read_only = off; {_WRITES}",
    "set_config": f"SELECT set_config('transaction_read_only', 'off', true); {_WRITES}",
    "reset": f"RESET transaction_read_only; {_WRITES}",
    "set_config to nothing": f"SELECT set_config('transaction_read_only', NULL, false); {_WRITES}",
    "pg_settings": "UPDATE pg_settings SET setting = DEFAULT WHERE name = 'transaction_read_only';"
    f" UPDATE pg_settings SET setting = 'off' WHERE name = 'transaction_read_only'; {_WRITES}",
    "to default": f"SET transaction_read_only TO DEFAULT; {_WRITES}",
    "reset all": f"RESET ALL; {_WRITES}",
    "default": f"SET default_transaction_read_only = off; {_WRITES}",
    "own setting": f"SET pg_background.read_only = off; {_WRITES}",
    "characteristics": f"SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE; {_WRITES}",
    "definer": "SELECT definer_writes()",
    "setting of a function": "SELECT setting_writes()",
    "commit": f"DO $$ BEGIN COMMIT; {_WRITES}; END $$",
    "rollback": f"DO $$ BEGIN ROLLBACK; SET TRANSACTION READ WRITE; {_WRITES}; END $$",
    "procedure": "CALL committing_writes()",
    "in a block": f"DO $$ BEGIN BEGIN SET TRANSACTION READ WRITE; {_WRITES}; END; END $$",
    "reset in a block": f"DO $$ BEGIN RESET transaction_read_only; {_WRITES}; END $$",
    "after an error": "DO $$ BEGIN BEGIN PERFORM 1/0; EXCEPTION WHEN others THEN NULL; END;"
    f" {_WRITES}; END $$",
    "in a with": "WITH w AS (INSERT INTO t VALUES (1) RETURNING *) SELECT * FROM w",
    "explain analyze": f"EXPLAIN ANALYZE {_WRITES}",
    "explain a creation": "EXPLAIN ANALYZE CREATE TABLE u AS SELECT 1 AS id",
    "explain an into": "EXPLAIN (ANALYZE off, ANALYZE) SELECT 1 AS id INTO u",
    "explain a view": "DO $$ BEGIN EXECUTE"
    " 'EXPLAIN ANALYZE CREATE MATERIALIZED VIEW u AS SELECT 1 AS id'; END $$",
    "prepared": f"PREPARE p AS {_WRITES}; EXECUTE p",
    "nextval": "SELECT nextval('s')",
    "setval": "SELECT setval('s', 7)",
    "for update": "SELECT * FROM kept FOR UPDATE",
    "truncate": "TRUNCATE kept",
    "vacuum": "VACUUM kept",
    "launched": "SELECT pg_background_launch($$INSERT INTO t VALUES (1)$$)",
    "launched otherwise": "SET pg_background.read_only = off; SET default_transaction_read_only = off;"
    " SELECT pg_background_run($$INSERT INTO t VALUES (1)$$)",
    "launched by a launched one": "SELECT pg_background_run($outer$SET pg_background.read_only = off;"
    " SELECT pg_background_run($$INSERT INTO t VALUES (1)$$)$outer$)",
    "launched by its owner": "SELECT definer_launches()",
}


@pytest.fixture
def prepared(conn: Connection) -> Connection:
    """A session whose jobs can only read, with something to write to."""
    conn.execute(
        """
        CREATE TABLE t (id int); CREATE TABLE kept AS SELECT 1 AS id; CREATE SEQUENCE s;
        CREATE FUNCTION definer_writes() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS
          $$ BEGIN SET LOCAL transaction_read_only = off; INSERT INTO t VALUES (1); END $$;
        CREATE FUNCTION setting_writes() RETURNS void LANGUAGE plpgsql AS
          $$ BEGIN PERFORM set_config('transaction_read_only', 'off', true); INSERT INTO t VALUES (1); END $$
          SET default_transaction_read_only = off;
        CREATE PROCEDURE committing_writes() LANGUAGE plpgsql AS
          $$ BEGIN COMMIT; SET default_transaction_read_only = off; COMMIT; INSERT INTO t VALUES (1); END $$;
        CREATE FUNCTION definer_launches() RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS
          $$ BEGIN SET LOCAL pg_background.read_only = off;
             RETURN pg_background_run('INSERT INTO t VALUES (1)'); END $$;
        """
    )
    conn.execute("SET pg_background.read_only = on")
    return conn


def _is_as_before(conn: Connection) -> bool:
    running = "SELECT count(*) FROM pg_background_jobs WHERE state IN ('queued', 'starting', 'running')"
    wait_until_sql(conn, f"{running} AND database = current_database()", expected=0)
    counts = (
        "SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM kept), (SELECT is_called FROM s),"
        " to_regclass('u')"
    )
    return conn.execute(counts).fetchall() == [(0, 1, False, None)]


@pytest.mark.parametrize("each_statement", [False, True])
def test_it_does_not_write(prepared: Connection, each_statement: bool) -> None:
    for attempt, sql in ATTEMPTS.items():
        job = start(prepared, sql, each_statement=each_statement)
        assert wait(prepared, job)
        if "launched" not in attempt:
            assert state(prepared, job) == "error", attempt
        assert _is_as_before(prepared), attempt
        detach(prepared, job)


def test_it_reads(prepared: Connection) -> None:
    for sql in (
        "SELECT id FROM kept",
        "SHOW transaction_read_only",
        "SELECT 1; SELECT id FROM kept",
        "",
        "EXPLAIN ANALYZE SELECT id FROM kept",
        "EXPLAIN CREATE TABLE u AS SELECT 1 AS id",
    ):
        job = start(prepared, sql)
        assert wait(prepared, job)
        assert state(prepared, job) == "stopped"
        detach(prepared, job)
    job = start(prepared, "SELECT id + $1::int FROM kept", params=["41"])
    assert result(prepared, job, "id int") == [(42,)]


def test_only_those_launched_with_it(prepared: Connection) -> None:
    # The same process runs all of them.
    for on, expected in (("off", "stopped"), ("on", "error"), ("off", "stopped")):
        prepared.execute(f"SET pg_background.read_only = {on}".encode())
        for sql in (
            _WRITES,
            f"SET TRANSACTION READ ONLY; SET transaction_read_only = off; {_WRITES}",
            f"DO $$ BEGIN {_WRITES}; COMMIT; END $$",
        ):
            job = start(prepared, sql)
            assert wait(prepared, job)
            assert state(prepared, job) == expected
            detach(prepared, job)


def test_isolation_levels(prepared: Connection) -> None:
    for level in ("read committed", "repeatable read", "serializable"):
        prepared.execute(f"SET default_transaction_isolation = '{level}'".encode())
        job = start(prepared, "SHOW transaction_isolation")
        assert result(prepared, job, "level text") == [(level,)]
        job = start(prepared, f"SET TRANSACTION READ WRITE; {_WRITES}")
        assert wait(prepared, job)
        detach(prepared, job)
    assert _is_as_before(prepared)


def test_a_client_says_it_of_one_job(place: Place) -> None:
    with Client.connect(place.dsn()) as client:
        client.run("CREATE TABLE t (id int)")
        with pytest.raises(errors.ReadOnlySqlTransaction):
            client.run(_WRITES, read_only=True)
        assert client.run(_WRITES).statusmessage == "INSERT 0 1"
        with pytest.raises(errors.ReadOnlySqlTransaction):
            client.run(_WRITES, read_only=True, timeout=60)


def test_in_another_database(prepared: Connection, place: Place) -> None:
    with psycopg.connect(place.server.dsn(place.database), autocommit=True) as there:
        there.execute("CREATE TABLE IF NOT EXISTS written_to (id int)")
    with Client(prepared) as client:
        prepared.execute("SET pg_background.read_only = off")
        prepared.execute(
            f"ALTER DATABASE {place.database} SET pg_background.jobs_from_other_databases = on".encode()
        )
        with pytest.raises(errors.ReadOnlySqlTransaction):
            client.run("INSERT INTO written_to VALUES (1)", read_only=True, database=place.database)


@pytest.mark.pg("< 16")
def test_a_reset_in_a_later_job_is_what_it_was(prepared: Connection) -> None:
    for on, expected in (("on", "error"), ("off", "stopped")):
        prepared.execute(f"SET pg_background.read_only = {on}".encode())
        job = start(prepared, f"RESET transaction_read_only; {_WRITES}")
        assert wait(prepared, job)
        assert state(prepared, job) == expected
        detach(prepared, job)
