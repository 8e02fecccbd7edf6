"""Privileges that administrators gave on the objects of 1.8 and 2.0: the update and pg_dump keep them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from ..support.calls import query, sqlstate, value
from ..support.fix_db import Connection
from ..support.fix_switch import OLD, SwitchConnect, SwitchDb
from ..support.members import members
from ..support.server import Server

UPDATE = "ALTER EXTENSION pg_background UPDATE"
NESTED = "SELECT * FROM pg_background_result(pg_background_launch('SELECT 42')) AS (x int)"
IN_PLPGSQL = """
DO $$
DECLARE
  p int := pg_background_launch('SELECT 42');
BEGIN
  PERFORM * FROM pg_background_result(p) AS (x int);
END $$
"""


@pytest.fixture
def role(switch_server: Server) -> Iterator[str]:
    """A role that may do nothing yet."""
    name = "granted"
    switch_server.execute(f"CREATE ROLE {name} LOGIN")
    yield name
    # No database needs it: the test's own are gone, and nothing else is left that would keep it.
    switch_server.execute(f"DROP ROLE {name}")


@pytest.fixture
def dropped(switch_server: Server, role: str, switch_db: SwitchDb) -> SwitchDb:
    """`switch_db`, whose databases are dropped before the role."""
    return switch_db


def may(conn: Connection, role: str, function: str) -> bool:
    found = value(conn, "SELECT has_function_privilege(%s, %s, 'EXECUTE')", role, function)
    assert isinstance(found, bool)
    return found


def test_callers_of_1_8(role: str, dropped: SwitchDb, switch_connect: SwitchConnect) -> None:
    """Also for what their calls come to now: the cast, and overloads that fit better."""
    db = dropped("1.8")
    conn = switch_connect(db)
    query(conn, "SELECT grant_pg_background_privileges(%s)", role)
    query(conn, UPDATE)
    session = switch_connect(db, user=role)
    assert query(session, NESTED) == [(42,)]
    query(session, IN_PLPGSQL)
    ((pid, cookie),) = query(session, "SELECT * FROM pg_background_launch_v2('SELECT 42')")
    # as drivers write them that leave the types to the server
    for call in ("wait_v2('{}', '{}')", "cancel_v2('{}', '{}')", "detach_v2('{}', '{}')"):
        query(session, f"SELECT pg_background_{call.format(pid, cookie)}")
    query(session, "SELECT * FROM pg_background_stats_v2()")
    assert not may(conn, role, "pg_background_start(text,text[],text,int,int,name,bool,bool,text)")


def test_callers_of_2_0(role: str, dropped: SwitchDb, switch_connect: SwitchConnect) -> None:
    db = dropped("2.0")
    conn = switch_connect(db)
    query(conn, "SELECT pg_background_grant_privileges(%s)", role)
    query(conn, "GRANT SELECT ON pg_background_list, pg_background_activity TO granted")
    query(conn, UPDATE)
    session = switch_connect(db, user=role)
    assert query(session, "SELECT state FROM pg_background_run('SELECT 1')") == [("stopped",)]
    assert query(session, "SELECT * FROM pg_background_activity") == []
    query(session, "SELECT pg_background_launch('SELECT 42', 0, 'label')")
    assert query(session, "SELECT label FROM pg_background_list") == [("label",)]


@pytest.mark.parametrize("version", OLD)
def test_what_was_given_and_taken(
    version: str, role: str, dropped: SwitchDb, switch_connect: SwitchConnect
) -> None:
    conn = switch_connect(dropped(version))
    query(
        conn,
        "GRANT EXECUTE ON FUNCTION pg_background_launch(text, int) TO granted WITH GRANT OPTION;"
        " GRANT EXECUTE ON FUNCTION pg_background_stats_v2() TO PUBLIC;"
        " GRANT EXECUTE ON FUNCTION pg_background_result_v2(int, int8) TO PUBLIC;"
        " REVOKE EXECUTE ON FUNCTION pg_background_wait_v2 FROM pgbackground_role;"
        " REVOKE EXECUTE ON FUNCTION pg_background_detach_v2 FROM pgbackground_role;"
        " REVOKE USAGE ON TYPE pg_background_stats FROM PUBLIC;"
        " GRANT USAGE ON TYPE pg_background_stats TO granted",
    )
    query(conn, UPDATE)
    grantable = "SELECT has_function_privilege(%s, %s, 'EXECUTE WITH GRANT OPTION')"
    assert value(conn, grantable, role, "pg_background_launch(text,int)") is True
    for function in ("pg_background_stats_v2()", "pg_background_result_v2(int,int8)"):
        assert may(conn, "public", function)
        assert may(conn, "pgbackground_role", function)
    for function in ("pg_background_wait_v2(int,int8,int)", "pg_background_detach_v2(int,int8)"):
        assert not may(conn, "pgbackground_role", function)
    assert may(conn, "pgbackground_role", "pg_background_wait(int,int8,int)")
    assert not may(conn, "public", "pg_background_launch(text,int)")
    usage = "SELECT has_type_privilege(%s, 'pg_background_stats', 'USAGE')"
    assert value(conn, usage, "public") is False
    assert value(conn, usage, role) is True


@pytest.mark.parametrize("version", OLD)
def test_dump_and_restore(
    version: str,
    role: str,
    switch_server: Server,
    dropped: SwitchDb,
    switch_connect: SwitchConnect,
) -> None:
    """pg_dump writes what an administrator has granted, and only that."""
    db = dropped(version)
    conn = switch_connect(db)
    query(
        conn,
        "GRANT EXECUTE ON FUNCTION pg_background_launch(text, int) TO granted;"
        " GRANT EXECUTE ON FUNCTION pg_background_result_v2(int, int8) TO granted;"
        " REVOKE EXECUTE ON FUNCTION pg_background_detach_v2 FROM pgbackground_role",
    )
    query(conn, UPDATE)
    program = switch_server.cluster.runtime.installation.program("pg_dump")
    dump = subprocess.run(
        [program, switch_server.dsn(db)], stdout=subprocess.PIPE, check=True, text=True
    ).stdout
    restored = dropped("3.0")
    query(switch_connect(restored), "DROP EXTENSION pg_background")
    switch_server.psql(dump, restored)
    copy = switch_connect(restored)
    assert members(copy) == members(conn)
    assert may(copy, role, "pg_background_launch(text,int)")
    assert not may(copy, "pgbackground_role", "pg_background_detach_v2(int,int8)")
    assert sqlstate(switch_connect(restored, user=role), "SELECT pg_background_cancel(1, 1)") == "42501"


@pytest.mark.parametrize("version", OLD)
def test_roles_can_be_dropped(
    version: str, role: str, dropped: SwitchDb, switch_connect: SwitchConnect
) -> None:
    """Once what they were granted is revoked, nothing is left that names them."""
    conn = switch_connect(dropped(version))
    query(conn, "GRANT EXECUTE ON FUNCTION pg_background_launch(text, int) TO granted")
    query(conn, UPDATE)
    query(conn, "SELECT pg_background_revoke_privileges(%s)", role)
    query(conn, f"DROP ROLE {role}; CREATE ROLE {role}")
