"""Worker processes: the reserve, limits of a role and of a database, and turns between roles."""

from __future__ import annotations

from functools import partial

import pytest
from psycopg import errors as e

from ..support.fix_fairness import MakeTenants, Tenants, told, until_refused
from ..support.jobs import (
    FOREVER,
    Handle,
    cancel,
    closed_gate,
    launch,
    run,
    start,
    state,
    submit,
    wait,
    wait_for_state,
)
from ..support.waiting import wait_until, wait_until_sql

#: Of max_worker_processes = 8 three are for others.
WORKERS = 5


def launch_forever(tenants: Tenants) -> list[Handle]:
    handles, refusal = until_refused(partial(launch, tenants.greedy, FOREVER))
    assert isinstance(refusal, e.ConfigurationLimitExceeded)
    assert "pg_background.max_total_workers" in told(refusal)
    return handles


def test_the_last_is_for_superusers(make_tenants: MakeTenants) -> None:
    tenants = make_tenants()
    assert len(launch_forever(tenants)) == WORKERS - 1
    with pytest.raises(e.ConfigurationLimitExceeded) as caught:
        launch(tenants.other, "SELECT 1")
    assert "pg_background.reserved_workers 1" in told(caught.value)
    for n in range(3):
        assert run(tenants.superuser, f"SELECT {n}", "n int") == [(n,)]


def test_a_queued_job_does_not_take_the_last_either(make_tenants: MakeTenants) -> None:
    tenants = make_tenants()
    handles = [start(tenants.greedy, FOREVER, on_full="queue") for _ in range(10)]
    states = [state(tenants.greedy, handle) for handle in handles]
    wait_until(
        lambda: [state(tenants.greedy, handle) for handle in handles].count("running") == WORKERS - 1,
        what=f"all but one place taken, at first {states}",
    )
    queued = start(tenants.superuser, "SELECT 7", on_full="queue")
    assert wait(tenants.superuser, queued, 20_000)
    assert run(tenants.superuser, "SELECT 1", "n int") == [(1,)]
    assert [state(tenants.greedy, handle) for handle in handles].count("running") == WORKERS - 1


def test_of_a_role(make_tenants: MakeTenants) -> None:
    tenants = make_tenants()
    greedy = tenants.limit("greedy", max_role_workers=2)
    second = tenants.session("greedy")
    running = [launch(greedy, FOREVER), launch(second, FOREVER)]
    for session in (greedy, second):
        with pytest.raises(e.ConfigurationLimitExceeded) as caught:
            launch(session, FOREVER)
        assert 'role "greedy"' in told(caught.value)
        assert "pg_background.max_role_workers is 2" in told(caught.value)
    with pytest.raises(e.ConfigurationLimitExceeded, match='role "greedy"'):
        start(greedy, FOREVER, on_full="wait", timeout_ms=50)
    queued = start(greedy, "SELECT 42", on_full="queue")
    assert queued.pid < 0
    for n in range(5):
        assert run(tenants.other, f"SELECT {n}", "n int") == [(n,)]
    assert state(greedy, queued) == "queued"
    cancel(second, running[1])
    assert wait(greedy, queued, 20_000)
    assert state(greedy, queued) == "stopped"


def test_of_a_database(make_tenants: MakeTenants) -> None:
    tenants = make_tenants({"pg_background.jobs_from_other_databases": "on"})
    tenants.superuser.execute("CREATE DATABASE small")
    tenants.superuser.execute("ALTER DATABASE small SET pg_background.max_database_workers = 1")
    tenants.server.execute("CREATE EXTENSION pg_background", "small")
    greedy = tenants.session("greedy", "small")
    running = launch(greedy, FOREVER)
    for session, arguments in (
        (greedy, {}),
        (tenants.session("other", "small"), {}),
        (tenants.greedy, {"database": "small"}),
    ):
        with pytest.raises(e.ConfigurationLimitExceeded) as caught:
            start(session, "SELECT 1", **arguments)
        assert 'database "small"' in told(caught.value)
        assert "pg_background.max_database_workers is 1" in told(caught.value)
    queued = start(tenants.greedy, "SELECT 1", database="small", on_full="queue")
    assert state(tenants.greedy, queued) == "queued"
    cancel(greedy, running)
    assert wait(tenants.greedy, queued, 20_000)


def test_queued_jobs_of_two_roles_take_turns(make_tenants: MakeTenants) -> None:
    tenants = make_tenants({"pg_background.max_jobs": 1024, "pg_background.max_total_workers": 3})
    superuser = tenants.superuser
    superuser.execute("CREATE TABLE public.done (n serial, who name DEFAULT session_user)")
    superuser.execute("GRANT ALL ON public.done, public.done_n_seq TO PUBLIC")
    insert = "INSERT INTO public.done DEFAULT VALUES"
    with closed_gate(superuser) as gate:
        # Both of its places wait, so that the second role comes to a long line.
        held = [start(tenants.greedy, gate.sql, on_full="queue") for _ in range(2)]
        for _ in range(300):
            # Not all of them in the time in which a process starts.
            start(tenants.greedy, f"{insert}; SELECT pg_sleep(0.01)", on_full="queue", discard_result=True)
        theirs = [start(tenants.other, insert, on_full="queue", discard_result=True) for _ in range(20)]
    for handle in theirs:
        assert wait(tenants.other, handle, 60_000)
    row = superuser.execute("SELECT count(*) FROM public.done WHERE who = 'greedy'").fetchone()
    assert row is not None
    # A worker each: by its own 20th job the other role has had as many, but for what a fresh process takes.
    assert row[0] < 250, f"{row[0]} of the greedy role's 300 jobs ran before 20 of the other role's"
    for handle in held:
        assert wait(tenants.greedy, handle, 60_000)


