"""The rights that a job takes: checked at its launch, and again when a worker takes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest

from ..support.calls import Failure, failure, query, result_failure
from ..support.fix_db import Connect, Connection, MakeRole
from ..support.jobs import Gate, closed_gate, launch, result, start, wait
from ..support.server import Server
from ..support.workers import wait_until_idle

#: So that a queued job waits for the worker of the one before it.
ONE_AT_A_TIME = "SET pg_background.max_workers = 1"

LAUNCH = "SELECT pg_background_launch('SELECT 1')"

#: What is taken away from whom, and how it is refused. The login is the group by SET ROLE.
TAKEN = {
    "CONNECT": (
        'REVOKE CONNECT ON DATABASE "{db}" FROM PUBLIC',
        Failure("42501", 'permission denied for database "{db}"', "User does not have CONNECT privilege."),
    ),
    "LOGIN": ("ALTER ROLE {login} NOLOGIN", Failure("28000", 'role "{login}" is not permitted to log in')),
    "membership": (
        "REVOKE {group} FROM {login}",
        Failure("42501", 'permission denied to set role "{group}"'),
    ),
}

Names = dict[str, str]


@pytest.fixture
def names(make_role: MakeRole, db: str) -> Names:
    """Of the database and the roles."""
    group = make_role("NOLOGIN", member_of=("pgbackground_role",))
    return {"db": db, "group": group, "login": make_role(member_of=("pgbackground_role", group))}


@pytest.fixture
def session(names: Names, connect: Connect) -> Connection:
    """Of the login, as the group."""
    session = connect(user=names["login"])
    query(session, f"SET ROLE {names['group']}; {ONE_AT_A_TIME}")
    return session


@pytest.fixture
def gate(connect: Connect) -> Iterator[Gate]:
    """Jobs stop there."""
    with closed_gate(connect()) as gate:
        yield gate


def expected(taken: str, names: Names) -> Failure:
    """How it is refused."""
    return Failure(*(part and part.format(**names) for part in TAKEN[taken][1]))


@pytest.mark.parametrize("taken", TAKEN)
def test_at_the_launch(conn: Connection, session: Connection, names: Names, taken: str) -> None:
    """Though a warm worker is there."""
    assert result(session, launch(session, "SELECT 1"), "a int") == [(1,)]
    query(conn, TAKEN[taken][0].format(**names))
    assert failure(session, LAUNCH) == expected(taken, names)


@pytest.mark.parametrize("idle_timeout", ["1h", "0"], ids=["warm", "fresh"])
@pytest.mark.parametrize("taken", TAKEN)
def test_of_a_queued_job(
    server: Server,
    conn: Connection,
    session: Connection,
    names: Names,
    gate: Gate,
    taken: str,
    idle_timeout: str,
) -> None:
    """A warm worker has come while the right was there; a fresh one is refused as it connects."""
    with server.alter_system({"pg_background.worker_idle_timeout": idle_timeout}):
        first = start(session, gate.sql, discard_result=True)
        queued = start(session, "SELECT 1", on_full="queue")
        query(conn, TAKEN[taken][0].format(**names))
        gate.open()
        assert wait(conn, first)
        assert wait(conn, queued)
        detail = query(conn, "SELECT detail FROM pg_background_error_info(%s, %s)", *queued)
        found = result_failure(conn, queued)
    assert found == expected(taken, names)
    assert detail == [(found.detail,)]
    gate.close()


def test_of_a_queued_job_in_another_database(
    conn: Connection, session: Connection, names: Names, gate: Gate, make_db: Callable[[str], str]
) -> None:
    """There the role that the job runs as must be welcome, too."""
    there = make_db("there")
    first = start(session, gate.sql, discard_result=True)
    queued = start(session, "SELECT 1", on_full="queue", database=there)
    query(
        conn,
        f"REVOKE CONNECT ON DATABASE {there} FROM PUBLIC;"
        f"GRANT CONNECT ON DATABASE {there} TO {names['login']}",
    )
    gate.open()
    assert wait(conn, first)
    assert wait(conn, queued)
    assert result_failure(conn, queued)[:2] == ("42501", f'permission denied for database "{there}"')
    gate.close()


def test_a_role_dropped_while_its_job_waits(
    conn: Connection, connect: Connect, gate: Gate, make_role: MakeRole
) -> None:
    role = make_role("NOLOGIN", member_of=("pgbackground_role",))
    session = connect()
    query(session, f"SET ROLE {role}; {ONE_AT_A_TIME}")
    first = start(session, gate.sql, discard_result=True)
    queued = start(session, "SELECT 1", on_full="queue")
    query(conn, f"DROP ROLE {role}")
    gate.open()
    assert wait(conn, first)
    assert wait(conn, queued)
    assert result_failure(conn, queued)[0] == "42704"
    gate.close()


def test_a_superuser_by_the_launch_only(
    conn: Connection, connect: Connect, gate: Gate, make_role: MakeRole
) -> None:
    """Nobody else may have another's session authorization."""
    login = make_role("LOGIN SUPERUSER")
    other = make_role(member_of=("pgbackground_role",))
    session = connect(user=login)
    query(session, f"SET SESSION AUTHORIZATION {other}; {ONE_AT_A_TIME}")
    first = start(session, gate.sql, discard_result=True)
    queued = start(session, "SELECT 1", on_full="queue")
    query(conn, f"ALTER ROLE {login} NOSUPERUSER")
    gate.open()
    assert wait(conn, first)
    assert wait(conn, queued)
    assert result_failure(conn, queued)[:2] == (
        "42501",
        f'permission denied to set session authorization "{other}"',
    )
    gate.close()


def test_a_job_with_its_rights_runs_on_the_same_worker(
    conn: Connection, session: Connection, names: Names
) -> None:
    """One that was refused there has not spoiled it."""
    first = launch(session, "SELECT 1")
    assert wait(conn, first)
    query(conn, TAKEN["CONNECT"][0].format(**names))
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        launch(session, "SELECT 1")
    query(conn, f'GRANT CONNECT ON DATABASE "{names["db"]}" TO {names["login"]}, {names["group"]}')
    wait_until_idle(conn, first.pid)
    after = launch(session, "SELECT 1")
    assert after.pid == first.pid
    assert result(conn, after, "a int") == [(1,)]


@pytest.fixture
def renamed(conn: Connection, names: Names) -> Iterator[Callable[[], None]]:
    """Rename the roles, and make others of their names."""
    roles = (names["login"], names["group"])

    def rename() -> None:
        for role in roles:
            query(conn, f"ALTER ROLE {role} RENAME TO {role}_new; CREATE ROLE {role} SUPERUSER")

    yield rename
    for role in roles:
        query(conn, f"DROP ROLE {role}; ALTER ROLE {role}_new RENAME TO {role}")


@pytest.mark.parametrize("when", ["before its launch", "while it waits"])
def test_roles_that_are_renamed(
    session: Connection, names: Names, gate: Gate, renamed: Callable[[], None], when: str
) -> None:
    """A role is what it is, not its name."""
    first = launch(session, gate.sql)
    # so that a worker has to take over what follows
    query(session, "SET work_mem = '5MB'")
    if when == "before its launch":
        renamed()
    job = start(session, "SELECT session_user::text, current_user::text", on_full="queue")
    if when == "while it waits":
        renamed()
    gate.open()
    assert wait(session, first)
    assert result(session, job, "a text, b text") == [(f"{names['login']}_new", f"{names['group']}_new")]
