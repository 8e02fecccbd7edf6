"""pg_background_waits: what jobs wait for, by samples."""

from __future__ import annotations

from functools import partial

from ..support.calls import query
from ..support.fix_db import Connect, Connection, MakeRole
from ..support.fix_server import FreshServer
from ..support.jobs import (
    FOREVER,
    Handle,
    cancel,
    closed_gate,
    detach,
    launch,
    start,
    submit,
    wait,
    wait_until_asleep,
)
from ..support.processes import does_not_wake, keeper_pid
from ..support.waiting import wait_until

BUSY = "DO 'BEGIN LOOP PERFORM sqrt(2); END LOOP; END'"


def samples(conn: Connection, handle: Handle) -> dict[tuple[str | None, str | None], int]:
    """Return how often the job was seen, by what it waited for."""
    found = query(
        conn,
        "SELECT wait_event_type, wait_event, samples FROM pg_background_waits WHERE (pid, cookie) = (%s, %s)",
        handle.pid,
        handle.cookie,
    )
    return {(kind, name): count for kind, name, count in found}


def test_what_it_waits_for(conn: Connection) -> None:
    sleeps = launch(conn, FOREVER)
    busy = launch(conn, BUSY)
    with closed_gate(conn) as gate:
        waits = launch(conn, gate.sql)
        wait_until(lambda: samples(conn, waits).get(("Lock", "advisory"), 0) >= 2)
    wait_until(lambda: samples(conn, sleeps).get(("Timeout", "PgSleep"), 0) >= 2)
    wait_until(lambda: samples(conn, busy).get((None, None), 0) >= 2)
    assert wait(conn, waits)
    detach(conn, waits)
    cancel(conn, sleeps)
    cancel(conn, busy)
    assert wait(conn, sleeps)
    # It is still there when the job has ended.
    assert samples(conn, sleeps)["Timeout", "PgSleep"] >= 2


def test_they_end_with_the_job(conn: Connection) -> None:
    """The next job of the entry and of the process begins without any."""
    first = launch(conn, FOREVER)
    wait_until(lambda: samples(conn, first))
    cancel(conn, first)
    assert wait(conn, first)
    assert samples(conn, launch(conn, "SELECT 1")) == {}


def test_more_jobs_than_entries(fresh_server: FreshServer) -> None:
    """The next job of an entry has none of the samples of the one before it."""
    server = fresh_server({"pg_background.max_jobs": 16, "pg_background.wait_sampling": "10ms"})
    with server.connect() as session:
        session.execute("CREATE EXTENSION IF NOT EXISTS pg_background")
        handles = [launch(session, FOREVER) for _ in range(3)]
        for handle in handles:
            wait_until(partial(samples, session, handle))
            cancel(session, handle)
            assert wait(session, handle)
            detach(session, handle)
        for _ in range(16):
            submitted = submit(session, "SELECT 1")
            assert wait(session, submitted)
        slept = query(session, "SELECT count(*) FROM pg_background_waits WHERE wait_event = 'PgSleep'")
        assert slept == [(0,)]


def test_an_idle_server_is_not_looked_at(fresh_server: FreshServer) -> None:
    """The keeper sleeps on when no job runs, and the next job wakes it."""
    server = fresh_server()
    with server.connect() as session:
        session.execute("CREATE EXTENSION IF NOT EXISTS pg_background")
        for _ in range(2):
            handle = launch(session, FOREVER)
            wait_until(partial(samples, session, handle))
            cancel(session, handle)
            assert wait(session, handle)
            wait_until(partial(does_not_wake, keeper_pid(server)))


def test_none_where_it_is_off(fresh_server: FreshServer) -> None:
    server = fresh_server({"pg_background.wait_sampling": 0})
    with server.connect() as session:
        session.execute("CREATE EXTENSION IF NOT EXISTS pg_background")
        off = launch(session, FOREVER)
        wait_until_asleep(session, off.pid)
        session.execute("ALTER SYSTEM SET pg_background.wait_sampling = '10ms'")
        assert samples(session, off) == {}
        session.execute("SELECT pg_reload_conf()")
        wait_until(lambda: samples(session, off))
        cancel(session, off)


def test_who_sees_what(conn: Connection, connect: Connect, make_role: MakeRole) -> None:
    handle = launch(conn, FOREVER)
    wait_until(lambda: samples(conn, handle))
    other = connect(user=make_role(member_of=("pgbackground_role",)))
    monitor = connect(user=make_role(member_of=("pg_monitor",)))
    assert query(other, "SELECT * FROM pg_background_waits") == []
    seen = "SELECT cookie IS NULL, samples > 0 FROM pg_background_waits WHERE pid = %s"
    assert (True, True) in query(monitor, seen, handle.pid)
    queued = start(conn, "SELECT 1", on_full="queue")
    cancel(conn, handle)
    assert wait(conn, queued)


def test_a_shorter_interval_counts_at_once(fresh_server: FreshServer) -> None:
    """Not when the longer one is over."""
    server = fresh_server({"pg_background.wait_sampling": "1h"})
    with server.connect() as session:
        session.execute("CREATE EXTENSION IF NOT EXISTS pg_background")
        handle = launch(session, FOREVER)
        wait_until_asleep(session, handle.pid)
        with server.alter_system({"pg_background.wait_sampling": "20ms"}):
            wait_until(lambda: samples(session, handle).get(("Timeout", "PgSleep"), 0) >= 2)
        cancel(session, handle)
