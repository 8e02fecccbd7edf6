"""A process runs jobs of one exact identity: what no reset can take away reaches no other one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from typing import NamedTuple

import pytest

from ..support.calls import query, value
from ..support.fix_db import Connect, Connection, MakeRole
from ..support.jobs import Handle, launch, result, wait
from ..support.server import Server
from ..support.workers import only_worker, wait_until_idle

#: Who launches, all in sessions of one login: itself, by SET ROLE, or in functions of these owners.
WHO = ("user", "group", "definer", "super definer", "own definer")


each_pair = pytest.mark.parametrize(
    ("first", "second"),
    [pytest.param(first, second, id=f"{first} then {second}") for first, second in permutations(WHO, 2)],
)


class Launchers(NamedTuple):
    """Sessions of one login, and what each launches."""

    sessions: dict[str, Connection]
    calls: dict[str, str]

    def launch(self, who: str, job: str) -> Handle:
        """Launch it as that one."""
        ((pid, cookie),) = query(self.sessions[who], f"SELECT pid, cookie FROM {self.calls[who]}(%s)", job)
        return Handle(pid, cookie)


@pytest.fixture
def launchers(server: Server, conn: Connection, connect: Connect, make_role: MakeRole) -> Iterator[Launchers]:
    """With one process to share, if it could be shared."""
    group = make_role("NOLOGIN", member_of=("pgbackground_role",))
    owner = make_role("NOLOGIN", member_of=("pgbackground_role",))
    user = make_role(member_of=("pgbackground_role", group))
    for name, role in ("definer", owner), ("super_definer", "postgres"), ("own_definer", user):
        query(
            conn,
            f"CREATE FUNCTION {name}(text) RETURNS pg_background_handle LANGUAGE sql SECURITY DEFINER AS"
            f" 'SELECT pg_background_launch($1)'; ALTER FUNCTION {name} OWNER TO {role}",
        )
    with only_worker(server):
        sessions = {who: connect(user=user) for who in WHO}
        query(sessions["group"], f"SET ROLE {group}")
        calls = {who: who.replace(" ", "_") for who in WHO if who.endswith("definer")}
        yield Launchers(sessions, dict.fromkeys(WHO, "pg_background_launch") | calls)


def ended(session: Connection, handle: Handle) -> Handle:
    """Wait for the job."""
    assert wait(session, handle)
    return handle


@each_pair
def test_each_has_processes_of_its_own(
    conn: Connection, launchers: Launchers, first: str, second: str
) -> None:
    left = ended(conn, launchers.launch(first, "SELECT 1"))
    after = ended(conn, launchers.launch(second, "SELECT 1"))
    assert after.pid != left.pid
    # One of the same identity is reused.
    wait_until_idle(conn, after.pid)
    assert ended(conn, launchers.launch(second, "SELECT 1")).pid == after.pid


@pytest.mark.contrib("dblink")
@each_pair
def test_named_connections(
    server: Server, conn: Connection, launchers: Launchers, first: str, second: str
) -> None:
    query(conn, "CREATE EXTENSION dblink; GRANT EXECUTE ON FUNCTION dblink_connect_u(text, text) TO PUBLIC")
    to = server.dsn(conn.info.dbname)
    opened = launchers.launch(first, f"SELECT dblink_connect_u('left', $dsn${to}$dsn$)")
    assert result(conn, opened) == [("OK",)]
    seen = launchers.launch(second, "SELECT dblink_get_connections()")
    assert result(conn, seen, "names text[]") == [(None,)]


@pytest.mark.contrib("postgres_fdw")
def test_connections_of_foreign_servers(conn: Connection, launchers: Launchers) -> None:
    query(
        conn,
        "CREATE EXTENSION postgres_fdw;"
        f"CREATE SERVER there FOREIGN DATA WRAPPER postgres_fdw OPTIONS"
        f" (host '{conn.info.host}', port '{conn.info.port}', dbname '{conn.info.dbname}');"
        "CREATE USER MAPPING FOR postgres SERVER there OPTIONS (user 'postgres');"
        "CREATE TABLE here AS SELECT 1 AS a;"
        "CREATE FOREIGN TABLE away (a int) SERVER there OPTIONS (table_name 'here')",
    )
    read = launchers.launch("super definer", "SELECT a FROM away")
    assert result(conn, read, "a int") == [(1,)]
    seen = "SELECT count(*) FROM postgres_fdw_get_connections()"
    for who in sorted({*WHO} - {"super definer"}):
        handle = launchers.launch(who, seen)
        assert result(conn, handle, "n bigint") == [(0,)]
        again = launchers.launch("super definer", "SELECT a FROM away")
        assert result(conn, again, "a int") == [(1,)]


@pytest.mark.contrib("auto_explain")
def test_loaded_libraries(conn: Connection, launchers: Launchers) -> None:
    """What a superuser's function loads stays from its caller."""
    assert ended(conn, launchers.launch("super definer", "LOAD 'auto_explain'"))
    for who in ("user", "group", "definer", "own definer"):
        handle = launchers.launch(who, "SELECT current_setting('auto_explain.log_min_duration', true)")
        assert result(conn, handle) == [(None,)]


def test_session_authorization(server: Server, connect: Connect, make_role: MakeRole) -> None:
    """A superuser's session as another one, and that one's own."""
    role = make_role(member_of=("pgbackground_role",))
    with only_worker(server):
        sessions = [connect(), connect(), connect(user=role)]
        query(sessions[1], f"SET SESSION AUTHORIZATION {role}")
        handles = [ended(session, launch(session, "SELECT 1")) for session in sessions * 2]
    assert len({handle.pid for handle in handles}) == 6


@pytest.mark.parametrize("change", ["NOSUPERUSER", "SUPERUSER"])
def test_is_superuser(
    server: Server, conn: Connection, connect: Connect, make_role: MakeRole, change: str
) -> None:
    """As it is when the job begins, in a warm worker too."""
    before, after = ("on", "off") if change == "NOSUPERUSER" else ("off", "on")
    role = make_role("LOGIN SUPERUSER" if before == "on" else "LOGIN", member_of=("pgbackground_role",))
    shown = "SELECT current_setting('is_superuser')"
    with only_worker(server):
        session = connect(user=role)
        for _ in range(2):
            assert result(conn, launch(session, shown)) == [(before,)]
        query(conn, f"ALTER ROLE {role} {change}")
        for _ in range(2):
            assert result(conn, launch(session, shown)) == [(after,)]
        # Before 17 the server remembers who has logged in as superuser.
        other = ended(conn, launch(connect(user=role), "SET SESSION AUTHORIZATION postgres"))
        state = value(conn, "SELECT state FROM pg_background_outcome(%s, %s)", *other)
        assert state == ("error" if after == "off" else "stopped")


@pytest.mark.parametrize("change", ["NOSUPERUSER", "SUPERUSER"])
def test_is_superuser_of_a_role(
    server: Server, conn: Connection, connect: Connect, make_role: MakeRole, change: str
) -> None:
    before, after = ("on", "off") if change == "NOSUPERUSER" else ("off", "on")
    group = make_role("NOLOGIN SUPERUSER" if before == "on" else "NOLOGIN", member_of=("pgbackground_role",))
    role = make_role(member_of=("pgbackground_role", group))
    shown = "SELECT current_setting('is_superuser')"
    with only_worker(server):
        session = connect(user=role)
        query(session, f"SET ROLE {group}")
        for _ in range(2):
            assert result(conn, launch(session, shown)) == [(before,)]
        query(conn, f"ALTER ROLE {group} {change}")
        for _ in range(2):
            assert result(conn, launch(session, shown)) == [(after,)]
