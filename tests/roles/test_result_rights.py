"""Nothing that the job's side, or the owner of a type, has defined runs with the rights of whoever reads."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ..result.test_describe import as_json, describe
from ..support.calls import (
    at_the_same_time,
    query,
    read_result,
    result_failure,
    value,
    wait_until_blocked,
    wait_until_in_extension,
)
from ..support.fix_db import Connect, Connection, MakeRole
from ..support.jobs import Handle, closed_gate, launch, result, run, start, wait


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


def constrain(conn: Connection, domain: str, check: str) -> None:
    """Add a check that values from before have yet to pass."""
    query(conn, f"ALTER DOMAIN {domain} ADD CHECK ({check}) NOT VALID")


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
    """Only a superuser's is used, as in a session."""
    query(owner.conn, f"{make}; {TAKE_OVER.format(type_=type_, role=owner.role)}")
    handle = owner.finished(f"SELECT {expression} AS x")
    assert as_json(conn, handle) == [{"x": json}]
    assert not value(conn, "SELECT rolsuper FROM pg_roles WHERE rolname = %s", owner.role)
    assert seen(conn, owner) == set()
    assert as_json(owner.conn, owner.finished(f"SELECT {expression} AS x")) == [{"x": json}]
    assert seen(conn, owner) == set()
    # Of a superuser.
    query(
        owner.conn,
        f"CREATE OR REPLACE FUNCTION take({type_}) RETURNS json LANGUAGE sql"
        " AS $$ SELECT '\"cast\"'::json $$",
    )
    expected = query(owner.conn, f"SELECT row_to_json(s) FROM (SELECT {expression} AS x) s")
    query(conn, f"ALTER FUNCTION {owner.role}.take OWNER TO postgres")
    assert [(row,) for row in as_json(conn, owner.finished(f"SELECT {expression} AS x"))] == expected
    # A session uses none of a composite.
    assert ("cast" in str(expected)) == ("TYPE pair" not in make and "TABLE" not in make)


@pytest.mark.parametrize(
    ("expression", "json"),
    [
        ("'x'::base", "x"),
        ("row('x'::base)", {"f1": "x"}),
        ("ARRAY['x'::base, NULL]", ["x", None]),
        ("row(ARRAY['x'::base])", {"f1": ["x"]}),
        ("ARRAY[row(ARRAY['x'::base])]", [{"f1": ["x"]}]),
    ],
)
def test_a_cast_of_a_base_type(conn: Connection, owner: Owner, expression: str, json: object) -> None:
    """A superuser has made the type, and given it to the role."""
    query(
        conn,
        f"SET search_path = {owner.role}, public; CREATE TYPE base;"
        " CREATE FUNCTION base_in(cstring) RETURNS base LANGUAGE internal IMMUTABLE STRICT AS 'textin';"
        " CREATE FUNCTION base_out(base) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';"
        " CREATE TYPE base (INPUT = base_in, OUTPUT = base_out);"
        f" ALTER TYPE base OWNER TO {owner.role}; RESET search_path",
    )
    query(owner.conn, TAKE_OVER.format(type_="base", role=owner.role))
    assert as_json(conn, owner.finished(f"SELECT {expression} AS x")) == [{"x": json}]
    assert seen(conn, owner) == set()
    assert not value(conn, "SELECT rolsuper FROM pg_roles WHERE rolname = %s", owner.role)


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
def test_no_check_runs(conn: Connection, owner: Owner, make: str, type_: str, expression: str) -> None:
    """What the job's values have passed holds for them; with what was added since they are text."""
    query(owner.conn, f"CREATE DOMAIN d AS int CHECK (see(VALUE)); {make}")
    text = value(owner.conn, f"SELECT ({expression})::text")
    handles = [owner.finished(f"SELECT {expression} AS x") for _ in range(4)]
    seen(conn, owner)
    columns = f"x {owner.role}.{type_}"
    assert read_result(conn, handles[0], columns, "x::text") == [(text,)]
    assert result(conn, handles[1], "x text") == [(text,)]
    assert len(as_json(conn, handles[2])) == 1
    constrain(owner.conn, "d", "see(VALUE + 1)")
    failed = result_failure(conn, handles[3], columns)
    assert (failed.sqlstate, failed.hint) == ("42804", "Declare the column as text.")
    assert [row[3] for row in describe(conn, handles[3])] == ["text"]
    assert result(conn, handles[3], "x text") == [(text,)]
    assert seen(conn, owner) == set()