def test_one_place_is_given_in_turn(make_tenants: MakeTenants) -> None:
    tenants = make_tenants(
        {"pg_background.max_total_workers": 1, "pg_background.reserved_workers": 0, "max_worker_processes": 4}
    )
    superuser = tenants.superuser
    superuser.execute("CREATE TABLE public.done (n serial, who name DEFAULT session_user)")
    superuser.execute("GRANT ALL ON public.done, public.done_n_seq TO PUBLIC")
    # Each takes longer than a turn.
    insert = "INSERT INTO public.done DEFAULT VALUES; SELECT pg_sleep(0.05)"
    with closed_gate(superuser) as gate:
        start(tenants.greedy, gate.sql, on_full="queue", discard_result=True)
        last = [
            [start(session, insert, on_full="queue", discard_result=True) for _ in range(5)][-1]
            for session in (tenants.greedy, tenants.other)
        ]
    assert wait(tenants.greedy, last[0], 60_000)
    assert wait(tenants.other, last[1], 60_000)
    who = [row[0] for row in superuser.execute("SELECT who FROM public.done ORDER BY n")]
    # Whose worker has ended the first job may have had its turn, or not.
    assert who in (["other", "greedy"] * 5, ["greedy", "other"] * 5)


def test_a_launch_comes_before_the_queued_jobs_of_who_has_all(make_tenants: MakeTenants) -> None:
    tenants = make_tenants({"pg_background.max_jobs": 4096})
    queued = [start(tenants.greedy, "SELECT 1", on_full="queue", discard_result=True) for _ in range(3000)]
    # None of these waits for the end of the line, nor fails.
    for n in range(10):
        assert run(tenants.other, f"SELECT {n}", "n int") == [(n,)]
    for handle in queued:
        assert wait(tenants.greedy, handle, 60_000)


def test_a_launch_gets_a_place_in_its_turn(make_tenants: MakeTenants) -> None:
    tenants = make_tenants(
        {
            "pg_background.max_jobs": 1024,
            "pg_background.max_total_workers": 2,
            "pg_background.reserved_workers": 0,
        }
    )
    for _ in range(900):
        start(tenants.greedy, "SELECT pg_sleep(0.01)", on_full="queue", discard_result=True)
    for n in range(5):
        assert run(tenants.other, f"SELECT {n}", "n int") == [(n,)]
    row = tenants.superuser.execute(
        "SELECT queued > 0 FROM pg_background_usage WHERE (kind, name) = ('role', 'greedy')"
    ).fetchone()
    assert row == (True,)


def test_idle_workers_of_a_role_make_room(make_tenants: MakeTenants) -> None:
    tenants = make_tenants({"pg_background.worker_idle_timeout": "1h"})
    for handle in [submit(tenants.greedy, "SELECT pg_sleep(0.1)") for _ in range(WORKERS - 1)]:
        assert wait(tenants.greedy, handle)
    for n in range(5):
        assert run(tenants.other, f"SELECT {n}", "n int") == [(n,)]


def test_idle_workers_leave_before_a_launch_waits_for_its_turn(make_tenants: MakeTenants) -> None:
    tenants = make_tenants({"pg_background.worker_idle_timeout": "1h"})
    launch(tenants.greedy, FOREVER)
    for handle in [submit(tenants.greedy, "SELECT pg_sleep(0.1)") for _ in range(WORKERS - 2)]:
        assert wait(tenants.greedy, handle)
    for session in (tenants.other, tenants.superuser):
        for n in range(3):
            assert run(session, f"SELECT {n}", "n int") == [(n,)]


@pytest.mark.parametrize("limit", ["max_role_workers", "max_database_workers"])
def test_a_process_that_can_not_drop_its_tables_counts(make_tenants: MakeTenants, limit: str) -> None:
    tenants = make_tenants()
    if limit == "max_role_workers":
        tenants.limit("greedy", max_role_workers=1)
    else:
        tenants.superuser.execute("ALTER DATABASE postgres SET pg_background.max_database_workers = 1")
    tenants.superuser.execute("CREATE SCHEMA shop AUTHORIZATION greedy")
    greedy, other_session = tenants.session("greedy"), tenants.session("greedy")
    greedy.execute("CREATE TABLE shop.parent (n int)")
    with closed_gate(tenants.superuser) as gate:
        handle = start(
            greedy, f"CREATE TEMP TABLE child () INHERITS (shop.parent); {gate.sql}", each_statement=True
        )
        wait_for_state(greedy, handle, "running")
        wait_until_sql(tenants.superuser, "SELECT count(*) FROM pg_inherits", [], expected=1)
        # This locks the temporary table too.
        other_session.execute("BEGIN; LOCK TABLE shop.parent IN ACCESS SHARE MODE")
    assert wait(greedy, handle)

    # A moment longer than a process may take to reset, for which a job is given to it all the same.
    wait_until_sql(
        tenants.superuser,
        "SELECT count(*) FROM pg_locks WHERE pid = %s AND waitstart < clock_timestamp() - interval '200 ms'",
        [handle.pid],
        expected=1,
    )
    for arguments in ({}, {"on_full": "wait", "timeout_ms": 10}):
        with pytest.raises(e.ConfigurationLimitExceeded) as caught:
            start(greedy, "SELECT 1", **arguments)
        assert f"pg_background.{limit}" in told(caught.value)
    queued = start(greedy, "SELECT 1", on_full="queue")
    assert state(greedy, queued) == "queued"
    other_session.execute("COMMIT")
    # Nothing is counted as the process goes on: the queued job notices all the same.
    assert wait(greedy, queued, 20_000)
    assert run(greedy, "SELECT 1", "n int") == [(1,)]
