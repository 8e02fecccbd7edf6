"""ALTER EXTENSION pg_background UPDATE from 1.8 and 2.0: what is there afterwards."""

from __future__ import annotations

import re

import pytest

from pg_background.server.building import sources

from ..support import lookalikes
from ..support.calls import failure, query, value
from ..support.fix_switch import OLD, SwitchConnect, SwitchDb
from ..support.members import members
from ..support.server import Server

UPDATE = "ALTER EXTENSION pg_background UPDATE"
SCHEMAS = ("public", '"Odd schema"')


@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize("version", OLD)
def test_the_same_as_a_new_one(
    version: str, schema: str, switch_db: SwitchDb, switch_connect: SwitchConnect
) -> None:
    conn = switch_connect(switch_db(version, schema=schema))
    query(conn, UPDATE)
    assert members(conn) == members(switch_connect(switch_db("3.0", schema=schema)))


@pytest.mark.parametrize("version", OLD)
def test_under_a_hostile_search_path(
    version: str, switch_db: SwitchDb, switch_connect: SwitchConnect
) -> None:
    conn = switch_connect(switch_db(version))
    query(
        conn,
        "CREATE SCHEMA hostile; CREATE TABLE hostile.pg_depend (a int);"
        " CREATE FUNCTION hostile.set_config(text, text, bool) RETURNS text LANGUAGE sql AS 'SELECT 1/0';"
        " SET search_path = hostile, pg_catalog",
    )
    query(conn, UPDATE)
    query(conn, "RESET search_path")
    assert members(conn) == members(switch_connect(switch_db("3.0")))


#: What somebody may make before the update under a name of ours, and how the error names it.
PLANTED = {
    "start": (
        "CREATE FUNCTION pg_background_start(text, text[], text, int4, int4, name, bool, bool, text)"
        " RETURNS pg_background_handle LANGUAGE sql AS 'SELECT NULL::pg_background_handle'",
        "function public.pg_background_start(text,text[],text,integer,integer,name,boolean,boolean,text)",
    ),
    "await": (
        "CREATE PROCEDURE pg_background_await(int4, int8, int4, INOUT bool) LANGUAGE sql AS 'SELECT true'",
        "function public.pg_background_await(integer,bigint,integer,boolean)",
    ),
    "a handle": (
        "CREATE FUNCTION pg_background_pid(pg_background_handle) RETURNS int4 LANGUAGE sql AS 'SELECT 1'",
        "function public.pg_background_pid(public.pg_background_handle)",
    ),
    "no member": (
        "ALTER EXTENSION pg_background DROP FUNCTION pg_background_detach_v2(int4, int8)",
        "function public.pg_background_detach_v2(integer,bigint)",
    ),
}


@pytest.mark.parametrize("kind", PLANTED)
@pytest.mark.parametrize("version", OLD)
def test_nothing_of_others_becomes_part_of_it(
    version: str, kind: str, switch_db: SwitchDb, switch_connect: SwitchConnect
) -> None:
    """Before 14.5 the server would let a script adopt it, with its owner."""
    conn = switch_connect(switch_db(version))
    plant, name = PLANTED[kind]
    query(conn, plant)
    before = members(conn)
    found = failure(conn, UPDATE)
    assert found == (
        "42710",
        f'in the way of extension "pg_background": {name}',
        None,
        "See who has made it and what uses it, rename or drop it, and update again.",
    )
    assert members(conn) == before
    query(conn, f"ALTER ROUTINE {name.partition(' ')[2]} RENAME TO moved")
    query(conn, UPDATE)


def test_a_view_of_others_does_not_either(switch_db: SwitchDb, switch_connect: SwitchConnect) -> None:
    conn = switch_connect(switch_db("2.0"))
    query(conn, "ALTER EXTENSION pg_background DROP VIEW pg_background_activity")
    found = failure(conn, UPDATE)
    assert found[:2] == (
        "42710",
        'in the way of extension "pg_background": view public.pg_background_activity',
    )


