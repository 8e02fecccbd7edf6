"""Who sees what of the history, and that no job or owner of a database has a say in what writes it."""

from __future__ import annotations

import pytest

from ..support.calls import query, sqlstate, value
from ..support.fix_db import Connect, Connection, MakeRole
from ..support.histories import labels, row, rows
from ..support.jobs import launch, run, submit, wait
from ..support.waiting import wait_until_equal

#: What a role may set, as its jobs do it too.
HOSTILE_SETTINGS = {
    "search_path": "evil, pg_temp, pg_catalog",
    "statement_timeout": "1000",
    "lock_timeout": "1",
    "idle_in_transaction_session_timeout": "1",
    "default_transaction_read_only": "on",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "row_security": "on",
    "check_function_bodies": "off",
    "synchronous_commit": "on",
    "transform_null_equals": "on",
}

#: Takes the place of what the process that writes might call, if it looked where it should not.
TRAPS = """
CREATE SCHEMA evil;
CREATE TABLE evil.sprung (by name);
GRANT INSERT ON evil.sprung TO PUBLIC;
GRANT USAGE ON SCHEMA evil TO PUBLIC;
CREATE FUNCTION evil.spring() RETURNS bool LANGUAGE plpgsql AS $$
BEGIN INSERT INTO evil.sprung VALUES (current_user); RETURN true; END $$;
CREATE FUNCTION evil.trap(oid, oid) RETURNS bool LANGUAGE sql AS 'SELECT evil.spring()';
CREATE OPERATOR evil.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = evil.trap);
CREATE FUNCTION evil.before(timestamptz, timestamptz) RETURNS bool LANGUAGE sql AS 'SELECT evil.spring()';
CREATE OPERATOR evil.< (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = evil.before);
CREATE FUNCTION evil.same(name, text) RETURNS bool LANGUAGE sql AS 'SELECT evil.spring()';
CREATE OPERATOR evil.= (LEFTARG = name, RIGHTARG = text, FUNCTION = evil.same);
CREATE TABLE evil.pg_background_history_rows (role_oid oid, role name, label text);
CREATE TABLE evil.pg_extension (oid oid, extname name);
CREATE TABLE evil.pg_roles (oid oid, rolname name);
"""

HOSTILE_JOB = """
CREATE TEMP TABLE pg_background_history_rows (role_oid oid, role name, label text);
CREATE TEMP TABLE pg_roles (oid oid, rolname name);
CREATE TEMP TABLE pg_depend (objid oid);
PREPARE pg_background_history AS SELECT 1;
"""


@pytest.fixture
def hostile(conn: Connection, connect: Connect, make_role: MakeRole, db: str) -> Connection:
    """A session of the role that owns the database, and has laid traps in it."""
    role = make_role(member_of=("pgbackground_role",))
    conn.execute(f"ALTER DATABASE {db} OWNER TO {role}".encode())
    conn.execute(f"ALTER ROLE {role} SET pg_background.history = on".encode())
    session = connect(user=role)
    session.execute(TRAPS.encode())
    return session


def settings_of(conn: Connection) -> str:
    """Return the hostile settings that this server has, as statements."""
    known = [name for (name,) in query(conn, "SELECT name FROM pg_settings")]
    return "".join(f"SET {name} = {value};" for name, value in HOSTILE_SETTINGS.items() if name in known)


def test_a_hostile_job(hostile: Connection, conn: Connection) -> None:
    hostile.execute("SET pg_background.max_workers = 1")
    for number in range(2):
        handle = launch(hostile, settings_of(conn) + HOSTILE_JOB, label=f"hostile {number}")
        assert wait(hostile, handle)
        found = row(conn, f"hostile {number}")
        assert (found["state"], found["role"]) == ("stopped", hostile.info.user)
    assert query(conn, "SELECT * FROM evil.sprung") == []
    assert query(conn, "SELECT * FROM evil.pg_background_history_rows") == []


def test_a_hostile_owner_of_the_database(hostile: Connection, conn: Connection, db: str) -> None:
    for name, setting in HOSTILE_SETTINGS.items():
        hostile.execute(f"ALTER DATABASE {db} SET {name} = {setting}".encode())
    conn.execute(
        "INSERT INTO pg_background_history_rows (role_oid, label, state, finished_at)"
        " SELECT 10, 'old', 'stopped', now() - interval '8 days'"
    )
    handle = submit(hostile, "SELECT 1", label="under them")
    assert wait(hostile, handle)
    wait_until_equal(lambda: labels(conn), ["under them"])
    assert query(conn, "SELECT * FROM evil.sprung") == []


