"""Who a job is: the launcher's authenticated user, then its current user at the moment of launch."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest
from psycopg import errors as e

from ..support.fix_db import Connect, Connection, MakeRole
from ..support.jobs import launch, result, run, state, submit, wait
from ..support.registry import registry

WHO = "SELECT current_user::text, session_user::text, current_setting('role')"
COLUMNS = "c text, s text, r text"


@pytest.fixture
def make_user(make_role: MakeRole) -> Callable[..., str]:
    """Creates roles that may use the extension."""

    def make(attributes: str = "LOGIN", *groups: str) -> str:
        return make_role(attributes, member_of=("pgbackground_role", *groups))

    return make


def test_of_an_ordinary_session(connect: Connect, make_user: Callable[..., str]) -> None:
    user = make_user()
    assert run(connect(user=user), WHO, COLUMNS) == [(user, user, "none")]


def test_of_set_role(conn: Connection, connect: Connect, make_user: Callable[..., str]) -> None:
    group = make_user("NOLOGIN")
    user = make_user("LOGIN", group)
    session = connect(user=user)
    session.execute(f"SET ROLE {group}".encode())
    for _ in range(2):
        assert run(session, WHO, COLUMNS) == [(group, user, group)]
    session.execute("RESET ROLE")
    assert run(session, WHO, COLUMNS) == [(user, user, "none")]


@pytest.mark.parametrize("setting", ["ROLE", "SESSION AUTHORIZATION"])
def test_a_rollback_in_a_procedure_stays_the_role(
    conn: Connection, make_user: Callable[..., str], setting: str
) -> None:
    """Each transaction is the role's, on a worker that has just come up and on one that has run others."""
    user = make_user()
    conn.execute(
        "CREATE TABLE seen (who text); GRANT ALL ON seen TO PUBLIC;"
        "CREATE PROCEDURE ends() LANGUAGE plpgsql AS $$ BEGIN "
        "ROLLBACK; INSERT INTO seen VALUES (current_user); COMMIT; INSERT INTO seen VALUES (current_user); "
        "ROLLBACK; INSERT INTO seen VALUES (current_user); END $$"
    )
    conn.execute(f"SET {setting} {user}".encode())
    for _ in range(2):
        assert run(conn, "CALL ends()") == [("CALL",)]
    conn.execute(f"RESET {setting}".encode())
    assert conn.execute("SELECT who FROM seen").fetchall() == [(user,)] * 4


def test_of_set_session_authorization(conn: Connection, make_user: Callable[..., str]) -> None:
    user = make_user()
    conn.execute(f"SET SESSION AUTHORIZATION {user}".encode())
    for _ in range(2):
        assert run(conn, WHO, COLUMNS) == [(user, user, "none")]
        with pytest.raises(e.InsufficientPrivilege):
            run(conn, "SELECT count(*) FROM pg_authid", "n bigint")
    conn.execute("RESET SESSION AUTHORIZATION")
    assert run(conn, WHO, COLUMNS) == [("postgres", "postgres", "none")]


def test_a_role_that_cannot_log_in(conn: Connection, make_user: Callable[..., str]) -> None:
    owner = make_user("NOLOGIN")
    conn.execute(f"CREATE TABLE kept (a int); ALTER TABLE kept OWNER TO {owner}".encode())
    conn.execute(f"SET ROLE {owner}".encode())
    assert run(conn, "INSERT INTO kept VALUES (1)") == [("INSERT 0 1",)]
    conn.execute("RESET ROLE")
    conn.execute(f"SET SESSION AUTHORIZATION {owner}".encode())
    assert run(conn, "INSERT INTO kept VALUES (2)") == [("INSERT 0 1",)]
    conn.execute("RESET SESSION AUTHORIZATION")


def test_a_login_that_was_taken_away(
    conn: Connection, connect: Connect, make_user: Callable[..., str]
) -> None:
    user = make_user()
    session = connect(user=user)
    conn.execute(f"ALTER ROLE {user} NOLOGIN".encode())
    before = registry(conn)[:3]
    with pytest.raises(
        e.InvalidAuthorizationSpecification, match=f'role "{user}" is not permitted to log in'
    ):
        launch(session, "SELECT 1")
    assert registry(conn)[:3] == before


def test_a_connection_limit_is_for_sessions(connect: Connect, make_user: Callable[..., str]) -> None:
    user = make_user("LOGIN CONNECTION LIMIT 1")
    assert run(connect(user=user), "SELECT 1", "a int") == [(1,)]


@pytest.fixture
def definer(conn: Connection, connect: Connect, make_user: Callable[..., str]) -> tuple[Connection, str, str]:
    """A session of an ordinary user, its name, and the owner of the function `as_definer(text)`."""
    owner, user = make_user("NOLOGIN"), make_user()
    conn.execute(f"GRANT CREATE, USAGE ON SCHEMA public TO {owner}".encode())
    conn.execute(
        "CREATE FUNCTION as_definer(job text) RETURNS text LANGUAGE sql SECURITY DEFINER AS "
        "$$ SELECT r.value FROM pg_background_launch(job) h, "
        "LATERAL pg_background_result(h.pid, h.cookie) AS r (value text) $$;"
        f"ALTER FUNCTION as_definer OWNER TO {owner}".encode()
    )
    return connect(user=user), user, owner


def as_definer(session: Connection, job: str) -> object:
    """Run a job in the function."""
    row = session.execute("SELECT as_definer(%s)", [job]).fetchone()
    assert row is not None
    return row[0]


def test_in_security_definer(definer: tuple[Connection, str, str]) -> None:
    session, user, owner = definer
    for _ in range(2):
        assert as_definer(session, "SELECT current_user::text") == owner
        assert as_definer(session, "SELECT session_user::text") == user
        assert run(session, WHO, COLUMNS) == [(user, user, "none")]


