"""Code written for 1.8 and 2.0, as its drivers send it, with old, updated and new catalogues."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from ..support.calls import query, sqlstate, value
from ..support.fix_db import Connection
from ..support.fix_switch import ALL, OLD, SwitchConnect, SwitchDb
from ..support.server import Server

OF_1_8 = pytest.mark.parametrize("catalogue", ["1.8", "1.8 updated", "3.0"])
OF_1_8_AND_2_0 = pytest.mark.parametrize("catalogue", ALL)
OF_2_0 = pytest.mark.parametrize("catalogue", ["2.0", "2.0 updated", "3.0"])

#: As ora2pg makes it of a function with an autonomous transaction.
AUTONOMOUS = """
CREATE TABLE log (message text);
CREATE FUNCTION log_action_atx(msg text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO log VALUES (msg);
END $$;
CREATE FUNCTION log_action(msg text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_query text;
BEGIN
  v_query := 'SELECT true FROM log_action_atx (' || quote_nullable(msg) || ')';
  PERFORM * FROM pg_background_result(pg_background_launch(v_query)) AS p (ret boolean);
END $$;
CREATE FUNCTION add_one(n int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
  v_query text := format('SELECT %s + 1', n);
  v_ret int;
BEGIN
  SELECT v INTO v_ret FROM pg_background_result(pg_background_launch(v_query)) AS p (v int);
  RETURN v_ret;
END $$;
"""

IN_PLPGSQL = """
CREATE FUNCTION in_plpgsql() RETURNS int LANGUAGE plpgsql AS $$
DECLARE
  h pg_background_handle;
  n int;
BEGIN
  SELECT * INTO h FROM pg_background_launch_v2('SELECT pg_sleep(0.001); SELECT 42');
  PERFORM pg_background_wait_v2(h.pid, h.cookie);
  SELECT a INTO n FROM pg_background_result_v2(h.pid, h.cookie) AS r (a int);
  BEGIN
    PERFORM pg_background_detach_v2(h.pid, h.cookie);
  EXCEPTION WHEN undefined_object THEN
    RETURN n;
  END;
  RETURN -1;
END $$;
"""

LIST_9 = (
    "(pid int, cookie int8, launched_at timestamptz, user_id oid, queue_size int, state text,"
    " sql_preview text, last_error text, consumed bool)"
)


def untyped(conn: Connection, sql: str, *parameters: str) -> list[list[str | None]]:
    """Run a query as a driver that sends texts and leaves all types to the server."""
    encoded = [parameter.encode() for parameter in parameters]
    result = conn.pgconn.exec_params(sql.encode(), encoded, param_types=[0] * len(encoded))
    assert not result.error_message, result.error_message
    rows = [[result.get_value(row, n) for n in range(result.nfields)] for row in range(result.ntuples)]
    return [[cell.decode() if cell is not None else None for cell in row] for row in rows]


@OF_1_8
def test_autonomous_transactions(catalogue: str, switch_db: SwitchDb, switch_connect: SwitchConnect) -> None:
    conn = switch_connect(switch_db(catalogue))
    query(conn, AUTONOMOUS)
    query(conn, "BEGIN")
    query(conn, "SELECT log_action('it''s kept')")
    query(conn, "ROLLBACK")
    assert query(conn, "SELECT message FROM log") == [("it's kept",)]
    assert query(conn, "SELECT add_one(n) FROM generate_series(1, 20) AS n") == [(n,) for n in range(2, 22)]


@OF_1_8
def test_psql_with_pids(catalogue: str, switch_server: Server, switch_db: SwitchDb) -> None:
    script = """
    SELECT pg_background_launch('SELECT 42') AS pid \\gset
    SELECT * FROM pg_background_result(:pid) AS (x int);
    SELECT pg_background_launch('SELECT 43') AS pid \\gset
    SELECT pg_background_detach(:pid);
    """
    assert switch_server.psql(script, switch_db(catalogue)).split() == ["42"]


@OF_1_8
def test_pids_as_parameters(catalogue: str, switch_db: SwitchDb, switch_connect: SwitchConnect) -> None:
    """With their type, as psycopg and JDBC's setInt send them."""
    conn = switch_connect(switch_db(catalogue))
    query(conn, "CREATE TABLE pids (pid int)")
    query(
        conn,
        "INSERT INTO pids VALUES (pg_background_launch(%s)), (pg_background_launch(%s, 0))",
        *["SELECT 1"] * 2,
    )
    for (pid,) in query(conn, "SELECT pid FROM pids"):
        assert query(conn, "SELECT * FROM pg_background_result(%s) AS (a int)", pid) == [(1,)]
        assert sqlstate(conn, "SELECT pg_background_detach(%s)", pid) == "42704"


@OF_1_8
def test_untyped_pids_are_cast(catalogue: str, switch_db: SwitchDb, switch_connect: SwitchConnect) -> None:
    """Without the cast it is 42725 once there are overloads that take a handle."""
    conn = switch_connect(switch_db(catalogue))
    ((pid,),) = untyped(conn, "SELECT pg_background_launch($1)::int4", "SELECT 42")
    assert pid is not None
    assert untyped(conn, "SELECT * FROM pg_background_result($1::int4) AS (a int)", pid) == [["42"]]
    for call in ("SELECT * FROM pg_background_result('1') AS (a int)", "SELECT pg_background_detach('1')"):
        assert sqlstate(conn, call) == ("42704" if catalogue == "1.8" else "42725")


@OF_1_8_AND_2_0
def test_psql(catalogue: str, switch_server: Server, switch_db: SwitchDb) -> None:
    script = """
    SELECT * FROM pg_background_launch_v2('SELECT 42') AS handle \\gset
    SELECT pg_background_wait_v2(:pid, :cookie) \\gset
    SELECT * FROM pg_background_result_v2(:pid, :'cookie') AS (x int);
    SELECT (h).pid, (h).cookie FROM (SELECT pg_background_submit_v2('SELECT 1') AS h OFFSET 0) AS s \\gset
    SELECT pg_background_detach_v2(:pid, :cookie);
    """
    assert switch_server.psql(script, switch_db(catalogue)).split() == ["42"]


@OF_1_8_AND_2_0
def test_plpgsql(catalogue: str, switch_db: SwitchDb, switch_connect: SwitchConnect) -> None:
    conn = switch_connect(switch_db(catalogue))
    query(conn, IN_PLPGSQL)
    assert [value(conn, "SELECT in_plpgsql()") for _ in range(8)] == [42] * 8


@OF_1_8_AND_2_0
def test_psycopg(catalogue: str, switch_db: SwitchDb, switch_connect: SwitchConnect) -> None:
    conn = switch_connect(switch_db(catalogue))
    ((pid, cookie),) = query(conn, "SELECT * FROM pg_background_launch_v2(%s, %s)", "SELECT 42", 65536)
    query(conn, "SELECT pg_background_wait_v2(%s, %s)", pid, cookie)
    listed = f"SELECT state FROM pg_background_list_v2() AS l {LIST_9} WHERE cookie = %s"
    assert value(conn, listed, cookie) == "stopped"
    read = "SELECT * FROM pg_background_result_v2(%s, %s) AS (a int)"
    assert query(conn, read, pid, cookie) == [(42,)]
    assert sqlstate(conn, read, pid, cookie) == "42704"
    assert value(conn, "SELECT workers_completed FROM pg_background_stats_v2()") == 1


@OF_1_8_AND_2_0
def test_untyped_parameters(catalogue: str, switch_db: SwitchDb, switch_connect: SwitchConnect) -> None:
    """As JDBC with stringtype=unspecified, and drivers that let the server infer the types."""
    conn = switch_connect(switch_db(catalogue))
    launch = "SELECT pid, cookie FROM pg_background_launch_v2($1, $2)"
    ((pid, cookie),) = untyped(conn, launch, "SELECT 42", "0")
    assert pid is not None
    assert cookie is not None
    untyped(conn, "SELECT pg_background_wait_v2($1, $2)", pid, cookie)
    assert untyped(conn, "SELECT * FROM pg_background_result_v2($1, $2) AS (a int)", pid, cookie) == [["42"]]
    handle = [cell or "" for cell in untyped(conn, launch, "SELECT pg_sleep(3600)", "0")[0]]
    untyped(conn, "SELECT pg_background_cancel_v2($1, $2)", *handle)
    untyped(conn, "SELECT pg_background_wait_v2($1, $2)", *handle)
    untyped(conn, "SELECT pg_background_get_progress_v2($1, $2)", *handle)
    untyped(conn, "SELECT pg_background_detach_v2($1, $2)", *handle)


@OF_2_0
def test_untyped_parameters_of_2_0(
    catalogue: str, switch_db: SwitchDb, switch_connect: SwitchConnect
) -> None:
    conn = switch_connect(switch_db(catalogue))
    handle = [
        cell or ""
        for cell in untyped(
            conn, "SELECT pid, cookie FROM pg_background_launch($1, $2, $3)", "SELECT 42", "0", "label"
        )[0]
    ]
    assert untyped(conn, "SELECT pg_background_wait($1, $2, $3)", *handle, "60000") == [["t"]]
    assert untyped(conn, "SELECT state, label FROM pg_background_outcome($1, $2)", *handle) == [
        ["stopped", "label"]
    ]
    assert untyped(conn, "SELECT * FROM pg_background_result($1, $2) AS (a int)", *handle) == [["42"]]
    run = "SELECT state, timed_out FROM pg_background_run($1, $2, $3, $4)"
    assert untyped(conn, run, "SELECT 1", "0", "0", "run") == [["stopped", "f"]]
    assert untyped(conn, "SELECT pg_background_cancel_by_label($1)", "no such%") == [["0"]]


@OF_1_8_AND_2_0
async def test_asyncpg(catalogue: str, switch_server: Server, switch_db: SwitchDb) -> None:
    """It asks the server for the type of each parameter, and is told text where cookies may be text."""
    cookie = "$2" if switch_server.major >= 16 or catalogue in OLD else "$2::int8"
    session = await asyncpg.connect(switch_server.cluster.socket_dsn(switch_db(catalogue)))
    try:
        handle = await session.fetchrow("SELECT * FROM pg_background_launch_v2($1, $2)", "SELECT 42", 0)
        await session.fetchval(f"SELECT pg_background_wait_v2($1, {cookie})", *handle)
        read = f"SELECT * FROM pg_background_result_v2($1, {cookie}) AS (a int)"
        assert [tuple(row) for row in await session.fetch(read, *handle)] == [(42,)]
        if "1.8" in catalogue:
            pid = await session.fetchval("SELECT pg_background_launch($1)::int4", "SELECT 43")
            assert (
                await session.fetchval("SELECT a FROM pg_background_result($1::int4) AS (a int)", pid) == 43
            )
        else:
            ran = await session.fetchrow("SELECT * FROM pg_background_run($1)", "SELECT 1")
            assert (ran["state"], ran["timed_out"]) == ("stopped", False)
    finally:
        await asyncio.wait_for(session.close(), 60)
