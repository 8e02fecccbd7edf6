# Made from test_client_pooler_async.py by tools/async_to_sync.py: edit that one.
"""Behind PgBouncer in transaction mode: nothing relies on one session, and nothing is left in one."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.rows import TupleRow

from pg_background import Client, JobCancelled

from ..support.fix_client import Place
from ..support.fix_db import Connection
from ..support.jobs import FOREVER, closed_gate

AnyClient = Client[TupleRow]


@pytest.fixture
def pooled(pooler: str, clients_database: str) -> Iterator[AnyClient]:
    """A client behind the pooler."""
    with Client.connect(make_conninfo(pooler, dbname=clients_database)) as made:
        yield made


def test_jobs(pooled: AnyClient, side: Connection) -> None:
    assert pooled.run("SELECT %s, 'a' AS b", [1]) == [(1, "a")]
    with closed_gate(side) as gate:
        jobs = [pooled.launch(f"{gate.sql}; SELECT {n}") for n in range(5)]
        assert not jobs[0].wait(0.3)
    assert pooled.wait_all(jobs)
    assert [(job.result()).value() for job in jobs] == list(range(5))


def test_more_statements_than_are_prepared_for(pooled: AnyClient) -> None:
    results = [(pooled.run("SELECT %s + 1", [n])).value() for n in range(20)]
    assert results == list(range(1, 21))


def test_errors_and_cancel(pooled: AnyClient) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero):
        pooled.run("SELECT 1/0")
    job = pooled.launch(FOREVER)
    job.cancel()
    with pytest.raises(JobCancelled):
        job.result()


def test_pages(pooled: AnyClient) -> None:
    job = pooled.launch("SELECT generate_series(1, 25)")
    pages = []
    for page in job.fetch(10):
        pages.append(len(page))
        assert pooled.run("SELECT 1") == [(1,)]
    assert pages == [10, 10, 5]


def test_a_time_limit_is_that_jobs_only(pooled: AnyClient) -> None:
    limits = {
        (pooled.run("SHOW pg_background.worker_timeout", timeout=timeout)).value()
        for timeout in (7, None, None, None)
    }
    assert limits == {"7s", "0"}


def test_what_waits_for_all_snapshots(pooled: AnyClient, side: Connection, place: Place) -> None:
    side.execute("CREATE TABLE t AS SELECT generate_series(1, 100) AS a")
    result = pooled.run(f"CREATE INDEX CONCURRENTLY ON {place.schema}.t (a)")
    assert result.statusmessage == "CREATE INDEX"


def test_nothing_is_left_in_the_sessions(
    pooled: AnyClient, pooler: str, side: Connection, place: Place
) -> None:
    with closed_gate(side) as gate:
        job = pooled.launch(gate.sql)
        assert not job.wait(0.3)
        assert not pooled.session.is_listening
    with psycopg.Connection.connect(pooler, dbname=place.database, autocommit=True) as session:
        cursor = session.execute(
            "SELECT count(c), current_setting('pg_background.notify_channel'), "
            "(SELECT count(*) FROM pg_prepared_statements) FROM pg_listening_channels() AS c",
            prepare=False,
        )
        assert cursor.fetchone() == (0, "", 0)
    assert job.wait()
