"""Entries for jobs: the reserve, and the limits of a role and of a database."""

from __future__ import annotations

from functools import partial

import pytest
from psycopg import errors as e

from ..support.fix_fairness import MakeTenants, Tenants, told, until_refused
from ..support.jobs import FOREVER, cancel, detach, launch, run, start, submit, wait


def queue_forever(tenants: Tenants) -> int:
    """Let the greedy role queue as many jobs as it gets; return how many that are."""
    handles, refusal = until_refused(partial(start, tenants.greedy, FOREVER, on_full="queue"))
    assert isinstance(refusal, e.ConfigurationLimitExceeded)
    assert "pg_background.reserved_jobs" in told(refusal)
    assert "pg_background.max_jobs" in told(refusal)
    return len(handles)


def test_the_last_are_for_superusers(make_tenants: MakeTenants) -> None:
    tenants = make_tenants()
    assert queue_forever(tenants) == 32 - 4
    with pytest.raises(e.ConfigurationLimitExceeded, match="reserved for superusers"):
        start(tenants.other, "SELECT 1", on_full="queue")
    handles, refusal = until_refused(partial(start, tenants.superuser, FOREVER, on_full="queue"))
    assert len(handles) == 4
    assert "pg_background.max_jobs" in told(refusal)
    assert "reserved" not in told(refusal)


@pytest.mark.pg(">= 16")
def test_members_of_pg_use_reserved_connections_may_take_them(make_tenants: MakeTenants) -> None:
    tenants = make_tenants()
    queue_forever(tenants)
    tenants.superuser.execute("GRANT pg_use_reserved_connections TO other")
    assert run(tenants.other, "SELECT 1", "n int") == [(1,)]


def test_a_definers_right_opens_the_reserve_to_nobody(make_tenants: MakeTenants) -> None:
    tenants = make_tenants()
    queue_forever(tenants)
    tenants.superuser.execute(
        "CREATE FUNCTION public.start_as_superuser() RETURNS int8 LANGUAGE sql SECURITY DEFINER AS"
        " $$ SELECT cookie FROM pg_background_start('SELECT 1', on_full => 'queue') $$"
    )
    with pytest.raises(e.ConfigurationLimitExceeded, match="reserved for superusers"):
        tenants.greedy.execute("SELECT public.start_as_superuser()")


def test_however_few_there_are_half_is_for_everybody(make_tenants: MakeTenants) -> None:
    tenants = make_tenants({"pg_background.max_jobs": 16, "pg_background.reserved_jobs": 1000})
    assert queue_forever(tenants) == 8


def test_ended_jobs_make_room(make_tenants: MakeTenants) -> None:
    tenants = make_tenants()
    for _ in range(100):
        handle = submit(tenants.greedy, "SELECT 1")
        assert wait(tenants.greedy, handle)
    unread = [launch(tenants.greedy, "SELECT 1") for _ in range(2)]
    assert queue_forever(tenants) == 32 - 4 - 2
    for handle in unread:
        assert wait(tenants.greedy, handle)
        detach(tenants.greedy, handle)
        start(tenants.greedy, FOREVER, on_full="queue")


def test_of_a_role(make_tenants: MakeTenants) -> None:
    tenants = make_tenants()
    greedy = tenants.limit("greedy", max_role_jobs=10)
    second = tenants.session("greedy")
    first_half = [start(second, FOREVER, on_full="queue") for _ in range(5)]
    handles, refusal = until_refused(partial(start, greedy, FOREVER, on_full="queue"))
    # Over all of its sessions.
    assert len(handles) == 5
    assert isinstance(refusal, e.ConfigurationLimitExceeded)
    assert 'role "greedy"' in told(refusal)
    assert "pg_background.max_role_jobs is 10" in told(refusal)
    for session in (tenants.other, tenants.superuser):
        handle = start(session, "SELECT 1", on_full="queue")
        assert handle.pid != 0
    # What has ended and is unread counts; what was detached doesn't.
    cancel(second, first_half[0])
    assert wait(second, first_half[0])
    with pytest.raises(e.ConfigurationLimitExceeded):
        start(greedy, FOREVER, on_full="queue")
    detach(second, first_half[0])
    start(greedy, FOREVER, on_full="queue")


