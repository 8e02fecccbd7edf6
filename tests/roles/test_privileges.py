"""The helpers that grant and revoke what the extension's functions and views need."""

from __future__ import annotations

import itertools

import pytest
from psycopg import sql

from ..support.calls import query, sqlstate, value
from ..support.fix_db import Connect, Connection, MakeRole
from ..support.fix_server import FreshServer

NAMES = [
    ("pg_background_grant_privileges", "pg_background_revoke_privileges"),
    ("grant_pg_background_privileges", "revoke_pg_background_privileges"),
]

#: Members of the extension that a role may execute or select from, with whether pgbackground_role may.
MAY = """
SELECT oid::regprocedure::text, has_function_privilege('pgbackground_role', oid, 'EXECUTE') FROM pg_proc
WHERE oid IN (SELECT objid FROM pg_depend WHERE deptype = 'e')
  AND has_function_privilege(%(role)s, oid, 'EXECUTE') AND proname ~ 'pg_background'
UNION ALL
SELECT oid::regclass::text, has_table_privilege('pgbackground_role', oid, 'SELECT') FROM pg_class
WHERE relname ~ '^pg_background' AND relkind = 'v' AND has_table_privilege(%(role)s, oid, 'SELECT')
"""

#: As many as pgbackground_role has.
ALL = MAY.replace("%(role)s", "'pgbackground_role'")


def may(conn: Connection, role: str) -> list[tuple[str, bool]]:
    """Return what a role may use."""
    return conn.execute(MAY.encode(), {"role": role}).fetchall()


@pytest.mark.parametrize(("grant", "revoke"), NAMES)
def test_grant_and_revoke(
    conn: Connection, connect: Connect, make_role: MakeRole, grant: str, revoke: str
) -> None:
    """What pgbackground_role has, no more and no less."""
    role = make_role()
    assert may(conn, role) == []
    assert value(conn, f"SELECT {grant}(%s)", role) is True
    assert sorted(may(conn, role)) == sorted(query(conn, ALL))
    assert {allowed for _, allowed in may(conn, role)} == {True}
    session = connect(user=role)
    run = "SELECT * FROM pg_background_result(pg_background_launch('SELECT 1')) AS (a int)"
    assert query(session, run) == [(1,)]
    assert query(session, "SELECT * FROM pg_background_activity") == []
    assert sqlstate(session, f"SELECT {grant}(%s)", role) == "42501"
    assert value(conn, f"SELECT {revoke}(%s)", role) is True
    assert may(conn, role) == []
    assert sqlstate(session, run) == "42501"
    # Twice changes nothing.
    assert value(conn, f"SELECT {revoke}(%s)", role) is True


@pytest.mark.parametrize("name", ['a "quoted" role', "a'; DROP TABLE kept; --", "Üb€r"])
def test_names_are_quoted(conn: Connection, name: str) -> None:
    query(conn, "CREATE TABLE kept (a int)")
    conn.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(name)))
    try:
        assert value(conn, "SELECT pg_background_grant_privileges(%s)", name)
        assert len(may(conn, name)) == len(query(conn, ALL))
        assert value(conn, "SELECT pg_background_revoke_privileges(%s)", name)
        assert may(conn, name) == []
    finally:
        conn.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))
    assert value(conn, "SELECT count(*) FROM kept") == 0


@pytest.mark.parametrize("name", ["no such role", "public", "PUBLIC", "", "current_user"])
def test_no_such_role(conn: Connection, name: str) -> None:
    """Words that GRANT takes for a role are none here."""
    said: list[tuple[str | None, str | None]] = []
    conn.add_notice_handler(lambda diag: said.append((diag.severity, diag.message_primary)))
    for call in itertools.chain(*NAMES):
        assert value(conn, f"SELECT {call}(%s)", name) is False
        assert said.pop() == ("NOTICE", f'role "{name}" does not exist')


