"""ALTER EXTENSION pg_background UPDATE from 1.8 and 2.0: what is there afterwards."""

from __future__ import annotations

import re

import pytest

from pg_background.server.building import sources

from . import lookalikes
from .calls import failure, query, value
from .fix_switch import OLD, SwitchConnect, SwitchDb
from .members import members
from .server import Server

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
            "pg_background_wait(pg_background_handle)",
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
@pytest.mark.pg(">= 15")
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
