"""Whose handles are whose: every session of a member of the launching role, and what monitors may do."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from psycopg import errors as e

from ..support.fix_db import Connect, Connection, MakeRole
from ..support.jobs import (
    FOREVER,
    Handle,
    cancel,
    detach,
    has_ended,
    launch,
    progress,
    result,
    state,
    wait,
    wait_until_asleep,
)
from ..support.waiting import wait_until

REPORTS = f"SELECT pg_background_progress(42, 'half'); {FOREVER}"


@pytest.fixture
def owner(make_role: MakeRole) -> str:
    """A role that launches."""
    return make_role(member_of=("pgbackground_role",))


@pytest.fixture
def session_of(connect: Connect, make_role: MakeRole) -> Callable[..., Connection]:
    """Opens sessions of new roles that may use the extension."""

    def open_session(*groups: str, attributes: str = "LOGIN") -> Connection:
        return connect(user=make_role(attributes, member_of=("pgbackground_role", *groups)))

    return open_session


@pytest.fixture
def launcher(connect: Connect, owner: str) -> Connection:
    """A session of the launching role."""
    return connect(user=owner)


def reporting(conn: Connection) -> Handle:
    """Launch a job and return when it has reported progress."""
    handle = launch(conn, REPORTS)
    wait_until(lambda: progress(conn, handle) == (42, "half"), what="progress")
    return handle


def end(conn: Connection, handle: Handle) -> None:
    """End a job and leave nothing of it."""
    cancel(conn, handle)
    assert wait(conn, handle)
    detach(conn, handle)


def test_another_session_of_the_same_role_may_do_all(
    launcher: Connection, connect: Connect, owner: str
) -> None:
    other = connect(user=owner)
    handle = reporting(launcher)
    assert progress(other, handle) == (42, "half")
    assert not has_ended(other, handle)
    assert not wait(other, handle, 1)
    cancel(other, handle)
    assert wait(other, handle)
    with pytest.raises(e.QueryCanceled):
        result(other, handle)
    second = launch(launcher, "SELECT 1")
    detach(other, second)
    third = launch(launcher, "SELECT 3")
    launcher.close()
    assert result(other, third, "a int") == [(3,)]


def test_another_session_does_not_list_it(launcher: Connection, connect: Connect, owner: str) -> None:
    handle = launch(launcher, "SELECT 1")
    assert state(connect(user=owner), handle) is None
    assert result(launcher, handle, "a int") == [(1,)]


@pytest.mark.parametrize("member", ["member", "superuser", "after SET ROLE"])
def test_members_may_do_all(
    launcher: Connection, connect: Connect, owner: str, session_of: Callable[..., Connection], member: str
) -> None:
    if member == "member":
        other = session_of(owner)
    else:
        other = connect()
        if member == "after SET ROLE":
            other.execute(f"SET ROLE {owner}".encode())
    handle = reporting(launcher)
    assert progress(other, handle) == (42, "half")
    cancel(other, handle)
    assert wait(other, handle)
    detach(other, handle)
    second = launch(launcher, "SELECT 1")
    assert result(other, second, "a int") == [(1,)]


def refused(handle: Handle) -> str:
    return f'permission denied for background worker with PID "{handle.pid}"'


@pytest.mark.parametrize("groups", [(), ("pg_monitor",), ("pg_read_all_data",), ("pg_signal_backend",)])
def test_strangers_are_refused(
    launcher: Connection, session_of: Callable[..., Connection], groups: tuple[str, ...]
) -> None:
    stranger = session_of(*groups)
    handle = launch(launcher, REPORTS)
    may_end = "pg_signal_backend" in groups
    for use in (wait, has_ended, result) if may_end else (wait, has_ended, detach, result, cancel):
        with pytest.raises(e.InsufficientPrivilege, match=refused(handle)):
            use(stranger, handle)
    assert state(launcher, handle) in {"starting", "running"}
    end(launcher, handle)


def test_a_member_that_does_not_inherit(
    launcher: Connection, connect: Connect, owner: str, make_role: MakeRole
) -> None:
    """Membership is what counts where PostgreSQL itself asks for it, so SET ROLE opens it in any case."""
    other = connect(user=make_role("LOGIN NOINHERIT", member_of=("pgbackground_role", owner)))
    other.execute(f"SET ROLE {owner}".encode())
    handle = launch(launcher, "SELECT 1")
    assert wait(other, handle)
    assert result(other, handle, "a int") == [(1,)]


def test_the_group_does_not_get_at_its_members_jobs(
    connect: Connect, owner: str, session_of: Callable[..., Connection]
) -> None:
    member = session_of(owner)
    handle = launch(member, FOREVER)
    group = connect(user=owner)
    with pytest.raises(e.InsufficientPrivilege):
        cancel(group, handle)
    end(member, handle)


def test_pg_signal_backend_may_cancel(launcher: Connection, session_of: Callable[..., Connection]) -> None:
    signaller = session_of("pg_signal_backend")
    handle = launch(launcher, FOREVER)
    wait_until_asleep(launcher, handle.pid)
    cancel(signaller, handle)
    assert wait(launcher, handle)
    assert state(launcher, handle) == "canceled"
    detach(launcher, handle)


def test_pg_signal_backend_may_not_cancel_a_superuser_s(
    conn: Connection, session_of: Callable[..., Connection]
) -> None:
    signaller = session_of("pg_signal_backend")
    handle = launch(conn, FOREVER)
    for grace in (0, 1):
        with pytest.raises(e.InsufficientPrivilege):
            cancel(signaller, handle, grace)
    assert not has_ended(conn, handle)
    end(conn, handle)


def test_pg_read_all_stats_may_see_progress(
    launcher: Connection, session_of: Callable[..., Connection]
) -> None:
    handle = reporting(launcher)
    for group in ("pg_read_all_stats", "pg_monitor"):
        assert progress(session_of(group), handle) == (42, "half")
    with pytest.raises(e.InsufficientPrivilege, match=refused(handle)):
        progress(session_of(), handle)
    end(launcher, handle)


def test_a_superuser_s_job_is_nobody_else_s(conn: Connection, launcher: Connection) -> None:
    handle = launch(conn, FOREVER)
    for use in (cancel, detach, wait, result):
        with pytest.raises(e.InsufficientPrivilege, match=refused(handle)):
            use(launcher, handle)
    end(conn, handle)


def test_a_wrong_cookie_tells_a_stranger_no_more(
    launcher: Connection, session_of: Callable[..., Connection]
) -> None:
    handle = launch(launcher, FOREVER)
    with pytest.raises((e.ObjectNotInPrerequisiteState, e.UndefinedObject)):
        cancel(session_of(), Handle(handle.pid, handle.cookie ^ 1))
    end(launcher, handle)


def test_public_has_nothing(connect: Connect, make_role: MakeRole) -> None:
    session = connect(user=make_role())
    calls = session.execute(
        "SELECT p.oid::regprocedure::text, has_function_privilege(p.oid, 'EXECUTE') FROM pg_proc p "
        "JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e' "
        "JOIN pg_extension x ON x.oid = d.refobjid AND x.extname = 'pg_background'"
    ).fetchall()
    assert len(calls) > 20
    assert [name for name, allowed in calls if allowed] == []
    for query in ("SELECT pg_background_launch('SELECT 1')", "SELECT * FROM pg_background_list"):
        with pytest.raises(e.InsufficientPrivilege):
            session.execute(query.encode())


def test_pgbackground_role_has_all_but_the_registry(session_of: Callable[..., Connection]) -> None:
    session = session_of()
    with pytest.raises(e.InsufficientPrivilege):
        session.execute("SELECT * FROM pg_background_registry()")
    assert session.execute("SELECT count(*) FROM pg_background_list").fetchone() == (0,)
    assert (
        session_of("pg_monitor").execute("SELECT live FROM pg_background_registry()").fetchone() is not None
    )


@pytest.mark.parametrize(
    "setting",
    [
        "max_total_workers",
        "worker_idle_timeout",
        "result_retention",
        "max_result_size",
        "max_jobs",
        "job_memory",
    ],
)
def test_settings_of_the_server_are_not_the_users(
    connect: Connect, make_role: MakeRole, setting: str
) -> None:
    session = connect(user=make_role(member_of=("pgbackground_role",)))
    with pytest.raises((e.InsufficientPrivilege, e.CantChangeRuntimeParam)):
        session.execute(f"SET pg_background.{setting} = 20".encode())
