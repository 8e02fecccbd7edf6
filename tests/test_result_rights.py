"""Nothing that the job's side, or the owner of a type, has defined runs with the rights of whoever reads."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from .calls import query, read_result, sqlstate, value
from .fix_db import Connect, Connection, MakeRole
from .jobs import Handle, launch, result, run, start, wait
from .test_describe import as_json, describe


class Owner:
    """A role that owns types and functions, and its session."""

    def __init__(self, conn: Connection, role: str) -> None:
        self.conn = conn
        self.role = role

    def finished(self, job: str) -> Handle:
        """Launch a job as the role, and wait for it."""
        handle = launch(self.conn, job)
        wait(self.conn, handle)
        return handle


def make_owner(conn: Connection, connect: Connect, make_role: MakeRole) -> Owner:
    """Make a role with a schema of its own, and a function that tells as whom it runs."""
    role = make_role(member_of=("pgbackground_role",))
    query(
        conn,
        f"CREATE SCHEMA {role} AUTHORIZATION {role}; GRANT USAGE ON SCHEMA {role} TO PUBLIC;"
        f"ALTER ROLE {role} SET search_path = {role}, public",
    )
    owner = Owner(connect(user=role), role)
    query(
        owner.conn,
        "CREATE TABLE seen (who name, path text); GRANT INSERT ON seen TO PUBLIC;"
        f"CREATE FUNCTION see(x anyelement) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN"
        f" INSERT INTO {role}.seen VALUES (current_user, current_setting('search_path'));"
        f" PERFORM set_config('my.mark', '{role}', false); RETURN true; END $$;"
        "GRANT EXECUTE ON FUNCTION see TO PUBLIC",
    )
    return owner


def seen(conn: Connection, owner: Owner) -> set[str]:
    """Return as whom the owner's function has run, and forget it."""
    return {row[0] for row in query(conn, f"DELETE FROM {owner.role}.seen RETURNING who")}


@pytest.fixture
def owner(conn: Connection, connect: Connect, make_role: MakeRole) -> Iterator[Owner]:
    query(conn, "SELECT set_config('my.mark', 'mine', false)")
    yield make_owner(conn, connect, make_role)
    # As whatever the function ran: nothing of it is left in the reader's session.
    assert value(conn, "SELECT current_setting('my.mark')") == "mine"
    assert value(conn, "SELECT current_user::text || session_user") == "postgrespostgres"


# ---- casts to json

TAKE_OVER = (
    "CREATE FUNCTION take({type_}) RETURNS json LANGUAGE plpgsql AS $$ BEGIN"
    " PERFORM see(1); EXECUTE 'ALTER ROLE {role} SUPERUSER'; RETURN '\"taken\"'; END $$;"
    " CREATE CAST ({type_} AS json) WITH FUNCTION take({type_})"
)


