"""SYSTEM_USER in a job is that of the session that launched it, and no process has had two."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from ..support.calls import query, result_failure, value
from ..support.fix_db import Connection
from ..support.fix_server import FreshServer
from ..support.jobs import launch, result, start, wait
from ..support.registry import registry, wait_until_quiet
from ..support.server import Server

pytestmark = pytest.mark.pg(">= 16")

#: How the role gets in, by where it comes from.
RULES = """
local all ann trust
host all ann 127.0.0.1/32 scram-sha-256
host all ann ::1/128 password
"""

SCRAM, PASSWORD = "scram-sha-256:ann", "password:ann"

Login = Callable[[str], Connection]


@pytest.fixture
def guarded(fresh_server: FreshServer) -> Server:
    """A server with a role that can authenticate in several ways, or not at all."""
    server = fresh_server({"pg_background.worker_idle_timeout": "1h", "listen_addresses": "127.0.0.1,::1"})
    rules = server.cluster.path / "pg_hba.conf"
    rules.write_text(RULES + rules.read_text())
    server.execute("CREATE ROLE ann LOGIN SUPERUSER PASSWORD 'x'")
    server.execute("SELECT pg_reload_conf()")
    return server


@pytest.fixture
def login(guarded: Server) -> Iterator[Login]:
    """Opens sessions of the role by SYSTEM_USER."""
    hosts = {"": {}, SCRAM: {"host": "127.0.0.1"}, PASSWORD: {"host": "::1"}}
    with ExitStack() as sessions:

        def login(system_user: str) -> Connection:
            dsn = make_conninfo(guarded.dsn(), user="ann", password="x", **hosts[system_user])
            session = sessions.enter_context(psycopg.connect(dsn, autocommit=True))
            assert value(session, "SELECT SYSTEM_USER") == (system_user or None)
            return session

        yield login


def seen(session: Connection, job: str = "SELECT SYSTEM_USER, pg_backend_pid()") -> tuple[str | None, int]:
    """Return what a job of the session has as SYSTEM_USER, and the pid of its process."""
    handle = launch(session, job)
    assert wait(session, handle)
    ((system_user, pid),) = result(session, handle, "u text, p int")
    return system_user, pid


def test_each_job_has_its_launchers(login: Login) -> None:
    """Of one role, in turn: a process is used again by those of its own."""
    sessions = {name: login(name) for name in ("", SCRAM, PASSWORD)}
    first = {name: seen(session) for name, session in sessions.items()}
    assert {name: found[0] or "" for name, found in first.items()} == {name: name for name in sessions}
    assert len({pid for _, pid in first.values()}) == 3
    assert {name: seen(session) for name, session in sessions.items()} == first
    assert seen(login(SCRAM)) == first[SCRAM]


def test_in_jobs_of_jobs_and_in_parallel_workers(login: Login) -> None:
    session = login(SCRAM)
    query(session, "CREATE TABLE many AS SELECT g FROM generate_series(1, 10000) AS g")
    query(
        session,
        "SET min_parallel_table_scan_size = 0; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;"
        " SET parallel_leader_participation = off",
    )
    assert seen(
        session, "SELECT min(SYSTEM_USER), count(*)::int FROM many WHERE g > 0 AND SYSTEM_USER <> 'x'"
    ) == (
        SCRAM,
        10000,
    )
    inner = (
        "SELECT u, p FROM pg_background_run_query('SELECT SYSTEM_USER, pg_backend_pid()') AS (u text, p int)"
    )
    assert seen(session, inner)[0] == SCRAM


def test_in_another_database(guarded: Server, login: Login) -> None:
    guarded.execute("CREATE DATABASE other")
    guarded.execute("ALTER DATABASE other SET pg_background.jobs_from_other_databases = on")
    session = login(SCRAM)
    handle = start(session, "SELECT SYSTEM_USER", database="other")
    assert result(session, handle, "u text") == [(SCRAM,)]


def test_whatever_role_is_set(login: Login) -> None:
    session = login(PASSWORD)
    query(session, "CREATE ROLE ben; GRANT pgbackground_role TO ben; SET SESSION AUTHORIZATION ben")
    assert seen(session)[0] == PASSWORD


def test_nothing_of_it_stays(guarded: Server, login: Login) -> None:
    with guarded.connect() as conn:
        before = registry(conn)
        session = login(SCRAM)
        for _ in range(3):
            seen(session)
        session.close()
        wait_until_quiet(conn, area_bytes=before.area_bytes)


@pytest.mark.pg(">= 18")
@pytest.mark.contrib("postgres_fdw")
def test_scram_keys_stay_with_the_session(guarded: Server, login: Login) -> None:
    """So that a foreign server gets none from a job; a password in the mapping does."""
    session = login(SCRAM)
    query(session, "CREATE EXTENSION postgres_fdw; CREATE TABLE here AS SELECT 1 AS a")
    query(
        session,
        "CREATE SERVER there FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1',"
        f" port '{session.info.port}', dbname '{session.info.dbname}', use_scram_passthrough 'true')",
    )
    query(session, "CREATE USER MAPPING FOR ann SERVER there OPTIONS (user 'ann')")
    query(session, "CREATE FOREIGN TABLE away (a int) SERVER there OPTIONS (table_name 'here')")
    assert query(session, "TABLE away") == [(1,)]
    failed = result_failure(session, launch(session, "TABLE away"), "a int")
    assert failed.sqlstate == "08001"
    query(session, "ALTER USER MAPPING FOR ann SERVER there OPTIONS (ADD password 'x')")
    query(session, "ALTER SERVER there OPTIONS (SET use_scram_passthrough 'false')")
    assert result(session, launch(session, "TABLE away"), "a int") == [(1,)]
