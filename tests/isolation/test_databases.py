"""Statements that need a database to themselves send away its idle workers, and nobody else's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from psycopg import errors as e

from ..support.calls import failure, query, value
from ..support.fix_db import Connect, Connection
from ..support.fix_server import FreshServer
from ..support.jobs import (
    FOREVER,
    cancel,
    has_ended,
    launch,
    result,
    run,
    state,
    wait,
    wait_until_asleep,
    wait_until_gone,
)
from ..support.registry import registry
from ..support.server import Server
from ..support.tablespaces import make_tablespace
from ..support.workers import pids, wait_until_idle

STATEMENTS = {
    "drop": "DROP DATABASE {name}",
    "force": "DROP DATABASE {name} WITH (FORCE)",
    "rename": "ALTER DATABASE {name} RENAME TO {name}_renamed",
    "template": "CREATE DATABASE {name}_copy TEMPLATE {name}",
    "tablespace": "ALTER DATABASE {name} SET TABLESPACE elsewhere",
}

#: What takes back a statement, which has no workers in its way.
BACK = {
    STATEMENTS["rename"]: "ALTER DATABASE {name}_renamed RENAME TO {name}",
    STATEMENTS["template"]: "DROP DATABASE {name}_copy",
}


@pytest.fixture(scope="module")
def own_server(fresh_cluster: FreshServer) -> Server:
    """A server whose idle workers stay until they are asked to leave, and without autovacuum's."""
    return fresh_cluster({"pg_background.worker_idle_timeout": "1h", "autovacuum": "off"})


@pytest.fixture(scope="module")
def elsewhere(own_server: Server, open_tmp_path: Path) -> str:
    """A tablespace."""
    make_tablespace(own_server, open_tmp_path, "elsewhere")
    return "elsewhere"


@pytest.fixture
def admin(own_server: Server) -> Iterator[Connection]:
    """A session on another database; PostgreSQL would wait 5 s for those in the way, and then give up."""
    with own_server.connect(options="-c statement_timeout=60s") as conn:
        yield conn


@pytest.fixture
def database(admin: Connection) -> Iterator[str]:
    """The database that the statement is about."""
    names = ["subject", "subject_renamed", "subject_copy"]
    query(admin, "CREATE DATABASE subject")
    yield "subject"
    for name in names:
        query(admin, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def leave_idle_workers(server: Server, database: str, count: int = 3) -> set[int]:
    """Make that many idle workers in a database, leave it, and return their pids."""
    with server.connect(database) as conn:
        query(conn, "CREATE EXTENSION IF NOT EXISTS pg_background")
        handles = [launch(conn, FOREVER) for _ in range(count)]
        for handle in handles:
            wait_until_asleep(conn, handle.pid)
            cancel(conn, handle)
            assert wait(conn, handle)
            wait_until_idle(conn, handle.pid)
            query(conn, "SELECT pg_background_detach(%s, %s)", *handle)
        found = pids(conn, only_idle=True)
        backend = conn.info.backend_pid
    with server.connect() as conn:
        wait_until_gone(conn, backend)
    return found


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=STATEMENTS)
def test_only_its_own_idle_workers_leave(
    own_server: Server, admin: Connection, database: str, statement: str
) -> None:
    others = leave_idle_workers(own_server, "postgres")
    mine = leave_idle_workers(own_server, database)
    assert len(mine) >= 3
    assert len(others) >= 3
    mark = own_server.log.mark()
    query(admin, statement.format(name=database))
    # They had all left before the statement looked: nothing to wait or to complain about.
    alive = "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY(%s)"
    assert value(admin, alive, list(mine)) == 0
    assert pids(admin, only_idle=True) == others
    log = own_server.log.since(mark)
    assert "being accessed" not in log
    assert "terminating" not in log
    # Those of the other database still work.
    handle = launch(admin, "SELECT 1")
    assert handle.pid in others
    assert result(admin, handle, "a int") == [(1,)]
    if back := BACK.get(statement):
        query(admin, back.format(name=database))


def test_tablespace_where_the_database_is_already(
    own_server: Server, admin: Connection, database: str
) -> None:
    leave_idle_workers(own_server, database)
    query(admin, f"ALTER DATABASE {database} SET TABLESPACE pg_default")


def test_template_that_nobody_names(own_server: Server, admin: Connection) -> None:
    with own_server.connect("template1") as conn:
        query(conn, "CREATE EXTENSION pg_background")
    try:
        leave_idle_workers(own_server, "template1")
        query(admin, "CREATE DATABASE subject_copy")
        query(admin, "DROP DATABASE subject_copy")
    finally:
        with own_server.connect("template1") as conn:
            query(conn, "DROP EXTENSION pg_background")


def test_from_a_job(own_server: Server, admin: Connection) -> None:
    """A job makes and drops databases too, beside its own pool."""
    assert run(admin, "CREATE DATABASE made_by_job") == [("CREATE DATABASE",)]
    with own_server.connect("made_by_job") as other:
        query(other, "CREATE EXTENSION pg_background")
        assert run(other, "SELECT 1", "a int") == [(1,)]
    assert run(admin, "DROP DATABASE made_by_job") == [("DROP DATABASE",)]


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=STATEMENTS)
def test_beside_a_busy_worker(own_server: Server, admin: Connection, database: str, statement: str) -> None:
    """As beside any session: PostgreSQL's own error, which counts it; or by force."""
    leave_idle_workers(own_server, database)
    conn = own_server.connect(database)
    handle = launch(conn, FOREVER)
    wait_until_asleep(conn, handle.pid)
    backend = conn.info.backend_pid
    conn.close()
    wait_until_gone(admin, backend)
    if "FORCE" in statement:
        query(admin, statement.format(name=database))
        assert wait(admin, handle)
        with pytest.raises(e.ConnectionFailure):
            result(admin, handle)
        return
    found = failure(admin, statement.format(name=database))
    assert found.sqlstate == "55006"
    assert "subject" in str(found.message)
    assert found.detail == "There is 1 other session using the database."
    # Neither lost nor canceled over it.
    assert not has_ended(admin, handle)
    cancel(admin, handle)
    assert wait(admin, handle)
    query(admin, "SELECT pg_background_detach(%s, %s)", *handle)
    query(admin, statement.format(name=database))