@pytest.mark.parametrize(
    ("make", "type_", "expression", "json"),
    [
        ("CREATE TYPE mood AS ENUM ('ok')", "mood", "'ok'::mood", "ok"),
        ("CREATE TYPE mood AS ENUM ('ok')", "mood", "'{ok}'::mood[]", ["ok"]),
        ("CREATE TYPE mood AS ENUM ('ok')", "mood", "row(1, 'ok'::mood)", {"f1": 1, "f2": "ok"}),
        ("CREATE TYPE pair AS (a int)", "pair", "row(1)::pair", {"a": 1}),
        ("CREATE TYPE pair AS (a int)", "pair", "ARRAY[row(1)::pair]", [{"a": 1}]),
        ("CREATE TYPE fr AS RANGE (subtype = float8)", "fr", "'[1,2]'::fr", "[1,2]"),
        ("CREATE TABLE tab AS SELECT 1 AS a", "tab", "(SELECT tab FROM tab)", {"a": 1}),
        ("CREATE TYPE mood AS ENUM ('ok'); CREATE DOMAIN md AS mood", "mood", "'ok'::md", "ok"),
    ],
)
def test_a_cast_to_json(
    conn: Connection,
    connect: Connect,
    make_role: MakeRole,
    owner: Owner,
    make: str,
    type_: str,
    expression: str,
    json: object,
) -> None:
    """Of another role it is not used; one's own is, as in a session."""
    query(owner.conn, f"{make}; {TAKE_OVER.format(type_=type_, role=owner.role)}")
    handle = owner.finished(f"SELECT {expression} AS x")
    assert as_json(conn, handle) == [{"x": json}]
    assert not value(conn, "SELECT rolsuper FROM pg_roles WHERE rolname = %s", owner.role)
    assert seen(conn, owner) == set()
    # Of the reader's own.
    query(
        owner.conn,
        f"CREATE OR REPLACE FUNCTION take({type_}) RETURNS json LANGUAGE sql"
        " AS $$ SELECT '\"cast\"'::json $$",
    )
    handle = owner.finished(f"SELECT {expression} AS x")
    expected = query(owner.conn, f"SELECT row_to_json(s) FROM (SELECT {expression} AS x) s")
    assert [(row,) for row in as_json(owner.conn, handle)] == expected
    # A session uses none of a composite.
    assert ("cast" in str(expected)) == ("TYPE pair" not in make and "TABLE" not in make)
    # Of a superuser.
    query(conn, f"ALTER FUNCTION {owner.role}.take OWNER TO postgres")
    assert [(row,) for row in as_json(conn, owner.finished(f"SELECT {expression} AS x"))] == expected


# ---- checks of domains

#: What makes a domain's check run, as a column of a result.
HOLDERS = {
    "itself": ("", "d", "1::d"),
    "array": ("", "d[]", "ARRAY[1, NULL]::d[]"),
    "domain over it": ("CREATE DOMAIN dd AS d", "dd", "1::dd"),
    "composite": ("CREATE TYPE c AS (n int, x d)", "c", "row(1, 2)::c"),
    "nested": (
        "CREATE TYPE c AS (n int, x d[]); CREATE TYPE cc AS (c c, cs c[])",
        "cc",
        "row(row(1, '{2}'), NULL)::cc",
    ),
    "domain over an array": ("CREATE DOMAIN da AS d[]", "da", "'{1}'::da"),
    "domain over a composite": (
        "CREATE TYPE c AS (x d); CREATE DOMAIN dc AS c CHECK ((VALUE).x > 0)",
        "dc",
        "row(1)::c::dc",
    ),
    "array of domains over arrays": ("CREATE DOMAIN da AS d[]", "da[]", "ARRAY['{1}'::da]"),
    "range": ("CREATE TYPE r AS RANGE (subtype = d)", "r", "'[1,3]'::r"),
    "multirange": ("CREATE TYPE r AS RANGE (subtype = d, multirange_type_name = mr)", "mr", "'{[1,3]}'::mr"),
    "table": ("CREATE TABLE tab AS SELECT 1::d AS x", "tab", "(SELECT tab FROM tab)"),
}


@pytest.mark.parametrize(("make", "type_", "expression"), HOLDERS.values(), ids=HOLDERS)
def test_the_check_of_another_roles_domain(
    conn: Connection, owner: Owner, make: str, type_: str, expression: str
) -> None:
    """It holds, and runs as its owner."""
    query(owner.conn, f"CREATE DOMAIN d AS int CHECK (see(VALUE)); {make}")
    text = value(owner.conn, f"SELECT ({expression})::text")
    handles = [owner.finished(f"SELECT {expression} AS x") for _ in range(3)]
    query(owner.conn, "DELETE FROM seen")
    assert read_result(conn, handles[0], f"x {owner.role}.{type_}", "x::text") == [(text,)]
    assert seen(conn, owner) == {owner.role}
    assert len(describe(conn, handles[1])) == 1
    assert result(conn, handles[1], "x text") == [(text,)]
    assert len(as_json(conn, handles[2])) == 1
    assert seen(conn, owner) == set()
    handle = owner.finished(f"SELECT {expression} AS x")
    query(owner.conn, "ALTER DOMAIN d ADD CHECK (VALUE > 100) NOT VALID")
    read = f"SELECT * FROM pg_background_result{tuple(handle)} AS (x {owner.role}.{type_})"
    assert sqlstate(conn, read) == "23514"


