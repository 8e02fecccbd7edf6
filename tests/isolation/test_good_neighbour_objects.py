"""Roles and the extension are dropped beside workers, as beside sessions."""

from __future__ import annotations

import pytest

from ..support.calls import failure, query, stats, value
from ..support.fix_db import Connect, Connection, MakeRole
from ..support.jobs import (
    FOREVER,
    cancel,
    closed_gate,
    detach,
    launch,
    result,
    run,
    state,
    submit,
    wait,
    wait_for_state,
    wait_until_asleep,
)
from ..support.registry import registry
from ..support.server import Server
from ..support.waiting import wait_until, wait_until_sql
from ..support.workers import pids, wait_until_idle

IMPATIENT = "-c statement_timeout=15s -c lock_timeout=15s"


@pytest.fixture
def admin(connect: Connect) -> Connection:
    """A session that does not wait for ever."""
    return connect(options=IMPATIENT)


@pytest.fixture
def role(make_role: MakeRole) -> str:
    return make_role(member_of=("pgbackground_role",))


@pytest.fixture
def owner(connect: Connect, role: str) -> Connection:
    """A session of a role that owns a table."""
    query(connect(), f"GRANT CREATE ON SCHEMA public TO {role}")
    conn = connect(user=role)
    query(conn, "CREATE TABLE public.mine (a int)")
    return conn


def test_drop_role_with_idle_workers(
    server: Server, connect: Connect, admin: Connection, owner: Connection, role: str
) -> None:
    """They hold nothing of it; the worker of a role that is no more serves nobody."""
    with server.alter_system({"pg_background.worker_idle_timeout": "1h"}):
        handle = launch(owner, "SELECT 1")
        assert result(owner, handle, "a int") == [(1,)]
        wait_until_idle(owner, handle.pid)
        owner.close()
        query(admin, f"DROP OWNED BY {role}")
        query(admin, f"DROP ROLE {role}")
        query(admin, f"CREATE ROLE {role} LOGIN IN ROLE pgbackground_role")
        # Another role of the same name.
        again = launch(connect(user=role), "SELECT current_user::text")
        assert again.pid != handle.pid
        assert result(admin, again) == [(role,)]


def test_reassign_owned_with_a_live_job(
    connect: Connect, admin: Connection, owner: Connection, make_role: MakeRole, role: str
) -> None:
    """The statement waits for no job that has nothing of it locked; the job finds what it finds."""
    heir = make_role()
    with closed_gate(connect()) as gate:
        handle = launch(owner, f"{gate.sql}; INSERT INTO mine VALUES (1)")
        wait_for_state(owner, handle, "running")
        query(admin, f"REASSIGN OWNED BY {role} TO {heir}")
    assert wait(owner, handle)
    assert state(owner, handle) == "error"
    assert (
        failure(owner, "SELECT * FROM pg_background_result(%s, %s) AS (a text)", *handle).sqlstate == "42501"
    )
    assert value(admin, "SELECT tableowner FROM pg_tables WHERE tablename = 'mine'") == heir
    query(admin, f"DROP OWNED BY {heir}")


def test_drop_owned_with_a_live_job(
    connect: Connect, admin: Connection, owner: Connection, role: str
) -> None:
    """Its grants go too: what was accepted ends, but no more can be launched."""
    with closed_gate(connect()) as gate:
        handle = launch(owner, f"{gate.sql}; SELECT count(*) FROM mine")
        wait_for_state(owner, handle, "running")
        query(admin, f"DROP OWNED BY {role}")
    assert wait(owner, handle)
    assert state(owner, handle) == "error"
    assert (
        failure(owner, "SELECT * FROM pg_background_result(%s, %s) AS (n int8)", *handle).sqlstate == "42P01"
    )
    # Membership is no grant of this database.
    assert run(owner, "SELECT 'still'") == [("still",)]
    query(admin, f"REVOKE pgbackground_role FROM {role}")
    assert failure(owner, "SELECT pg_background_launch('SELECT 1')").sqlstate == "42501"


def test_drop_role_with_a_live_job(connect: Connect, admin: Connection, owner: Connection, role: str) -> None:
    """As beside a session of that role: PostgreSQL lets it go. The job goes on as far as it gets."""
    with closed_gate(connect()) as gate:
        handle = launch(owner, f"{gate.sql}; SELECT 'done'")
        wait_for_state(owner, handle, "running")
        query(admin, f"DROP OWNED BY {role}")
        query(admin, f"DROP ROLE {role}")
    wait_until(lambda: registry(admin).busy_workers == 0)
    assert wait(admin, handle)
    # A superuser can still read it.
    assert result(admin, handle) == [("done",)]
    assert failure(owner, "SELECT pg_background_launch('SELECT 1')").sqlstate == "42501"
    assert stats(admin)["active"] == 0


def test_role_whose_membership_ends(admin: Connection, owner: Connection, role: str) -> None:
    """No more launches, while its job goes on."""
    handle = submit(owner, FOREVER)
    wait_until_asleep(admin, handle.pid)
    query(admin, f"REVOKE pgbackground_role FROM {role}")
    assert failure(owner, "SELECT pg_background_launch('SELECT 1')").sqlstate == "42501"
    assert value(admin, "SELECT pg_background_wait_v2_timeout(%s, %s, 0)", *handle) is False
    cancel(admin, handle)
    assert wait(admin, handle)


