"""Tasks of asyncio: a cancelled one cancels its job in the server."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
from psycopg.rows import TupleRow

from pg_background import AsyncClient, AsyncJob

from ..support.fix_db import Connection
from ..support.jobs import FOREVER, closed_gate
from ..support.waiting import wait_until_sql

AnyClient = AsyncClient[TupleRow]

#: Jobs with a label that have not ended.
ALIVE = """
SELECT count(*) FROM pg_background_jobs
WHERE label = %s AND state NOT IN ('stopped', 'failed', 'canceled', 'timed_out', 'lost')
"""


def wait_for_state(side: Connection, job: AsyncJob[TupleRow], expected: str) -> None:
    wait_until_sql(side, "SELECT state FROM pg_background_outcome(%s, %s)", [*job.handle], expected=expected)


async def test_a_job_can_be_awaited(aclient: AnyClient) -> None:
    assert await (await aclient.launch("SELECT 1")) == [(1,)]
    jobs = [await aclient.launch("SELECT %s", [n]) for n in range(5)]
    assert [result.value() for result in await asyncio.gather(*jobs)] == list(range(5))


async def test_cancelling_the_task_cancels_the_job(aclient: AnyClient, side: Connection) -> None:
    job = await aclient.launch(FOREVER)
    task = asyncio.ensure_future(job)
    assert not await job.wait(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    wait_for_state(side, job, "canceled")


async def test_a_timeout_of_asyncio_cancels_the_job(aclient: AnyClient, side: Connection) -> None:
    job = await aclient.launch(FOREVER)
    with pytest.raises((TimeoutError, asyncio.TimeoutError)):
        await asyncio.wait_for(job, 0.01)
    wait_for_state(side, job, "canceled")


async def test_cancelling_a_mere_wait_does_not(aclient: AnyClient, side: Connection) -> None:
    with closed_gate(side) as gate:
        job = await aclient.launch(gate.sql)
        with pytest.raises((TimeoutError, asyncio.TimeoutError)):
            await asyncio.wait_for(job.wait(), 0.01)
        assert await job.state == "running"
    assert await job.exception() is None


async def test_one_failing_task_of_a_group_cancels_the_others_jobs(
    aclient: AnyClient, side: Connection
) -> None:
    job = await aclient.launch(FOREVER)

    async def all_or_nothing() -> None:
        tasks = [asyncio.ensure_future(job), asyncio.ensure_future(aclient.run("SELECT 1/0"))]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    with pytest.raises(psycopg.errors.DivisionByZero):
        await all_or_nothing()
    wait_for_state(side, job, "canceled")


async def test_many_tasks_share_one_client(aclient: AnyClient) -> None:
    async def double(n: int) -> int:
        result = await aclient.run("SELECT 2 * %s", [n], on_full="queue")
        value: int = result.value()
        return value

    assert await asyncio.gather(*map(double, range(100))) == [2 * n for n in range(100)]


async def test_cancelling_run_cancels_its_job(aclient: AnyClient, side: Connection) -> None:
    task = asyncio.ensure_future(aclient.run(FOREVER, label="of a task"))
    while side.execute(ALIVE, ["of a task"]).fetchone() == (0,):
        await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    wait_until_sql(side, ALIVE, ["of a task"], expected=0)


@pytest.mark.parametrize("call", ["run", "run_script", "launch", "submit"])
async def test_cancelling_at_any_moment_leaves_no_job(
    aclient: AnyClient, side: Connection, call: str
) -> None:
    """Also between the server's start of a job and the answer that has its handle."""
    label = f"early {call}"
    await aclient.run("SELECT 1")
    for turns in range(30):
        task = asyncio.ensure_future(getattr(aclient, call)(FOREVER, label=label))
        for _ in range(turns):
            await asyncio.sleep(0)
            # The server does its part while nobody here looks for its answer.
            side.execute(ALIVE, [label])
        if task.done():
            # It has a handle, and is the caller's.
            await task.result().discard()
            break
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    wait_until_sql(side, ALIVE, [label], expected=0)