@pytest.mark.parametrize(
    "statement",
    ["DROP DATABASE subject", "CREATE DATABASE postgres", "ALTER DATABASE subject RENAME TO postgres"],
)
def test_statement_that_fails_for_another_reason(
    own_server: Server, admin: Connection, database: str, statement: str
) -> None:
    """Whatever becomes of idle workers: the error is PostgreSQL's, and the next launches work."""
    leave_idle_workers(own_server, database)
    admin.execute("BEGIN")
    assert failure(admin, statement).sqlstate in {"25001", "42P04"}
    admin.execute("ROLLBACK")
    with own_server.connect(database) as conn:
        assert run(conn, "SELECT 1", "a int") == [(1,)]


def test_database_that_is_not_there(admin: Connection) -> None:
    assert failure(admin, "DROP DATABASE not_there").sqlstate == "3D000"
    query(admin, "DROP DATABASE IF EXISTS not_there")
    assert failure(admin, "ALTER DATABASE not_there RENAME TO still_not").sqlstate == "3D000"
    assert failure(admin, "CREATE DATABASE copy TEMPLATE not_there").sqlstate == "3D000"


def test_database_whose_workers_keep_coming(
    make_db: Callable[[str], str], connect: Connect, server: Server
) -> None:
    """A session of another database launches all the time; its workers are not in the way."""
    database = make_db("dropped")
    busy = connect()
    leave_idle_workers(server, database, 1)
    admin = connect("postgres")
    handles = []
    for n in range(20):
        handles.append(launch(busy, f"SELECT {n}"))
        if n == 10:
            query(admin, f"DROP DATABASE {database} WITH (FORCE)")
    assert [result(busy, handle, "n int") for handle in handles] == [[(n,)] for n in range(20)]


def test_unread_result_of_a_dropped_database(own_server: Server, admin: Connection, database: str) -> None:
    """It is neither in the way nor lost; not even on disk."""
    with own_server.connect(database) as conn:
        query(conn, "CREATE EXTENSION pg_background")
        handle = launch(conn, "SELECT n, repeat('x', 1000) FROM generate_series(1, 1000) n")
        assert wait(conn, handle)
        wait_until_idle(conn, handle.pid)
        backend = conn.info.backend_pid
    wait_until_gone(admin, backend)
    assert registry(admin).spill_bytes > 0
    query(admin, f"DROP DATABASE {database}")
    assert len(result(admin, handle, "n int, x text")) == 1000
    assert registry(admin).spill_bytes == 0
    assert value(admin, "SELECT count(*) FROM pg_ls_tmpdir()") == 0


def test_small_unread_result_of_a_dropped_database(
    own_server: Server, admin: Connection, database: str
) -> None:
    with own_server.connect(database) as conn:
        query(conn, "CREATE EXTENSION pg_background")
        handle = launch(conn, "SELECT 42, 'x'::text")
        assert wait(conn, handle)
        assert state(conn, handle) == "stopped"
        backend = conn.info.backend_pid
    wait_until_gone(admin, backend)
    query(admin, f"DROP DATABASE {database}")
    assert result(admin, handle, "a int, b text") == [(42, "x")]


def test_spilled_result_in_the_tablespace_of_a_dropped_database(
    own_server: Server, admin: Connection, elsewhere: str
) -> None:
    """Its file is in the tablespace's own folder for such files, which does not go with the database."""
    query(admin, f"CREATE DATABASE placed TABLESPACE {elsewhere}")
    with own_server.connect("placed") as conn:
        query(conn, "CREATE EXTENSION pg_background")
        handle = launch(conn, "SELECT n, repeat('x', 1000) FROM generate_series(1, 1000) n")
        assert wait(conn, handle)
        wait_until_idle(conn, handle.pid)
        backend = conn.info.backend_pid
    wait_until_gone(admin, backend)
    query(admin, "DROP DATABASE placed")
    assert len(result(admin, handle, "n int, x text")) == 1000
    assert registry(admin).spill_bytes == 0


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=STATEMENTS)
def test_who_may_not_do_it_sends_nobody_away(
    own_server: Server, admin: Connection, database: str, statement: str
) -> None:
    """The server refuses it before it looks at who is there."""
    workers = leave_idle_workers(own_server, database)
    query(admin, "CREATE ROLE stranger LOGIN CREATEDB; GRANT ALL ON TABLESPACE elsewhere TO stranger")
    try:
        with own_server.connect(user="stranger") as stranger, pytest.raises(e.InsufficientPrivilege):
            query(stranger, statement.format(name=database))
        alive = "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY(%s)"
        assert value(admin, alive, list(workers)) == len(workers)
    finally:
        query(admin, "DROP OWNED BY stranger; DROP ROLE stranger")