def test_connect_taken_away_between_jobs(
    server: Server, admin: Connection, owner: Connection, role: str, db: str
) -> None:
    """Checked at each launch, though the warm worker is there."""
    with server.alter_system({"pg_background.worker_idle_timeout": "1h"}):
        assert run(owner, "SELECT 1", "a int") == [(1,)]
        query(admin, f"REVOKE CONNECT ON DATABASE {db} FROM PUBLIC")
        found = failure(owner, "SELECT pg_background_launch('SELECT 1')")
        assert (found.sqlstate, found.detail) == ("42501", "User does not have CONNECT privilege.")
        query(admin, f"GRANT CONNECT ON DATABASE {db} TO {role}")
        assert run(owner, "SELECT 1", "a int") == [(1,)]
        query(admin, f"REVOKE CONNECT ON DATABASE {db} FROM {role}; GRANT CONNECT ON DATABASE {db} TO PUBLIC")


@pytest.mark.in_public
def test_drop_and_create_the_extension_while_all_is_going_on(
    connect: Connect, conn: Connection, admin: Connection
) -> None:
    """Running, unread, submitted and canceled jobs: all are known again by the same handles."""
    before = stats(conn)
    with closed_gate(connect()) as gate:
        unread = launch(conn, "SELECT 'unread'")
        failed = launch(conn, "SELECT 1 / 0")
        running = launch(conn, f"{gate.sql}; SELECT 'running'")
        submitted = submit(conn, f"{gate.sql}; SELECT 'submitted'")
        for handle in (unread, failed):
            assert wait(conn, handle)
        query(admin, "DROP EXTENSION pg_background")
        for statement in ("SELECT pg_background_stats()", "SELECT * FROM pg_background_list"):
            assert failure(conn, statement).sqlstate in {"42883", "42P01"}
        query(admin, "CREATE SCHEMA elsewhere; CREATE EXTENSION pg_background SCHEMA elsewhere")
        query(conn, "SET search_path = elsewhere, public")
        assert stats(conn)["launched"] == before["launched"] + 4
        assert state(conn, running) == "running"
        cancel(conn, submitted)
        assert wait(conn, submitted)
    assert result(conn, running) == [("running",)]
    assert result(conn, unread) == [("unread",)]
    assert failure(conn, "SELECT * FROM pg_background_result(%s, %s) AS (a int)", *failed).sqlstate == "22012"
    assert state(conn, submitted) == "canceled"
    detach(conn, submitted)
    assert stats(conn)["active"] == 0


def test_extension_dropped_by_a_job(conn: Connection) -> None:
    """The job that does it ends well, and says so once the extension is there again."""
    handle = launch(conn, "DROP EXTENSION pg_background; SELECT 'dropped'")
    wait_until_sql(conn, "SELECT count(*) FROM pg_extension WHERE extname = 'pg_background'", expected=0)
    # It is gone a moment before this session is told so, which is before the job's end.
    active = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND state = 'active'"
    wait_until_sql(conn, active, [handle.pid], expected=0)
    query(conn, "CREATE EXTENSION pg_background")
    assert wait(conn, handle)
    assert result(conn, handle) == [("dropped",)]


@pytest.mark.parametrize("work", ["idle", "running", "unread"])
def test_drop_extension_with_live_workers(conn: Connection, connect: Connect, work: str) -> None:
    """The job goes on; after CREATE EXTENSION its handle is as good as before."""
    query(conn, "CREATE TABLE done (a int)")
    with closed_gate(connect()) as gate:
        run(conn, "SELECT 1", "a int")
        wait_until(lambda: pids(conn, only_idle=True), what="an idle worker")
        job = "INSERT INTO done VALUES (1)"
        handle = launch(conn, f"{gate.sql}; {job}" if work == "running" else job)
        if work == "unread":
            wait(conn, handle)
        query(connect(options=IMPATIENT), "DROP EXTENSION pg_background")
        assert failure(conn, "SELECT pg_background_launch('SELECT 1')").sqlstate == "42883"
    wait_until_sql(conn, "SELECT count(*) FROM done", expected=1)
    query(conn, "CREATE EXTENSION pg_background")
    assert wait(conn, handle) is True
    assert state(conn, handle) == "stopped"
    assert result(conn, handle)[-1] == ("INSERT 0 1",)


def test_alter_extension_with_live_workers(conn: Connection, connect: Connect) -> None:
    query(conn, "CREATE SCHEMA elsewhere")
    with closed_gate(connect()) as gate:
        handle = launch(conn, f"{gate.sql}; SELECT 'x'")
        query(connect(options=IMPATIENT), "ALTER EXTENSION pg_background SET SCHEMA elsewhere")
        query(connect(options=IMPATIENT), "ALTER EXTENSION pg_background UPDATE")
        query(conn, "SET search_path = elsewhere")
    assert result(conn, handle, "a text") == [("x",)]
    assert run(conn, "SELECT 'y'") == [("y",)]