def test_checks_of_ones_own_and_of_superusers(conn: Connection, owner: Owner) -> None:
    """None of these runs either: their functions may be, or call, anybody's."""
    query(owner.conn, "CREATE DOMAIN d AS int")
    query(conn, "CREATE DOMAIN public.super AS int")
    handle = owner.finished("SELECT 1::d, 2::super")
    constrain(owner.conn, "d", "see(VALUE)")
    assert result_failure(owner.conn, handle, "x d, y super").sqlstate == "42804"
    constrain(conn, "public.super", f"{owner.role}.see(VALUE)")
    assert result_failure(conn, handle, "x int, y public.super").sqlstate == "42804"
    assert result(conn, handle, "x int, y int") == [(1, 2)]
    assert seen(conn, owner) == set()


# ---- what changes while the result is read

#: A value of the job's first rows and of its last, which come when the types have changed.
SLOW = (
    "SELECT x, CASE WHEN i > 3 THEN row('z'::late) END AS r, repeat('x', 40000) AS f,"
    " CASE WHEN i = 3 THEN ({gate})::text END AS g"
    " FROM generate_series(1, 5) AS i LEFT JOIN (SELECT {expression} AS x) AS v ON i > 3"
)


def read_while(
    conn: Connection,
    connect: Connect,
    owner: Owner,
    expression: str,
    sql: str,
    change: str,
    *,
    by: Connection | None = None,
) -> list[tuple[object, ...]]:
    """Read as a superuser, who has the first rows, and knows how to read the next, when the types change.

    Args:
        by: whoever changes them; by default their owner.
    """
    reader, holder = connect(), connect()
    query(owner.conn, "CREATE TYPE late AS ENUM ('z')")
    with closed_gate(holder) as gate, at_the_same_time(reader) as call:
        handle = launch(owner.conn, SLOW.format(expression=expression, gate=gate.sql))
        wait_until_blocked(conn, handle.pid)
        reading = call(query, reader, sql.format(handle=tuple(handle)))
        wait_until_in_extension(conn, reader)
        query(by or owner.conn, change)
        gate.open()
        rows = reading.result()
        gate.close()
    return [tuple(row) for row in rows]


def test_a_cast_to_json_that_is_exchanged(conn: Connection, connect: Connect, owner: Owner) -> None:
    query(owner.conn, "CREATE TYPE mood AS ENUM ('ok')")
    query(
        conn,
        f"CREATE FUNCTION public.trusted({owner.role}.mood) RETURNS json LANGUAGE sql"
        " AS $$ SELECT '\"cast\"'::json $$",
    )
    query(owner.conn, "CREATE CAST (mood AS json) WITH FUNCTION public.trusted(mood)")
    rows = read_while(
        conn,
        connect,
        owner,
        "'ok'::mood",
        "SELECT j ->> 'x' FROM pg_background_result_json{handle} AS j",
        f"DROP CAST (mood AS json); {TAKE_OVER.format(type_='mood', role=owner.role)}",
    )
    assert rows == [(None,), (None,), (None,), ("cast",), ("cast",)]
    assert seen(conn, owner) == set()
    assert not value(conn, "SELECT rolsuper FROM pg_roles WHERE rolname = %s", owner.role)


