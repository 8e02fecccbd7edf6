"""Who may run a job in another database, and that it is there what a login of its launcher would be."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from ..support.calls import Failure, query, result_failure, value
from ..support.fix_db import Connect, Connection, MakeRole
from ..support.fix_server import FreshServer
from ..support.jobs import closed_gate, launch, result, start, wait, wait_until_asleep
from ..support.server import Server
from ..support.workers import only_worker

SETTING = "pg_background.jobs_from_other_databases"


@pytest.fixture
def there(make_db: Callable[[str], str]) -> str:
    """The other database."""
    return make_db("there")


@pytest.fixture
def user(make_role: MakeRole) -> str:
    """An ordinary role."""
    return make_role(member_of=("pgbackground_role",))


def show(session: Connection, there: str, setting: str) -> object:
    """Return a setting of a job there."""
    handle = start(session, f"SELECT current_setting('{setting}', true)", database=there)
    ((found,),) = result(session, handle)
    return found


def refusal(there: str) -> Failure:
    """How a launch or a job ends that may not be."""
    return Failure(
        "42501",
        f'jobs from other databases are not allowed in database "{there}"',
        None,
        f"A superuser can allow them: ALTER DATABASE {there} SET {SETTING} = on.",
    )


# ---- whether it may be


def test_it_is_off_unless_somebody_allows_it(fresh_server: FreshServer) -> None:
    server = fresh_server({SETTING: "off"})
    with server.connect() as conn:
        query(conn, "CREATE DATABASE there")
        with pytest.raises(psycopg.errors.InsufficientPrivilege) as caught:
            start(conn, "SELECT 1", database="there")
        diag = caught.value.diag
        assert Failure(diag.sqlstate, diag.message_primary, None, diag.message_hint) == refusal("there")
        # Of the own database it is no question, nor does this one's setting count.
        assert result(conn, start(conn, "SELECT 1", database="postgres"), "a int") == [(1,)]
        query(conn, f"ALTER DATABASE postgres SET {SETTING} = on")
    with server.connect() as conn:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            start(conn, "SELECT 1", database="there")
        query(conn, f"ALTER DATABASE there SET {SETTING} = on")
        assert result(conn, start(conn, "SELECT 1", database="there"), "a int") == [(1,)]


@pytest.mark.parametrize(
    ("settings", "allowed"),
    [
        (["DATABASE {there}", "off"], False),
        (["ROLE {user}", "off"], False),
        (["ROLE ALL", "off"], False),
        (["ROLE {user} IN DATABASE {there}", "off"], False),
        (["DATABASE {there}", "off", "ROLE {user}", "on"], True),
        (["ROLE {user}", "off", "ROLE {user} IN DATABASE {there}", "on"], True),
        (["ROLE ALL", "off", "DATABASE {there}", "on"], True),
        (["DATABASE {here}", "off"], True),
        (["ROLE {user} IN DATABASE {here}", "off"], True),
    ],
    ids=str,
)
def test_as_a_login_there_would_have_it(
    server: Server,
    conn: Connection,
    connect: Connect,
    there: str,
    user: str,
    settings: list[str],
    allowed: bool,
) -> None:
    names = {"there": there, "here": f'"{conn.info.dbname}"', "user": user}
    for what, state in zip(settings[::2], settings[1::2], strict=True):
        query(conn, f"ALTER {what.format(**names)} SET {SETTING} = {state}")
    try:
        session = connect(user=user)
        if allowed:
            assert result(session, start(session, "SELECT 1", database=there), "a int") == [(1,)]
        else:
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="jobs from other databases"):
                start(session, "SELECT 1", database=there)
    finally:
        query(conn, f"ALTER ROLE ALL RESET {SETTING}")


def test_only_a_superuser_allows_it(connect: Connect, user: str) -> None:
    session = connect(user=user)
    for statement in (f"SET {SETTING} = on", f"ALTER ROLE {user} SET {SETTING} = on"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            query(session, statement)


def test_forbidden_while_the_job_waits(
    server: Server, conn: Connection, connect: Connect, there: str
) -> None:
    with only_worker(server), closed_gate(connect()) as gate:
        session = connect()
        first = start(session, gate.sql, discard_result=True)
        queued = start(session, "SELECT 1", database=there, on_full="queue")
        query(conn, f"ALTER DATABASE {there} SET {SETTING} = off")
        gate.open()
        assert wait(conn, first)
        assert wait(conn, queued)
        assert result_failure(conn, queued) == refusal(there)
        gate.close()


# ---- its settings


def test_settings_of_database_and_role(conn: Connection, connect: Connect, there: str, user: str) -> None:
    """Superuser ones too; this database's stay here."""
    query(conn, f"ALTER DATABASE {there} SET search_path = pg_catalog")
    query(conn, f"ALTER DATABASE {there} SET log_statement = 'ddl'")
    query(conn, f"ALTER ROLE {user} IN DATABASE {there} SET statement_timeout = '7s'")
    query(conn, f"ALTER ROLE {user} SET work_mem = '4321kB'")
    query(conn, f'ALTER DATABASE "{conn.info.dbname}" SET lock_timeout = 4321')
    query(conn, f"ALTER DATABASE {there} SET app.tenant = 'theirs'")
    session = connect(user=user)
    assert value(session, "SHOW lock_timeout") == "4321ms"
    shown = {
        name: show(session, there, name)
        for name in (
            "search_path",
            "log_statement",
            "statement_timeout",
            "work_mem",
            "lock_timeout",
            "app.tenant",
        )
    }
    assert shown == {
        "search_path": "pg_catalog",
        "log_statement": "ddl",
        "statement_timeout": "7s",
        "work_mem": "4321kB",
        "lock_timeout": "0",
        "app.tenant": "theirs",
    }


