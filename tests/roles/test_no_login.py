"""A job in its session's own database is no login: what meets logins alone does not meet it."""

from __future__ import annotations

import psycopg
import pytest

from ..support.calls import query
from ..support.fix_db import Connect, Connection, MakeRole
from ..support.fix_server import FreshServer
from ..support.jobs import launch, result, run, wait
from ..support.server import Server


def test_rules_of_pg_hba(fresh_server: FreshServer) -> None:
    """One that refuses the role from now on ends neither its sessions nor their launches."""
    server = fresh_server()
    server.execute("CREATE ROLE ann LOGIN IN ROLE pgbackground_role")
    rules = server.cluster.path / "pg_hba.conf"
    with server.connect(user="ann") as session:
        assert run(session, "SELECT 'before'") == [("before",)]
        rules.write_text("local all ann reject\nhost all ann all reject\n" + rules.read_text())
        server.reload()
        with pytest.raises(psycopg.OperationalError, match="pg_hba.conf rejects"):
            server.connect(user="ann")
        # In the process that is there, and in those that come for them.
        handles = [launch(session, "SELECT pg_sleep(0.01), 'after'") for _ in range(3)]
        assert [result(session, handle, "s text, a text")[0][1] for handle in handles] == ["after"] * 3


@pytest.mark.pg(">= 17")
def test_login_event_triggers(conn: Connection, connect: Connect) -> None:
    query(
        conn,
        "CREATE TABLE logins (who text);"
        "CREATE FUNCTION on_login() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN"
        " INSERT INTO public.logins VALUES (session_user); END $$;"
        "CREATE EVENT TRIGGER on_login ON login EXECUTE FUNCTION on_login()",
    )
    session = connect()
    handles = [launch(session, "SELECT pg_sleep(0.01)") for _ in range(3)]
    assert all(wait(session, handle) for handle in handles)
    # Of the session itself.
    assert query(conn, "SELECT count(*) FROM logins") == [(1,)]


def test_log_connections(server: Server, connect: Connect, make_role: MakeRole) -> None:
    role = make_role(member_of=("pgbackground_role",))
    everything = "on" if server.major < 18 else "all"
    with server.alter_system({"log_connections": everything, "log_disconnections": "on"}):
        mark = server.log.mark()
        session = connect(user=role)
        handle = launch(session, "SELECT pg_backend_pid()")
        assert wait(session, handle)
        assert run(session, "SELECT 'another'") == [("another",)]
        session.close()
        server.log.wait_for("disconnection: ", mark)
        lines = server.log.since(mark).splitlines()
    of_role = [line for line in lines if role in line and "connection" in line]
    assert of_role
    assert not [line for line in lines if f"[{handle.pid}]" in line and "connection" in line]


def test_connection_limit_of_the_database(
    conn: Connection, connect: Connect, make_role: MakeRole, db: str
) -> None:
    session = connect(user=make_role(member_of=("pgbackground_role",)))
    query(conn, f"ALTER DATABASE {db} CONNECTION LIMIT 1")
    with pytest.raises(psycopg.OperationalError, match="too many connections for database"):
        connect(user=session.info.user)
    handles = [launch(session, "SELECT pg_sleep(0.01), 'runs'") for _ in range(3)]
    assert [result(session, handle, "s text, a text")[0][1] for handle in handles] == ["runs"] * 3