def test_the_owners_own_check_runs_as_in_a_session(owner: Owner) -> None:
    query(owner.conn, "CREATE DOMAIN d AS int CHECK (see(VALUE))")
    handle = owner.finished("SELECT 1::d")
    query(owner.conn, "DELETE FROM seen")
    assert result(owner.conn, handle, "x d") == [(1,)]
    assert query(owner.conn, "SELECT * FROM seen") == [(owner.role, f"{owner.role}, public")]


def test_functions_of_others_in_a_trusted_domain(conn: Connection, owner: Owner) -> None:
    query(conn, f"CREATE DOMAIN public.d AS int CHECK ({owner.role}.see(VALUE))")
    handle = launch(conn, "SELECT 1::public.d")
    wait(conn, handle)
    seen(conn, owner)
    assert result(conn, handle, "x public.d") == [(1,)]
    assert seen(conn, owner) == {owner.role}


def test_expressions_of_others(conn: Connection, owner: Owner) -> None:
    """Not only functions: a check may call the server's own with the rights that it finds."""
    query(
        owner.conn,
        "CREATE DOMAIN d AS int CHECK (set_config('my.user', current_user, true) = current_user"
        " AND pg_has_role(current_user, 'pg_read_all_data', 'member') IS FALSE)",
    )
    assert result(conn, owner.finished("SELECT 1::d"), f"x {owner.role}.d") == [(1,)]
    query(owner.conn, "CREATE DOMAIN reader AS int CHECK (pg_read_file('PG_VERSION') <> '' OR VALUE IS NULL)")
    handle = owner.finished("SELECT NULL::reader")
    assert (
        sqlstate(conn, f"SELECT * FROM pg_background_result{tuple(handle)} AS (x {owner.role}.reader)")
        == "42501"
    )


def test_inlined_functions_of_others(conn: Connection, owner: Owner) -> None:
    """A function in SQL has no owner any more once the planner has put its body in the place of the call."""
    query(
        owner.conn,
        "CREATE FUNCTION only_superusers(x int) RETURNS bool LANGUAGE sql STABLE AS"
        " $$ SELECT current_user = 'postgres' $$;"
        "CREATE DOMAIN d AS int CHECK (NOT only_superusers(VALUE))",
    )
    # This session has planned the check, as itself.
    assert sqlstate(conn, f"SELECT 1::{owner.role}.d") == "23514"
    assert result(conn, owner.finished("SELECT 1::d"), f"x {owner.role}.d") == [(1,)]


def test_domains_of_several_owners(
    conn: Connection, connect: Connect, make_role: MakeRole, owner: Owner
) -> None:
    """Each check runs as its own."""
    other = make_owner(conn, connect, make_role)
    query(owner.conn, f"CREATE DOMAIN d AS int CHECK (see(VALUE)); GRANT USAGE ON TYPE d TO {other.role}")
    query(
        other.conn,
        f"CREATE DOMAIN dd AS {owner.role}.d CHECK (see(VALUE)); CREATE TYPE c AS (x dd, y {owner.role}.d)",
    )
    handle = other.finished("SELECT row(1, 2)::c")
    seen(conn, owner), seen(conn, other)
    assert read_result(conn, handle, f"x {other.role}.c", "(x).x, (x).y") == [(1, 2)]
    assert seen(conn, owner) == {owner.role}
    assert seen(conn, other) == {other.role}


def test_a_checks_search_path_is_nobodys(
    conn: Connection, connect: Connect, make_role: MakeRole, owner: Owner
) -> None:
    """The reader cannot put a function of its own into a check that runs as another."""
    reader = make_owner(conn, connect, make_role)
    query(owner.conn, "CREATE DOMAIN d AS int CHECK (see(VALUE))")
    handle = owner.finished("SELECT 1::d")
    seen(conn, owner)
    query(conn, f"GRANT {owner.role} TO {reader.role}")
    query(reader.conn, f"SET search_path = {reader.role}, public")
    assert result(reader.conn, handle, f"x {owner.role}.d") == [(1,)]
    assert query(conn, f"SELECT * FROM {owner.role}.seen") == [(owner.role, "pg_catalog, pg_temp")]