def test_null_is_no_role(conn: Connection, make_role: MakeRole) -> None:
    role = make_role()
    for grant, revoke in NAMES:
        assert value(conn, f"SELECT {grant}(NULL)") is False
        assert value(conn, f"SELECT {revoke}(NULL, NULL)") is False
        assert value(conn, f"SELECT {grant}(%s, NULL)", role) is True
        assert value(conn, f"SELECT {revoke}(%s, NULL)", role) is True


@pytest.mark.in_public
def test_commands_are_shown(conn: Connection, make_role: MakeRole) -> None:
    """All of them, as they are executed, whatever client_min_messages is."""
    said: list[tuple[str | None, str]] = []
    conn.add_notice_handler(lambda diag: said.append((diag.severity, str(diag.message_primary))))
    role = make_role()
    query(conn, "SET client_min_messages = 'error'")
    query(conn, "SELECT pg_background_grant_privileges(%s)", role)
    assert said == []
    query(conn, "SELECT pg_background_revoke_privileges(%s)", role)
    query(conn, "SELECT pg_background_grant_privileges(%s, print_commands => true)", role)
    assert {severity for severity, _ in said} == {"INFO"}
    assert len(said) == len(may(conn, role))
    assert f"GRANT EXECUTE ON ROUTINE public.pg_background_cancel_all() TO {role}" in [
        text for _, text in said
    ]
    assert f"GRANT SELECT ON public.pg_background_list TO {role}" in [text for _, text in said]
    query(conn, "SELECT pg_background_revoke_privileges(%s)", role)
    assert may(conn, role) == []
    for _, command in said:
        conn.execute(command.encode())
    assert len(said) == len(may(conn, role))


def test_granted_by_an_owner_that_is_named(conn: Connection, connect: Connect, make_role: MakeRole) -> None:
    """The helpers act with the rights of the extension's owner: whom he lets call them may grant."""
    clerk, role = make_role(), make_role()
    query(conn, f"GRANT EXECUTE ON FUNCTION pg_background_grant_privileges(text, bool) TO {clerk}")
    assert value(connect(user=clerk), "SELECT pg_background_grant_privileges(%s)", role)
    assert len(may(conn, role)) == len(query(conn, ALL))


@pytest.mark.in_public
def test_under_a_hostile_search_path(conn: Connection, make_role: MakeRole) -> None:
    query(
        conn,
        "CREATE SCHEMA evil; CREATE FUNCTION evil.format(text, VARIADIC text[]) RETURNS text LANGUAGE sql AS"
        " $$ SELECT 'DROP TABLE kept' $$; CREATE TABLE kept (a int);"
        " CREATE VIEW evil.pg_roles AS SELECT 'x' AS rolname;"
        " CREATE TEMP VIEW pg_extension AS SELECT 1::oid AS oid, 'pg_background' AS extname",
    )
    query(conn, "SET search_path = evil, pg_temp, pg_catalog, public")
    role = make_role()
    assert value(conn, "SELECT public.pg_background_grant_privileges(%s)", role)
    query(conn, "RESET search_path; DROP VIEW pg_extension")
    assert len(may(conn, role)) == len(query(conn, ALL))
    assert value(conn, "SELECT count(*) FROM kept") == 0


def test_in_another_schema(conn: Connection, make_role: MakeRole) -> None:
    query(conn, 'CREATE SCHEMA "Odd one"; ALTER EXTENSION pg_background SET SCHEMA "Odd one"')
    role = make_role()
    assert value(conn, 'SELECT "Odd one".pg_background_grant_privileges(%s)', role)
    assert len(may(conn, role)) == len(query(conn, ALL))
    assert value(conn, 'SELECT "Odd one".pg_background_revoke_privileges(%s)', role)
    assert may(conn, role) == []


def test_executor_role_that_other_databases_use(conn: Connection) -> None:
    """It stays, with all that it had here."""
    before = query(conn, ALL)
    assert sqlstate(conn, "SELECT pg_background_drop_executor_role()") == "2BP01"
    assert query(conn, ALL) == before