@pytest.mark.parametrize(
    "statement",
    [
        "SET ROLE {}",
        "RESET ROLE",
        "SET ROLE NONE",
        "SET SESSION AUTHORIZATION {}",
        "SET LOCAL ROLE {}",
        "DO $$ BEGIN EXECUTE 'SET ROLE {}'; END $$",
        "SELECT set_config('role', '{}', false)",
    ],
)
def test_in_security_definer_roles_cannot_be_changed(
    definer: tuple[Connection, str, str], statement: str
) -> None:
    session, user, owner = definer
    with pytest.raises(e.InsufficientPrivilege):
        as_definer(session, statement.format(user))
    assert as_definer(session, "SELECT current_user::text") == owner


def test_in_security_definer_a_rollback_stays_the_definer(
    conn: Connection, definer: tuple[Connection, str, str]
) -> None:
    """After it the transaction is a new one, which begins as who the job was launched by."""
    session, _, owner = definer
    conn.execute(
        "CREATE TABLE seen (n int, who text); GRANT ALL ON seen TO PUBLIC;"
        "CREATE PROCEDURE ends() LANGUAGE plpgsql AS $$ BEGIN "
        "ROLLBACK; INSERT INTO seen VALUES (1, current_user); COMMIT; "
        "INSERT INTO seen VALUES (2, current_user); COMMIT; "
        "BEGIN PERFORM count(*) FROM pg_authid; INSERT INTO seen VALUES (3, 'reads pg_authid'); "
        "EXCEPTION WHEN insufficient_privilege THEN NULL; END; END $$"
    )
    assert as_definer(session, "CALL ends()") == "CALL"
    assert conn.execute("SELECT n, who FROM seen ORDER BY n").fetchall() == [(1, owner), (2, owner)]


def test_of_a_superuser_s_function_for_an_ordinary_user(
    conn: Connection, connect: Connect, make_user: Callable[..., str]
) -> None:
    """The job is the superuser's; what its user launches next is not."""
    user = make_user()
    conn.execute(
        "CREATE FUNCTION counts_roles() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS "
        "$$ SELECT r.n FROM pg_background_launch('SELECT count(*) FROM pg_authid') h, "
        "LATERAL pg_background_result(h.pid, h.cookie) AS r (n bigint) $$"
    )
    session = connect(user=user)
    assert session.execute("SELECT counts_roles() > 0").fetchone() == (True,)
    with pytest.raises(e.InsufficientPrivilege):
        run(session, "SELECT count(*) FROM pg_authid", "n bigint")


def test_row_security_is_the_launcher_s(
    conn: Connection, connect: Connect, make_user: Callable[..., str]
) -> None:
    first, second = make_user(), make_user()
    conn.execute(
        "CREATE TABLE owned (who name, a int); ALTER TABLE owned ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY own ON owned USING (who = current_user); GRANT SELECT ON owned TO PUBLIC;"
        f"INSERT INTO owned VALUES ('{first}', 1), ('{second}', 2)".encode()
    )
    assert run(connect(user=first), "SELECT a FROM owned", "a int") == [(1,)]
    assert run(connect(user=second), "SELECT a FROM owned", "a int") == [(2,)]
    assert run(conn, "SELECT count(*) FROM owned", "n bigint") == [(2,)]


def test_without_connect_a_launch_is_refused(
    conn: Connection, connect: Connect, make_user: Callable[..., str], db: str
) -> None:
    user = make_user()
    session = connect(user=user)
    # A warm worker is there, but the right to it is gone.
    assert run(session, "SELECT 1", "a int") == [(1,)]
    before = registry(conn)[:3]
    conn.execute(f'REVOKE CONNECT ON DATABASE "{db}" FROM PUBLIC'.encode())
    for start in (launch, submit):
        with pytest.raises(e.InsufficientPrivilege, match="permission denied for database"):
            start(session, "SELECT 1")
    assert registry(conn)[:3] == before
    conn.execute(f'GRANT CONNECT ON DATABASE "{db}" TO {user}'.encode())
    assert run(session, "SELECT 1", "a int") == [(1,)]


def test_a_job_may_drop_its_own_role(conn: Connection, make_role: MakeRole) -> None:
    """Whose worker it is does not depend on it."""
    role = make_role("NOLOGIN", member_of=("pgbackground_role",))
    conn.execute(f"SET ROLE {role}".encode())
    handle = launch(conn, f"RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}")
    conn.execute("RESET ROLE")
    assert wait(conn, handle)
    assert state(conn, handle) == "stopped"
    assert len(result(conn, handle)) == 3
    assert run(conn, "SELECT 1", "a int") == [(1,)]


def test_a_role_dropped_before_its_job_begins(conn: Connection, make_role: MakeRole) -> None:
    """The error is the job's; the worker is as good as before."""
    role = make_role("NOLOGIN", member_of=("pgbackground_role",))
    first = launch(conn, "SELECT 1")
    assert wait(conn, first)
    conn.execute(f"SET ROLE {role}".encode())
    os.kill(first.pid, signal.SIGSTOP)
    try:
        handle = launch(conn, "SELECT current_user::text")
        conn.execute(f"RESET ROLE; DROP ROLE {role}".encode())
    finally:
        os.kill(first.pid, signal.SIGCONT)
    assert wait(conn, handle)
    assert result(conn, first, "a int") == [(1,)]
    if handle.pid == first.pid:
        assert state(conn, handle) == "error"
    conn.execute("SELECT pg_background_detach(%s, %s)", handle)
    assert run(conn, "SELECT 1", "a int") == [(1,)]
