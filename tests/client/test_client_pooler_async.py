"""Behind PgBouncer in transaction mode: nothing relies on one session, and nothing is left in one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import psycopg
import pytest
import pytest_asyncio
from psycopg.conninfo import make_conninfo
from psycopg.rows import TupleRow

from pg_background import AsyncClient, JobCancelled

from ..support.fix_client import Place
from ..support.fix_db import Connection
from ..support.jobs import FOREVER, closed_gate

AnyClient = AsyncClient[TupleRow]


@pytest_asyncio.fixture
async def pooled(pooler: str, clients_database: str) -> AsyncIterator[AnyClient]:
    """A client behind the pooler."""
    async with await AsyncClient.connect(make_conninfo(pooler, dbname=clients_database)) as made:
        yield made


async def test_jobs(pooled: AnyClient, side: Connection) -> None:
    assert await pooled.run("SELECT %s, 'a' AS b", [1]) == [(1, "a")]
    with closed_gate(side) as gate:
        jobs = [await pooled.launch(f"{gate.sql}; SELECT {n}") for n in range(5)]
        assert not await jobs[0].wait(0.3)
    assert await pooled.wait_all(jobs)
    assert [(await job.result()).value() for job in jobs] == list(range(5))


async def test_more_statements_than_are_prepared_for(pooled: AnyClient) -> None:
    results = [(await pooled.run("SELECT %s + 1", [n])).value() for n in range(20)]
    assert results == list(range(1, 21))


async def test_errors_and_cancel(pooled: AnyClient) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero):
        await pooled.run("SELECT 1/0")
    job = await pooled.launch(FOREVER)
    await job.cancel()
    with pytest.raises(JobCancelled):
        await job.result()


async def test_pages(pooled: AnyClient) -> None:
    job = await pooled.launch("SELECT generate_series(1, 25)")
    pages = []
    async for page in job.fetch(10):
        pages.append(len(page))
        assert await pooled.run("SELECT 1") == [(1,)]
    assert pages == [10, 10, 5]


async def test_a_time_limit_is_that_jobs_only(pooled: AnyClient) -> None:
    limits = {
        (await pooled.run("SHOW pg_background.worker_timeout", timeout=timeout)).value()
        for timeout in (7, None, None, None)
    }
    assert limits == {"7s", "0"}


async def test_what_waits_for_all_snapshots(pooled: AnyClient, side: Connection, place: Place) -> None:
    side.execute("CREATE TABLE t AS SELECT generate_series(1, 100) AS a")
    result = await pooled.run(f"CREATE INDEX CONCURRENTLY ON {place.schema}.t (a)")
    assert result.statusmessage == "CREATE INDEX"


async def test_nothing_is_left_in_the_sessions(
    pooled: AnyClient, pooler: str, side: Connection, place: Place
) -> None:
    with closed_gate(side) as gate:
        job = await pooled.launch(gate.sql)
        assert not await job.wait(0.3)
        assert not pooled.session.is_listening
    async with await psycopg.AsyncConnection.connect(
        pooler, dbname=place.database, autocommit=True
    ) as session:
        cursor = await session.execute(
            "SELECT count(c), current_setting('pg_background.notify_channel'), "
            "(SELECT count(*) FROM pg_prepared_statements) FROM pg_listening_channels() AS c",
            prepare=False,
        )
        assert await cursor.fetchone() == (0, "", 0)
    assert await job.wait()