@pytest.mark.parametrize("setting", ["session_replication_role = replica", "pg_background.history = off"])
def test_what_a_job_may_not_set(hostile: Connection, conn: Connection, setting: str) -> None:
    handle = launch(hostile, f"SET {setting}", label="refused")
    assert wait(hostile, handle)
    assert row(conn, "refused")["sqlstate"] == "42501"


def test_code_of_the_tables_owner_runs_as_that(hostile: Connection, conn: Connection) -> None:
    """Who was given the table has no more rights by it."""
    role = hostile.info.user
    conn.execute(f"GRANT CREATE ON SCHEMA public TO {role}".encode())
    conn.execute(f"ALTER TABLE pg_background_history_rows OWNER TO {role}".encode())
    hostile.execute(
        "CREATE FUNCTION evil.as_trigger() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM set_config('search_path', 'evil, pg_catalog', false), evil.spring(); RETURN NEW; END $$"
    )
    hostile.execute(
        "CREATE TRIGGER t BEFORE INSERT ON pg_background_history_rows"
        " FOR EACH ROW EXECUTE FUNCTION evil.as_trigger()"
    )
    for label in ("trapped", "trapped again"):
        assert wait(hostile, launch(hostile, "SELECT 1", label=label))
        row(conn, label)
    assert query(conn, "SELECT * FROM evil.sprung") == [(role,), (role,)]


def test_each_role_sees_its_own(conn: Connection, connect: Connect, make_role: MakeRole, db: str) -> None:
    conn.execute(f"ALTER DATABASE {db} SET pg_background.history = on".encode())
    roles = {name: make_role(member_of=("pgbackground_role",)) for name in ("one", "two")}
    sessions = {name: connect(user=role) for name, role in roles.items()}
    for name, session in sessions.items():
        assert wait(session, launch(session, "SELECT 1 / 0", label=name))
        row(conn, name)
    for name, session in sessions.items():
        assert [(found["label"], found["error_message"]) for found in rows(session)] == [
            (name, "division by zero")
        ]
    monitor = connect(user=make_role(member_of=("pg_monitor",)))
    seen = [(found["label"], found["error_message"], found["sqlstate"]) for found in rows(monitor)]
    assert seen == [("one", None, "22012"), ("two", None, "22012")]
    both = connect(user=make_role(member_of=("pgbackground_role", *roles.values())))
    assert labels(both) == ["one", "two"]
    assert {found["error_message"] for found in rows(conn)} == {"division by zero"}


def test_a_condition_sees_no_other_rows(conn: Connection, connect: Connect, make_role: MakeRole) -> None:
    conn.execute("SET pg_background.history = on")
    assert wait(conn, launch(conn, "SELECT 1", label="secret"))
    row(conn, "secret")
    session = connect(user=make_role(member_of=("pgbackground_role",)))
    session.execute(
        "CREATE FUNCTION pg_temp.leak(text) RETURNS bool LANGUAGE plpgsql COST 0.0000001 AS"
        " $$ BEGIN RAISE EXCEPTION 'leaked %', $1; END $$"
    )
    assert query(session, "SELECT * FROM pg_background_history WHERE pg_temp.leak(label)") == []


def test_only_the_view_is_for_others(conn: Connection, connect: Connect, make_role: MakeRole) -> None:
    stranger = connect(user=make_role())
    assert sqlstate(stranger, "SELECT * FROM pg_background_history") == "42501"
    for role in ("pgbackground_role", "pg_monitor"):
        session = connect(user=make_role(member_of=(role,)))
        assert rows(session) == []
        assert sqlstate(session, "SELECT * FROM pg_background_history_rows") == "42501"
        assert sqlstate(session, "DELETE FROM pg_background_history_rows") == "42501"
        assert sqlstate(session, "DELETE FROM pg_background_history") in {"42501", "55000"}


def test_of_a_role_that_is_gone(conn: Connection, connect: Connect, make_role: MakeRole, db: str) -> None:
    conn.execute(f"ALTER DATABASE {db} SET pg_background.history = on".encode())
    role = make_role(member_of=("pgbackground_role",))
    session = connect(user=role)
    assert run(session, "SELECT 1", "n int") == [(1,)]
    conn.execute(f"ALTER ROLE {role} RENAME TO {role}_renamed".encode())
    ((shown,),) = query(conn, "SELECT role FROM pg_background_history") or [(None,)]
    session.close()
    assert shown in {None, f"{role}_renamed"}
    conn.execute(f"DROP ROLE {role}_renamed".encode())
    assert value(conn, "SELECT count(*) <= 1 FROM pg_background_history")
