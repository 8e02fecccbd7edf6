"""The backlog in groups: what may not begin is not looked at, and begins all the same once it may."""

from __future__ import annotations

import random
import re
from contextlib import ExitStack
from pathlib import Path
from time import monotonic

import pytest

from ..support.fix_db import Connect
from ..support.fix_fairness import MakeTenants
from ..support.fix_server import FreshServer
from ..support.jobs import (
    FOREVER,
    Connection,
    Handle,
    cancel,
    detach,
    launch,
    result,
    run,
    start,
    state,
    wait,
)
from ..support.processes import keeper_pid
from ..support.registry import registry
from ..support.server import Server
from ..support.waiting import wait_until, wait_until_sql


def at_its_limit(connect: Connect, queued: int) -> tuple[Connection, Handle]:
    """Return a session that runs as many jobs as it may, with more in its queue, and the one that runs."""
    session = connect()
    session.execute("SET pg_background.max_workers = 1")
    running = launch(session, FOREVER)
    session.execute(
        "SELECT pg_background_start('SELECT 1', on_full => 'queue') FROM generate_series(1, %s)", [queued]
    )
    return session, running


def end(session: Connection, running: Handle) -> None:
    session.execute("SELECT pg_background_cancel_all()")
    wait(session, running)
    session.execute("SELECT pg_background_detach_all()")
    # Other tests may have left results there that nobody has read.
    wait_until(lambda: registry(session).live == 0, what="no job left")


def test_a_job_begins_as_its_session_has_room(connect: Connect) -> None:
    session, running = at_its_limit(connect, 0)
    queued = start(session, "SELECT 5", on_full="queue")
    # The end of another job is a look at those that are queued.
    with connect() as other:
        assert run(other, "SELECT 1", "n int") == [(1,)]
    assert state(session, queued) == "queued"
    cancel(session, running)
    assert result(session, queued, "n int") == [(5,)]
    detach(session, running)


def test_a_job_begins_as_its_database_has_room(make_tenants: MakeTenants) -> None:
    tenants = make_tenants()
    tenants.superuser.execute("CREATE DATABASE small")
    tenants.superuser.execute("ALTER DATABASE small SET pg_background.max_database_workers = 1")
    tenants.server.execute("CREATE EXTENSION pg_background", "small")
    other, greedy = (tenants.session(role, "small") for role in ("other", "greedy"))
    running = launch(other, FOREVER)
    queued = start(greedy, "SELECT 6", on_full="queue")
    assert run(tenants.superuser, "SELECT 1", "n int") == [(1,)]
    assert state(greedy, queued) == "queued"
    # By a job of another role, whose end says nothing of what this one's role runs.
    cancel(other, running)
    assert result(greedy, queued, "n int") == [(6,)]


def test_nobody_waits_behind_jobs_that_may_not_begin(connect: Connect) -> None:
    session, running = at_its_limit(connect, 3)
    with connect() as other:
        for n in range(3):
            handle = start(other, f"SELECT {n}", on_full="queue")
            assert handle.pid > 0
            assert result(other, handle, "n int") == [(n,)]
            wait_until(lambda: registry(other).idle_workers > 0)
    end(session, running)


def test_jobs_that_may_not_begin_wake_nobody(server: Server, connect: Connect) -> None:
    def waits() -> int:
        status = Path(f"/proc/{keeper}/status").read_text()
        found = re.search(r"^voluntary_ctxt_switches:\s*(\d+)", status, re.MULTILINE)
        assert found is not None
        return int(found[1])

    if not Path("/proc/self/status").exists():
        pytest.skip("only Linux tells how often a process has waited")
    keeper = keeper_pid(server)
    session, running = at_its_limit(connect, 3)
    with connect() as other:
        run(other, "SELECT 1", "n int")
        wait_until(lambda: registry(other).idle_workers > 0)
        before, began = waits(), monotonic()
        for n in range(400):
            assert run(other, f"SELECT {n}", "n int") == [(n,)]
        # While jobs are queued it looks ten times a second, and launches may ask it for a process or two.
        assert waits() - before < (monotonic() - began) * 10 + 100
    end(session, running)


@pytest.mark.slow
def test_all_kinds_of_jobs_begin_once(fresh_server: FreshServer) -> None:
    chance = random.Random(5)
    server = fresh_server({"max_worker_processes": 12, "pg_background.max_total_workers": 3})
    with ExitStack() as stack:
        conn = stack.enter_context(server.connect())
        conn.execute("CREATE TABLE done (n int)")
        busy = [launch(conn, FOREVER) for _ in range(3)]
        sessions = [stack.enter_context(server.connect()) for _ in range(5)]
        handles: dict[int, tuple[Connection, Handle]] = {}
        for n in range(300):
            session = chance.choice(sessions)
            # Groups differ in the limit, lines in a setting that no library defines.
            session.execute(f"SET pg_background.max_workers = {chance.choice((1, 2, 16))}".encode())
            if chance.random() < 0.1:
                session.execute(f"SET app.tenant = {chance.randrange(4)}".encode())
            job = f"INSERT INTO done VALUES ({n})"
            handles[n] = session, start(session, job, on_full="queue", discard_result=True)
        canceled = set(chance.sample(range(300), 100))
        for n in canceled:
            cancel(*handles[n])
        for n in chance.sample(range(300), 100):
            detach(*handles[n])
        # Who has gone has queued jobs all the same.
        sessions[0].close()
        for each in busy:
            cancel(conn, each)
            detach(conn, each)
        wait_until_sql(conn, "SELECT live FROM pg_background_registry()", expected=0, deadline=300)
        assert [n for (n,) in conn.execute("SELECT n FROM done ORDER BY n")] == sorted(
            {*range(300)} - canceled
        )


def test_jobs_of_a_group_begin_in_the_order_in_which_they_came(server: Server, connect: Connect) -> None:
    """Also where they are in several lines, and no worker that is there fits the first."""
    with server.alter_system({"pg_background.max_total_workers": 1}), connect() as conn:
        conn.execute("CREATE TABLE came (n int GENERATED ALWAYS AS IDENTITY, tenant text)")
        busy = launch(conn, FOREVER)
        tenants = ["1", "2", "1", "3", "2", "1", "3", "3"]
        for tenant in tenants:
            conn.execute(f"SET app.tenant = {tenant}".encode())
            start(
                conn,
                "INSERT INTO came (tenant) VALUES (current_setting('app.tenant'))",
                on_full="queue",
                discard_result=True,
            )
        cancel(conn, busy)
        wait_until_sql(conn, "SELECT live FROM pg_background_registry()", expected=0)
        came = [tenant for (tenant,) in conn.execute("SELECT tenant FROM came ORDER BY n")]
        assert came == tenants
        conn.execute("SELECT pg_background_detach_all()")
