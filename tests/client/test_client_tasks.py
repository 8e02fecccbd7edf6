"""Tasks of asyncio: a cancelled one cancels its job in the server."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import TupleRow

from pg_background import AsyncClient, AsyncJob

from ..support.fix_client import Place
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
    try:
        wait_until_sql(side, ALIVE, [label], expected=0)
    finally:
        # What this finds running would keep others from their locks.
        side.execute(
            "SELECT pg_cancel_backend(worker_pid) FROM pg_background_jobs"
            " WHERE label = %s AND state = 'running'",
            [label],
        )


async def test_cancelling_between_start_and_answer(
    aclient: AnyClient, side: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server would end the statement, and the handle be lost with it."""
    label = "no answer yet"
    await aclient.run("SELECT 1")
    statements = aclient.session.statements
    held_up = sql.SQL("SELECT s.*, pg_advisory_lock(77) FROM ({}) AS s").format(statements.start)
    monkeypatch.setattr(statements, "start", held_up)
    side.execute("SELECT pg_advisory_lock(77)")
    task = asyncio.ensure_future(aclient.launch(FOREVER, label=label))
    while side.execute(ALIVE, [label]).fetchone() == (0,):
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task], timeout=0.2)
    assert not task.done()
    side.execute("SELECT pg_advisory_unlock(77)")
    with pytest.raises(asyncio.CancelledError):
        await task
    wait_until_sql(side, ALIVE, [label], expected=0)


async def test_cancelling_all_tasks_leaves_no_wait_in_vain(aclient: AnyClient, side: Connection) -> None:
    """Also what asks the server for the client's jobs is a task."""
    with closed_gate(side) as gate:
        job = await aclient.launch(gate.sql)
        callbacks: list[AsyncJob[TupleRow]] = []
        job.add_done_callback(callbacks.append)
        assert not await job.wait(0.05)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert others
        for task in others:
            task.cancel()
        await asyncio.wait(others)
        assert callbacks == [job]
        with pytest.raises(RuntimeError, match="was cancelled while it waited"):
            await job.wait()
        assert not await job.wait(0.01)
    assert await job.wait()


async def test_cancelling_close_closes_all_the_same(place: Place, side: Connection) -> None:
    client = await AsyncClient.connect(place.dsn())
    with closed_gate(side) as gate:
        job = await client.launch(gate.sql)
        waiting = asyncio.ensure_future(job.wait())
        assert not await job.wait(0.01)
        closing = asyncio.ensure_future(client.close())
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait([closing])
        with pytest.raises(RuntimeError, match="the client was closed"):
            await waiting
    connection = client.session._connections.source._connection  # type: ignore[attr-defined]
    assert connection.closed


@pytest.mark.parametrize("leave", ["block", "map"])
async def test_cancelling_again_leaves_no_job(aclient: AnyClient, side: Connection, leave: str) -> None:
    """What ends the jobs is not cancelled with the rest."""
    label = f"cancelled again in {leave}"

    async def work() -> None:
        if leave == "block":
            async with await aclient.launch(FOREVER, label=label) as job:
                await job.wait()
        else:
            async for _ in aclient.map("SELECT pg_sleep(%s)", [3600] * 4, concurrency=4, label=label):
                pass

    task = asyncio.ensure_future(work())
    while side.execute(ALIVE, [label]).fetchone() != (1 if leave == "block" else 4,):
        await asyncio.sleep(0.005)
    # Each at another step of the end.
    while not task.done():
        task.cancel()
        await asyncio.sleep(0)
    assert task.cancelled()
    wait_until_sql(side, ALIVE, [label], expected=0)


async def test_asking_again_while_others_still_learn_that_it_failed(place: Place, side: Connection) -> None:
    async with await AsyncClient.connect(place.dsn()) as client:
        with closed_gate(side) as gate:
            job = await client.launch(f"{gate.sql}; SELECT 1")

            async def insist() -> int:
                with suppress(RuntimeError):
                    await job.wait()
                value: int = (await job.result()).value()
                return value

            first = asyncio.ensure_future(insist())
            others = [asyncio.ensure_future(job.wait()) for _ in range(2)]
            assert not await job.wait(0.01)
            client.session._waits._watcher.fail(job.handle, RuntimeError("a fault"))
            # They learn it when the first one has asked again.
            ends = await asyncio.gather(*others, return_exceptions=True)
            assert [str(end) for end in ends] == ["a fault"] * 2
        assert await first == 1
