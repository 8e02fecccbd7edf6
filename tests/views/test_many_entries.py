"""Thousands of jobs in the registry: each is found, and given back, as if it were alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from ..support.fix_server import FreshServer
from ..support.jobs import FOREVER, Connection, cancel, detach, launch
from ..support.registry import registry, wait_until_quiet
from ..support.server import Server
from ..support.waiting import wait_until

#: On a server that looks at the whole registry after each change.
FEW = 1_000
MANY = 10_000


@dataclass(frozen=True)
class Large:
    """A server with entries for so many jobs, and nearly none besides; sessions may run one at a time."""

    server: Server
    many: int


@pytest.fixture
def large(fresh_server: FreshServer) -> Large:
    """Unread results expire as soon as their session has gone."""
    settings = {
        "pg_background.reserved_jobs": 0,
        "pg_background.job_memory": "256MB",
        "pg_background.max_workers": 1,
        "pg_background.result_retention": 0,
    }
    server = fresh_server({"pg_background.max_jobs": MANY + 100, **settings})
    with server.connect() as conn:
        checks = conn.execute("SHOW debug_assertions").fetchone() == ("on",)
    if checks:
        server.restart({"pg_background.max_jobs": FEW + 100})
    return Large(server, FEW if checks else MANY)


@pytest.fixture
def conn(large: Large) -> Iterator[Connection]:
    """A session on it."""
    with large.server.connect() as conn:
        yield conn


def test_each_of_many_is_found_while_others_come_and_go(large: Large, conn: Connection) -> None:
    many = large.many
    launch(conn, FOREVER)
    conn.execute("CREATE TABLE job (handle pg_background_handle, n float)")
    found = (
        "SELECT count(*), count(*) FILTER (WHERE (o).state = 'queued'), count(DISTINCT (o).cookie)"
        " FROM (SELECT pg_background_outcome((handle).pid, (handle).cookie) AS o FROM job) AS outcomes"
    )

    def queue(count: int) -> None:
        conn.execute(
            "INSERT INTO job SELECT pg_background_start('SELECT 1', on_full => 'queue'), random()"
            " FROM generate_series(1, %s)",
            [count],
        )

    queue(many)
    for _ in range(3):
        assert conn.execute(found.encode()).fetchone() == (many, many, many)
        # In no order: entries and buckets lose some from their middle.
        conn.execute(
            "WITH gone AS (DELETE FROM job WHERE n < 0.5 RETURNING handle)"
            " SELECT pg_background_cancel((handle).pid, (handle).cookie),"
            " pg_background_detach((handle).pid, (handle).cookie) FROM gone"
        )
        row = conn.execute("SELECT count(*) FROM job").fetchone()
        assert row is not None
        assert registry(conn).entries == row[0] + 1
        conn.execute("UPDATE job SET n = random()")
        queue(many - row[0])
    assert conn.execute("SELECT count(*) FROM pg_background_list").fetchone() == (many + 1,)
    assert conn.execute(
        "SELECT count(DISTINCT cookie) >= %s FROM pg_background_jobs", [many + 1]
    ).fetchone() == (True,)
    assert conn.execute("SELECT pg_background_cancel_all()").fetchone() == (many + 1,)
    assert conn.execute("SELECT pg_background_detach_all()").fetchone() == (many + 1,)
    assert wait_until_quiet(conn).entries == 0


def test_results_of_a_session_that_had_many_expire(large: Large, conn: Connection) -> None:
    before = registry(conn)
    running = launch(conn, FOREVER)
    with large.server.connect() as session:
        session.execute("SELECT pg_background_launch('SELECT 1', 4096)")
        session.execute(
            "DO $$ BEGIN FOR i IN 1..700 LOOP PERFORM pg_background_wait("
            "pg_background_start('SELECT 1', queue_size => 64, on_full => 'queue')); END LOOP; END $$"
        )
        assert registry(conn).unread > 700
    cancel(conn, running)
    detach(conn, running)
    wait_until(lambda: registry(conn).entries == before.entries, what="entries as before")