def test_what_the_session_has_set_comes_on_top(conn: Connection, connect: Connect, there: str) -> None:
    query(conn, f"ALTER DATABASE {there} SET work_mem = '4321kB'")
    query(conn, f"ALTER DATABASE {there} SET lock_timeout = 4321")
    session = connect(options="-c lock_timeout=8765")
    query(session, "SET work_mem = '8765kB'; SET app.tenant = 'ours'")
    assert show(session, there, "work_mem") == "8765kB"
    assert show(session, there, "app.tenant") == "ours"
    # As of a client that would log in there.
    assert show(session, there, "lock_timeout") == "8765ms"
    with session.transaction():
        query(session, "SET LOCAL work_mem = '9876kB'")
        assert show(session, there, "work_mem") == "9876kB"
    query(session, "RESET work_mem")
    assert show(session, there, "work_mem") == "4321kB"


def test_a_superuser_s_function_has_set_it(conn: Connection, connect: Connect, there: str, user: str) -> None:
    """It is in force as long as who has set it is one."""
    query(
        conn,
        "CREATE FUNCTION quiet() RETURNS text LANGUAGE sql SECURITY DEFINER AS"
        " $$ SELECT set_config('log_statement', 'all', false) $$",
    )
    session = connect(user=user)
    assert value(session, "SELECT quiet()") == "all"
    assert show(session, there, "log_statement") == "all"


@pytest.mark.contrib("auto_explain")
def test_preloaded_libraries_and_what_may_not_be_set(
    conn: Connection, connect: Connect, there: str, user: str
) -> None:
    """Here it is a name like any other, there a superuser's setting."""
    query(conn, f"ALTER DATABASE {there} SET session_preload_libraries = 'auto_explain'")
    query(conn, f"ALTER DATABASE {there} SET auto_explain.log_min_duration = '1h'")
    session = connect(user=user)
    query(session, "SET auto_explain.log_min_duration = -1; SET work_mem = '8765kB'")
    assert show(session, there, "auto_explain.log_min_duration") == "1h"
    assert show(session, there, "auto_explain.log_analyze") == "off"
    assert show(session, there, "work_mem") == "8765kB"


def test_what_does_not_exist_there_is_skipped(conn: Connection, there: str) -> None:
    query(
        conn,
        "CREATE TEXT SEARCH CONFIGURATION own (COPY = simple); SET default_text_search_config = 'public.own';"
        "SET work_mem = '8765kB'",
    )
    assert show(conn, there, "work_mem") == "8765kB"
    assert show(conn, there, "default_text_search_config") != "public.own"