def test_executor_role_that_owns_something(conn: Connection) -> None:
    """Nobody's table is dropped."""
    query(conn, "CREATE TABLE owned (a int); ALTER TABLE owned OWNER TO pgbackground_role")
    assert sqlstate(conn, "SELECT pg_background_drop_executor_role()") == "2BP01"
    assert value(conn, "SELECT count(*) FROM owned") == 0


#: Ways to prepare pgbackground_role, and what is said of them then; None: it could be the extension's own.
PREPARED = {
    "CREATE ROLE pgbackground_role": None,
    "CREATE ROLE pgbackground_role; GRANT pgbackground_role TO member": None,
    "CREATE ROLE pgbackground_role ADMIN chief": None,
    "CREATE ROLE pgbackground_role LOGIN": "It can log in.",
    "CREATE ROLE pgbackground_role SUPERUSER": "It is more than a group.",
    "CREATE ROLE pgbackground_role CREATEROLE": "It is more than a group.",
}

MAKER_GRANTS = "Roles that are no superusers may grant it: maker."


def test_a_role_that_others_have_prepared(fresh_server: FreshServer) -> None:
    """Whoever made it as a trap gets nothing of it; a second database or a dump is no trap."""
    server = fresh_server()
    with server.connect() as conn:
        conn.execute("CREATE ROLE maker CREATEROLE; CREATE ROLE chief; CREATE ROLE member")
        said: list[tuple[str | None, ...]] = []
        conn.add_notice_handler(
            lambda diag: said.append((diag.severity, diag.message_primary, diag.message_detail))
        )
        # from 16 on the server grants it to who makes it, without a word
        admin = "" if conn.info.server_version >= 160000 else "ADMIN maker"
        made = {f"SET ROLE maker; CREATE ROLE pgbackground_role {admin}": MAKER_GRANTS}
        for prepare, objection in (PREPARED | made).items():
            query(conn, "SELECT pg_background_drop_executor_role(); DROP EXTENSION pg_background")
            query(conn, f"{prepare}; RESET ROLE")
            # The second time as in another database, where the role is known from the first.
            for create in ("", "DROP EXTENSION pg_background;"):
                said.clear()
                query(conn, f"{create} CREATE EXTENSION pg_background")
                if objection is None:
                    assert said == []
                    assert len(query(conn, ALL)) > 50
                else:
                    warning = 'role "pgbackground_role" already exists and gets no privileges'
                    assert said == [("WARNING", warning, objection)]
                    may_launch = "pgbackground_role", "pg_background_launch(text, int4)"
                    allowed = value(conn, "SELECT has_function_privilege(%s, %s, 'EXECUTE')", *may_launch)
                    assert allowed == ("SUPERUSER" in prepare)
            if objection is not None:
                # As the hint says; what is granted so is in a dump.
                assert value(conn, "SELECT pg_background_grant_privileges('pgbackground_role')")
                assert len(query(conn, ALL)) > 50


def test_drop_executor_role(fresh_server: FreshServer) -> None:
    server = fresh_server()
    with server.connect() as conn:
        said: list[str | None] = []
        conn.add_notice_handler(lambda diag: said.append(diag.message_primary))
        conn.execute("CREATE ROLE member LOGIN; GRANT pgbackground_role TO member; CREATE ROLE direct LOGIN")
        query(conn, "SELECT pg_background_grant_privileges('direct')")
        query(conn, "CREATE SCHEMA elsewhere; ALTER EXTENSION pg_background SET SCHEMA elsewhere")
        query(conn, "SELECT elsewhere.pg_background_drop_executor_role()")
        assert value(conn, "SELECT count(*) FROM pg_roles WHERE rolname = 'pgbackground_role'") == 0
        assert said == []
        query(conn, "SELECT elsewhere.pg_background_drop_executor_role()")
        assert said == ['role "pgbackground_role" does not exist, skipping']
        assert value(conn, "SELECT elsewhere.pg_background_grant_privileges('member')")
        query(conn, "DROP EXTENSION pg_background; CREATE EXTENSION pg_background")
        assert value(conn, "SELECT count(*) FROM pg_roles WHERE rolname = 'pgbackground_role'") == 1