def test_of_the_login_role_whatever_role_is_set(make_tenants: MakeTenants) -> None:
    tenants = make_tenants()
    tenants.superuser.execute("GRANT other TO greedy")
    greedy = tenants.limit("greedy", max_role_jobs=2)
    greedy.execute("SET ROLE other")
    start(greedy, FOREVER, on_full="queue")
    start(greedy, FOREVER, on_full="queue")
    with pytest.raises(e.ConfigurationLimitExceeded, match='role "greedy"'):
        start(greedy, FOREVER, on_full="queue")
    assert run(tenants.other, "SELECT 1", "n int") == [(1,)]


def test_of_a_database(make_tenants: MakeTenants) -> None:
    tenants = make_tenants({"pg_background.jobs_from_other_databases": "on"})
    tenants.superuser.execute("CREATE DATABASE small")
    tenants.superuser.execute("ALTER DATABASE small SET pg_background.max_database_jobs = 3")
    tenants.server.execute("CREATE EXTENSION pg_background", "small")
    greedy = tenants.session("greedy", "small")
    start(greedy, FOREVER, on_full="queue")
    # From elsewhere the target's limit counts.
    start(tenants.greedy, FOREVER, database="small", on_full="queue")
    start(tenants.greedy, FOREVER, database="small", on_full="queue")
    for session, arguments in ((greedy, {}), (tenants.greedy, {"database": "small"})):
        with pytest.raises(e.ConfigurationLimitExceeded) as caught:
            start(session, FOREVER, on_full="queue", **arguments)
        assert 'database "small"' in told(caught.value)
        assert "pg_background.max_database_jobs is 3" in told(caught.value)
    assert run(tenants.greedy, "SELECT 1", "n int") == [(1,)]


@pytest.mark.parametrize(
    "name",
    [
        "max_role_jobs",
        "max_role_workers",
        "max_role_memory",
        "max_role_result_size",
        "max_database_jobs",
        "max_database_workers",
    ],
)
def test_a_member_cannot_raise_its_limits(make_tenants: MakeTenants, name: str) -> None:
    tenants = make_tenants()
    with pytest.raises(e.InsufficientPrivilege):
        tenants.greedy.execute(f"SET pg_background.{name} = 0".encode())
    with pytest.raises(e.InsufficientPrivilege):
        tenants.greedy.execute(f"ALTER ROLE greedy SET pg_background.{name} = 0".encode())


def test_those_for_all_roles_hold_for_superusers_who_can_lift_them(make_tenants: MakeTenants) -> None:
    tenants = make_tenants({"pg_background.max_role_jobs": 2, "pg_background.max_role_workers": 1})
    for session in (tenants.greedy, tenants.superuser):
        start(session, FOREVER)
        with pytest.raises(e.ConfigurationLimitExceeded, match="too many background workers of role"):
            start(session, "SELECT 1")
        start(session, FOREVER, on_full="queue")
        with pytest.raises(e.ConfigurationLimitExceeded, match="too many tracked jobs of role"):
            start(session, "SELECT 1", on_full="queue")
    tenants.superuser.execute("SET pg_background.max_role_jobs = 0; SET pg_background.max_role_workers = 0")
    assert run(tenants.superuser, "SELECT 1", "n int") == [(1,)]


def test_a_job_cannot_start_more_than_its_role(make_tenants: MakeTenants) -> None:
    tenants = make_tenants()
    greedy = tenants.limit("greedy", max_role_jobs=2)
    handle = launch(greedy, f"SELECT pg_background_submit($$ {FOREVER} $$), pg_background_submit('SELECT 1')")
    with pytest.raises(e.ConfigurationLimitExceeded, match='role "greedy"'):
        greedy.execute("SELECT * FROM pg_background_result(%s, %s) AS (a text, b text)", handle)