@pytest.mark.parametrize("version", OLD)
def test_with_look_alikes_in_the_schema(
    version: str, switch_server: Server, switch_db: SwitchDb, switch_connect: SwitchConnect
) -> None:
    """Of what the script calls, for whoever may create there."""
    conn = switch_connect(switch_db(version))
    lookalikes.set_up(conn)
    lookalikes.plant(conn, "public", beside_extension=True)
    mark = switch_server.log.mark()
    query(conn, UPDATE)
    lookalikes.assert_none_ran(switch_server, mark)
    query(conn, "CREATE SCHEMA clean; ALTER EXTENSION pg_background SET SCHEMA clean")
    assert members(conn) == members(switch_connect(switch_db("3.0", schema="clean")))


@pytest.mark.parametrize("version", OLD)
def test_jobs_go_on(version: str, switch_db: SwitchDb, switch_connect: SwitchConnect) -> None:
    """Their handles are the same, in the session that updates and in others."""
    db = switch_db(version)
    conn, other = switch_connect(db), switch_connect(db)
    handles = [
        query(session, "SELECT * FROM pg_background_launch_v2('SELECT 42')")[0] for session in (conn, other)
    ]
    query(conn, UPDATE)
    for session, handle in zip((conn, other), handles, strict=True):
        read = "SELECT * FROM pg_background_result(%s, %s) AS r (a int)"
        assert query(session, read, *handle) == [(42,)]


@pytest.mark.parametrize(
    ("in_the_way", "said"),
    [
        (
            "CREATE FUNCTION pg_background_wait(handle pg_background_handle) RETURNS bool LANGUAGE sql"
            " AS 'SELECT true'",
            "public.pg_background_wait(public.pg_background_handle)",
        ),
        (
            "CREATE FUNCTION pid(pg_background_handle) RETURNS int LANGUAGE sql AS 'SELECT $1.pid';"
            " CREATE CAST (pg_background_handle AS int) WITH FUNCTION pid",
            "cast from type pg_background_handle to type integer already exists",
        ),
        (
            "CREATE VIEW pg_background_jobs AS SELECT 1 AS a",
            'relation "pg_background_jobs" already exists',
        ),
    ],
    ids=["function", "cast", "view"],
)
def test_what_users_made_is_never_replaced(
    in_the_way: str, said: str, switch_db: SwitchDb, switch_connect: SwitchConnect
) -> None:
    """The update is refused, and everything is as it was."""
    conn = switch_connect(switch_db("1.8"))
    query(conn, in_the_way)
    before = members(conn)
    assert said in (failure(conn, UPDATE).message or "")
    assert members(conn) == before
    assert value(conn, "SELECT pg_background_launch('SELECT 1') + 0") > 0


@pytest.mark.parametrize("version", OLD)
def test_by_another_superuser(version: str, switch_db: SwitchDb, switch_connect: SwitchConnect) -> None:
    """What is new is theirs; nobody else has more than before."""
    db = switch_db(version)
    conn = switch_connect(db)
    query(conn, "CREATE ROLE other_superuser SUPERUSER LOGIN")
    try:
        query(switch_connect(db, user="other_superuser"), UPDATE)
        session = switch_connect(db, options="-crole=pgbackground_role")
        run = "SELECT * FROM pg_background_result(pg_background_launch('SELECT 42')) AS (x int)"
        assert query(session, run) == [(42,)]
        assert (
            value(session, "SELECT has_function_privilege('public', 'pg_background_stats_v2()', 'EXECUTE')")
            is False
        )
    finally:
        query(conn, "REASSIGN OWNED BY other_superuser TO CURRENT_USER; DROP ROLE other_superuser")


def test_build_files_name_all_scripts() -> None:
    scripts = sources() / "sql"
    build_file = (sources() / "meson.build").read_text()
    assert {path.name for path in scripts.iterdir()} == set(re.findall(r"'sql/([^']+)'", build_file))