def test_role_and_session_authorization(conn: Connection, there: str, user: str, make_role: MakeRole) -> None:
    group = make_role("NOLOGIN", member_of=("pgbackground_role",))
    query(conn, f"GRANT {group} TO {user}; SET SESSION AUTHORIZATION {user}; SET ROLE {group}")
    handle = start(
        conn, "SELECT session_user::text, current_user::text, current_setting('is_superuser')", database=there
    )
    assert result(conn, handle, "a text, b text, c text") == [(user, group, "off")]


def test_it_shares_no_process(server: Server, conn: Connection, connect: Connect, there: str) -> None:
    """Neither with jobs that were launched there nor with its like."""
    with only_worker(server):
        here, local = connect(), connect(there)
        pids = []
        for _ in range(2):
            handle = launch(local, "SELECT 1")
            assert wait(local, handle)
            pids.append(handle.pid)
            handle = start(here, "SET app.tenant = 'left'", database=there)
            assert wait(here, handle)
            pids.append(handle.pid)
    assert len({*pids}) == 4


# ---- its connection


@pytest.mark.parametrize("limited", ["ROLE", "DATABASE"])
def test_connection_limits(conn: Connection, connect: Connect, there: str, user: str, limited: str) -> None:
    """Sessions count, and jobs from elsewhere as sessions."""
    session = connect(user=user)
    limit = {
        "ROLE": f"ALTER ROLE {user} CONNECTION LIMIT {{}}",
        "DATABASE": f"ALTER DATABASE {there} CONNECTION LIMIT {{}}",
    }
    # For the role there is the launching session, too.
    room = 2 if limited == "ROLE" else 1
    name = user if limited == "ROLE" else there
    query(conn, limit[limited].format(room))
    assert result(session, start(session, "SELECT 1", database=there), "a int") == [(1,)]
    query(conn, limit[limited].format(room - 1))
    refused = start(session, "SELECT 1", database=there)
    assert wait(session, refused)
    assert result_failure(session, refused)[:2] == (
        "53300",
        f'too many connections for {limited.lower()} "{name}"',
    )
    # A superuser's are not counted.
    assert result(conn, start(conn, "SELECT 1", database=there), "a int") == [(1,)]


def test_connection_limit_among_jobs(conn: Connection, connect: Connect, there: str, user: str) -> None:
    session = connect(user=user)
    query(conn, f"ALTER DATABASE {there} CONNECTION LIMIT 1")
    holder = connect(there)
    query(holder, "SELECT pg_advisory_lock(1)")
    query(conn, f"ALTER DATABASE {there} CONNECTION LIMIT 2")
    first = start(session, "SELECT 1 FROM pg_advisory_xact_lock(1)", database=there)
    wait_until_asleep(conn, first.pid, "advisory")
    second = start(session, "SELECT 1", database=there)
    assert wait(session, second)
    assert result_failure(session, second)[0] == "53300"
    query(holder, "SELECT pg_advisory_unlock(1)")
    assert wait(session, first)
    assert result(session, first, "a int") == [(1,)]


@pytest.mark.pg(">= 17")
def test_login_event_triggers(conn: Connection, connect: Connect, there: str, user: str) -> None:
    theirs = connect(there)
    query(
        theirs,
        "CREATE TABLE logins (who text, work_mem text); GRANT ALL ON logins TO PUBLIC;"
        "CREATE FUNCTION on_login() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF session_user <> 'postgres' THEN"
        " INSERT INTO public.logins VALUES (session_user, current_setting('work_mem')); END IF;"
        " IF current_setting('app.refuse', true) = 'yes' THEN RAISE 'not now'; END IF; END $$;"
        "CREATE EVENT TRIGGER on_login ON login EXECUTE FUNCTION on_login()",
    )
    session = connect(user=user)
    query(session, "SET work_mem = '8765kB'")
    for _ in range(2):
        assert result(session, start(session, "SELECT 1", database=there), "a int") == [(1,)]
    # Before what the session has set.
    assert query(theirs, "SELECT * FROM logins") == [(user, "4MB")] * 2
    query(theirs, f"ALTER ROLE {user} IN DATABASE {there} SET app.refuse = 'yes'")
    refused = start(session, "SELECT 1", database=there)
    assert wait(session, refused)
    assert result_failure(session, refused)[:2] == ("P0001", "not now")