def test_immutable_checks_of_others_run_as_the_reader(conn: Connection, owner: Owner) -> None:
    """They only compute, and are what nearly all domains have."""
    query(
        owner.conn,
        "CREATE DOMAIN email AS text CHECK (VALUE ~ '@' AND length(VALUE) < 99) NOT NULL;"
        "CREATE TABLE users (id int, mail email); INSERT INTO users VALUES (1, 'a@b')",
    )
    query(conn, f"REVOKE USAGE ON SCHEMA {owner.role} FROM PUBLIC")
    sql = f"SELECT * FROM pg_background_result(NULL::{owner.role}.users, %s, %s)"
    assert query(conn, sql, *owner.finished("TABLE users")) == [(1, "a@b")]
    handle = owner.finished("TABLE users")
    query(owner.conn, "ALTER DOMAIN email ADD CHECK (VALUE <> 'a@b') NOT VALID")
    assert sqlstate(conn, sql, *handle) == "23514"


def test_a_failed_check_leaves_the_reader_itself(conn: Connection, owner: Owner) -> None:
    query(
        owner.conn,
        "CREATE FUNCTION fail(x int) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN IF x > 1 THEN"
        " PERFORM set_config('my.mark', 'x', false); RAISE 'no %', current_user; END IF; RETURN true; END $$;"
        "CREATE DOMAIN d AS int; CREATE TABLE tab AS SELECT 2::d AS x;",
    )
    handle = owner.finished("TABLE tab")
    query(owner.conn, "ALTER DOMAIN d ADD CHECK (fail(VALUE)) NOT VALID")
    job = (
        f"DO $$ BEGIN PERFORM * FROM pg_background_result{tuple(handle)} AS (x {owner.role}.d);"
        " EXCEPTION WHEN OTHERS THEN RAISE USING MESSAGE = SQLERRM || ' caught by ' || current_user; END $$"
    )
    with pytest.raises(psycopg.errors.RaiseException, match=f"no {owner.role} caught by postgres"):
        query(conn, job)


# ---- ranges


def test_functions_of_a_range(conn: Connection, owner: Owner) -> None:
    """A superuser has given a role the function that compares its bounds."""
    query(
        conn,
        f"SET search_path = {owner.role}, public;"
        "CREATE FUNCTION cmp(a int, b int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT btint4cmp(a, b)';"
        "CREATE OPERATOR CLASS ops FOR TYPE int USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =,"
        " OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 cmp(int, int);"
        "CREATE TYPE r AS RANGE (subtype = int, subtype_opclass = ops); RESET search_path;"
        f"ALTER FUNCTION {owner.role}.cmp OWNER TO {owner.role};"
        f"ALTER TYPE {owner.role}.r OWNER TO {owner.role}",
    )
    handle = owner.finished("SELECT '[1,3]'::r")
    query(
        owner.conn,
        f"CREATE OR REPLACE FUNCTION cmp(a int, b int) RETURNS int LANGUAGE plpgsql AS"
        f" $$ BEGIN PERFORM {owner.role}.see(1); RETURN btint4cmp(a, b); END $$",
    )
    assert read_result(conn, handle, f"x {owner.role}.r", "x::text") in ([("[1,3]",)], [("[1,4)",)])
    assert seen(conn, owner) == {owner.role}


# ---- the other ways to read


def test_run_query_and_results_within_jobs(conn: Connection, owner: Owner) -> None:
    query(owner.conn, "CREATE DOMAIN d AS int CHECK (see(VALUE)); CREATE TABLE tab AS SELECT 1::d AS x")
    seen(conn, owner)
    columns = f"AS (x {owner.role}.d)"
    assert query(conn, f"SELECT * FROM pg_background_run_query('TABLE {owner.role}.tab') {columns}") == [(1,)]
    assert seen(conn, owner) == {owner.role}
    handle = start(owner.conn, "TABLE tab")
    assert run(conn, f"SELECT * FROM pg_background_result{tuple(handle)} {columns}", "n int") == [(1,)]
    assert seen(conn, owner) == {owner.role}
