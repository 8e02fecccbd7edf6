"""Statements that need a database to themselves, beside idle workers and running ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from psycopg import errors as e
from psycopg import sql

from ..support.fix_db import Connect, Connection
from ..support.jobs import (
    FOREVER,
    has_ended,
    launch,
    result,
    run,
    state,
    submit,
    wait,
    wait_until_asleep,
    wait_until_gone,
)
from ..support.server import Server
from ..support.workers import wait_until_idle


@pytest.fixture
def lasting(server: Server) -> Iterator[None]:
    """Idle workers don't leave of themselves."""
    with server.alter_system({"pg_background.worker_idle_timeout": "1h"}):
        yield


@pytest.fixture
def admin(connect: Connect) -> Connection:
    """A session in another database, which doesn't wait for ever."""
    return connect("postgres", options="-c statement_timeout=60000")


def leave_idle_workers(connect: Connect, database: str) -> list[int]:
    """Make idle workers in a database without any session; return their pids."""
    conn = connect(database)
    handles = [submit(conn, "SELECT pg_sleep(0.05)") for _ in range(3)]
    for handle in handles:
        assert wait(conn, handle)
        wait_until_idle(conn, handle.pid)
    backend = conn.info.backend_pid
    conn.close()
    with connect("postgres") as other:
        wait_until_gone(other, backend)
    return [handle.pid for handle in handles]


@pytest.mark.usefixtures("lasting")
@pytest.mark.parametrize(
    "statement",
    [
        "DROP DATABASE {}",
        "ALTER DATABASE {} RENAME TO renamed_by_test; ALTER DATABASE renamed_by_test RENAME TO {}",
        "CREATE DATABASE copied_by_test TEMPLATE {}; DROP DATABASE copied_by_test",
        "ALTER DATABASE {} SET TABLESPACE pg_default",
    ],
    ids=["drop", "rename", "template", "tablespace"],
)
def test_beside_idle_workers(
    admin: Connection, connect: Connect, make_db: Callable[[str], str], statement: str
) -> None:
    database = make_db("shared")
    workers = leave_idle_workers(connect, database)
    # Each is refused inside a transaction block, and several in one string are one.
    for part in statement.split(";"):
        admin.execute(sql.SQL(part).format(sql.Identifier(database)))
    if "TABLESPACE" not in statement:
        for pid in workers:
            wait_until_gone(admin, pid)


@pytest.mark.usefixtures("lasting")
def test_template1_beside_idle_workers(admin: Connection, connect: Connect) -> None:
    """The template that nobody names."""
    with connect("template1") as conn:
        conn.execute("CREATE EXTENSION pg_background")
    try:
        leave_idle_workers(connect, "template1")
        admin.execute("CREATE DATABASE copied_by_test")
        admin.execute("DROP DATABASE copied_by_test")
    finally:
        with connect("template1") as conn:
            conn.execute("DROP EXTENSION pg_background")


@pytest.mark.usefixtures("lasting")
def test_idle_workers_of_other_databases_stay(
    admin: Connection, connect: Connect, make_db: Callable[[str], str]
) -> None:
    database = make_db("dropped")
    conn = connect()
    handle = launch(conn, "SELECT 1")
    assert result(conn, handle, "a int") == [(1,)]
    admin.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(database)))
    again = launch(conn, "SELECT 1")
    assert again.pid == handle.pid
    assert result(conn, again, "a int") == [(1,)]


def test_beside_a_running_job(admin: Connection, connect: Connect, make_db: Callable[[str], str]) -> None:
    """As beside a session: refused, or by force."""
    database = make_db("busy")
    conn = connect(database)
    handle = launch(conn, FOREVER)
    wait_until_asleep(admin, handle.pid)
    backend = conn.info.backend_pid
    conn.close()
    wait_until_gone(admin, backend)
    with pytest.raises(e.ObjectInUse):
        admin.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(database)))
    assert not has_ended(admin, handle)
    admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database)))
    assert wait(admin, handle)
    with pytest.raises(e.ConnectionFailure):
        result(admin, handle)


def test_from_a_job(connect: Connect) -> None:
    """A job makes and drops databases too, beside its own pool."""
    conn = connect("postgres")
    assert run(conn, "CREATE DATABASE made_by_job") == [("CREATE DATABASE",)]
    with connect("made_by_job") as other:
        other.execute("CREATE EXTENSION pg_background")
        assert run(other, "SELECT 1", "a int") == [(1,)]
    assert run(conn, "DROP DATABASE made_by_job") == [("DROP DATABASE",)]


def test_a_result_outlives_its_database(
    admin: Connection, connect: Connect, make_db: Callable[[str], str]
) -> None:
    database = make_db("dropped")
    conn = connect(database)
    handle = launch(conn, "SELECT 42, 'x'::text")
    assert wait(conn, handle)
    assert state(conn, handle) == "stopped"
    backend = conn.info.backend_pid
    conn.close()
    wait_until_gone(admin, backend)
    admin.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(database)))
    assert result(admin, handle, "a int, b text") == [(42, "x")]