@pytest.mark.parametrize(
    ("make", "expression", "text"),
    [
        ("CREATE TYPE x AS ENUM ('ok')", "'ok'::x", "ok"),
        ("CREATE TYPE x AS RANGE (subtype = timestamptz)", "x('2026-01-02 03:04+00', NULL)", "[2026-01-02 "),
    ],
    ids=["enum", "range"],
)
def test_a_cast_to_json_whose_function_is_given_away(
    conn: Connection, connect: Connect, owner: Owner, make: str, expression: str, text: str
) -> None:
    """From then on the value is its text; nothing is lost."""
    query(owner.conn, make)
    query(
        conn,
        f"CREATE FUNCTION {owner.role}.given({owner.role}.x) RETURNS json LANGUAGE sql"
        " AS $$ SELECT '\"cast\"'::json $$",
    )
    query(conn, f"CREATE CAST ({owner.role}.x AS json) WITH FUNCTION {owner.role}.given({owner.role}.x)")
    read = "SELECT j ->> 'x' FROM pg_background_result_json{handle} AS j"
    before = read_while(conn, connect, owner, expression, read, "SELECT 1")
    assert before == [(None,), (None,), (None,), ("cast",), ("cast",)]
    query(owner.conn, "DROP TYPE late")
    give = f"ALTER FUNCTION {owner.role}.given({owner.role}.x) OWNER TO {owner.role}"
    rows = read_while(conn, connect, owner, expression, read, give, by=conn)
    assert rows[:3] == [(None,)] * 3
    assert [str(value).lstrip('["')[:5] for (value,) in rows[3:]] == [text.lstrip("[")[:5]] * 2
    assert seen(conn, owner) == set()


@pytest.mark.parametrize(
    ("make", "expression", "type_", "text"),
    [
        ("CREATE TYPE r AS RANGE (subtype = d)", "r(1, 2)", "r", "[1,2)"),
        ("CREATE DOMAIN da AS d[]", "ARRAY['{1}'::da]", "da[]", '{"{1}"}'),
        ("CREATE DOMAIN o AS int CHECK ((VALUE::d) > 0)", "1::o", "o", "1"),
        ("", "1::d", "d", "1"),
    ],
    ids=["range", "array", "check", "domain"],
)
def test_a_check_that_comes_while_the_result_is_read(
    conn: Connection,
    connect: Connect,
    owner: Owner,
    make: str,
    expression: str,
    type_: str,
    text: str,
) -> None:
    query(owner.conn, f"CREATE DOMAIN d AS int; {make}")
    rows = read_while(
        conn,
        connect,
        owner,
        expression,
        f"SELECT x::text FROM pg_background_result{{handle}} AS"
        f" (x {owner.role}.{type_}, r record, f text, g text)",
        "ALTER DOMAIN d ADD CHECK (see(VALUE)) NOT VALID",
    )
    assert [row for row in rows if row[0]] == [(text,)] * 2
    assert seen(conn, owner) == set()


# ---- ranges


def test_functions_of_a_range(conn: Connection, owner: Owner) -> None:
    """None runs, not even one that compares its bounds and that a superuser has given to a role."""
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
    assert seen(conn, owner) == set()


# ---- the other ways to read


def test_run_query_and_results_within_jobs(conn: Connection, owner: Owner) -> None:
    query(owner.conn, "CREATE DOMAIN d AS int CHECK (see(VALUE)); CREATE TABLE tab AS SELECT 1::d AS x")
    seen(conn, owner)
    # As the job, and not again as the reader.
    columns = f"AS (x {owner.role}.d)"
    assert query(conn, f"SELECT * FROM pg_background_run_query('TABLE {owner.role}.tab') {columns}") == [(1,)]
    assert seen(conn, owner) == set()
    handle = start(owner.conn, "TABLE tab")
    wait(owner.conn, handle)
    seen(conn, owner)
    assert run(conn, f"SELECT * FROM pg_background_result{tuple(handle)} {columns}", "n int") == [(1,)]
    assert seen(conn, owner) == set()
