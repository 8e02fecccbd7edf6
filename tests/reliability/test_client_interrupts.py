"""Tasks are cancelled, and calls interrupted, at random moments: no job is left that nobody knows of."""

from __future__ import annotations

import asyncio
import random
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from psycopg.rows import TupleRow

from pg_background import AsyncClient, AsyncJob, Client, Executor, JobCancelled, JobLost

from ..support.fix_client import Place
from ..support.fix_db import Connection
from . import extent as extents
from .clients import DEADLINE, Before, Callback, Told, assert_all_have_handles
from .extent import Extent
from .tally import Tally

pytestmark = pytest.mark.slow

#: Long enough to be met, and short enough to end by itself, many times.
SHORT = "SELECT pg_sleep(%s)"


async def test_cancelled_tasks(place: Place, side: Connection, extent: Extent, tally: Tally) -> None:
    """Each once, which may be at any step of what it does."""
    label, chance, told, before = f"of tasks in {place.schema}", extents.chance("tasks"), Told(), Before()
    handles = set()
    async with await AsyncClient.connect(place.dsn()) as client:

        def known(job: AsyncJob[TupleRow]) -> AsyncJob[TupleRow]:
            handles.add(job.handle)
            job.add_done_callback(told.callback())
            return job

        async def work() -> None:
            seconds = [chance.uniform(0, 0.05)]
            match chance.randrange(5):
                case 0:
                    await client.run(SHORT, seconds, label=label, on_full="queue")
                case 1:
                    await known(await client.launch(SHORT, seconds, label=label, on_full="queue"))
                case 2:
                    async for _ in client.map(SHORT, seconds * 4, label=label, concurrency=2):
                        pass
                case 3:
                    async with await client.launch(SHORT, seconds, label=label, on_full="queue") as job:
                        await known(job).wait()
                case _:
                    await known(await client.submit(SHORT, seconds, label=label, on_full="queue")).wait()

        for _ in range(extent.faults):
            tasks = [asyncio.create_task(work()) for _ in range(8)]
            for task in chance.sample(tasks, 6):
                for _ in range(chance.randrange(12)):
                    await asyncio.sleep(chance.choice([0, 0, 0.001]))
                task.cancel()
            ends = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), DEADLINE)
            for end in ends:
                if isinstance(end, BaseException):
                    # A job that its own task cancelled may have another one that reads it.
                    told.failed(end, (asyncio.CancelledError, JobCancelled))
            tally.faults("client: task cancelled", sum(task.cancelled() for task in tasks))
        assert_all_have_handles(side, handles, label)
        for handle in handles:
            with suppress(JobLost):
                await client.attach(handle).detach()
        assert (await client.run("SELECT 'next'")).value() == "next"
    before.check()
    told.check(tally)


async def test_all_tasks_cancelled(place: Place, side: Connection, extent: Extent, tally: Tally) -> None:
    """Also those of the client itself, as a program does that ends."""
    chance, told, before = extents.chance("all tasks"), Told(), Before()
    async with await AsyncClient.connect(place.dsn()) as client:
        for _ in range(extent.faults):
            jobs = [await client.launch(SHORT, [0.1], on_full="queue") for _ in range(5)]
            for job in jobs:
                job.add_done_callback(told.callback())
            waits = [asyncio.create_task(job.wait()) for job in jobs]
            await asyncio.sleep(chance.uniform(0, 0.15))
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            if others:
                await asyncio.wait(others, timeout=DEADLINE)
            assert all(wait.done() for wait in waits)
            for job in jobs:
                with suppress(RuntimeError):
                    # Who had it cancelled is told at once, and may ask again.
                    await job.wait()
                assert await asyncio.wait_for(job.wait(), DEADLINE)
                # The server has room for some thousand.
                await job.detach()
            tally.faults("client: all tasks cancelled", bool(others))
    before.check()
    told.check(tally)


@pytest.fixture
def interrupt() -> Iterator[Callable[[random.Random, Callable[[], Any]], bool]]:
    """Calls something in the main thread, which Ctrl-C interrupts at a random moment; whether it has."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    main = threading.get_ident()

    def interrupted(chance: random.Random, call: Callable[[], Any]) -> bool:
        timer = threading.Timer(chance.uniform(0, 0.03), signal.pthread_kill, (main, signal.SIGINT))
        try:
            timer.start()
            try:
                call()
            finally:
                # It comes by now, if it has not come.
                timer.join()
        except KeyboardInterrupt:
            return True
        return False

    yield interrupted
    signal.signal(signal.SIGINT, before)


def test_interrupted_calls(
    place: Place,
    side: Connection,
    extent: Extent,
    tally: Tally,
    interrupt: Callable[[random.Random, Callable[[], Any]], bool],
) -> None:
    """Other threads that use the same client notice nothing."""
    label, chance, before, told = (
        f"of a thread in {place.schema}",
        extents.chance("threads"),
        Before(),
        Told(),
    )
    over = threading.Event()
    with Client.connect(place.dsn()) as client, ThreadPoolExecutor(3) as threads:

        def beside() -> int:
            done = 0
            while not over.is_set():
                assert client.run("SELECT %s", [done], on_full="queue").value() == done
                done += 1
            return done

        def in_a_block() -> None:
            with client.launch(SHORT, [0.05], label=label, on_full="queue") as job:
                callback = Callback()
                job.add_done_callback(callback)
                # Not before: that may be interrupted too.
                told.expect(callback)
                job.wait()

        calls: list[Callable[[], Any]] = [
            lambda: client.run(SHORT, [0.05], label=label, on_full="queue"),
            lambda: client.run_script("SELECT pg_sleep(0.02); SELECT pg_sleep(0.02)", label=label),
            lambda: list(client.map(SHORT, [0.02] * 4, label=label, concurrency=2)),
            in_a_block,
        ]
        others = [threads.submit(beside) for _ in range(3)]
        try:
            for _ in range(8 * extent.faults):
                if interrupt(chance, chance.choice(calls)):
                    tally.faults("client: call interrupted")
        finally:
            over.set()
        assert all(other.result(DEADLINE) for other in others)
        assert_all_have_handles(side, (), label)
        assert client.run("SELECT 'next'").value() == "next"
    before.check()
    told.check(tally)


def test_cancelled_futures(place: Place, side: Connection, extent: Extent, tally: Tally) -> None:
    """At random moments before, during and after their launch."""
    label, chance, before, told = f"of futures in {place.schema}", extents.chance("futures"), Before(), Told()
    with Executor(place.dsn(), max_workers=4) as executor:
        for _ in range(extent.faults):
            futures = [executor.submit(SHORT, [chance.uniform(0, 0.02)], label=label) for _ in range(12)]
            for future in futures:
                future.add_done_callback(told.callback())
            with ThreadPoolExecutor(4) as threads:
                cancelled = list(threads.map(lambda future: future.cancel(), chance.sample(futures, 8)))
            for future in futures:
                if not future.cancelled():
                    assert future.exception(DEADLINE) is None
            tally.faults("client: future cancelled", sum(cancelled))
    assert_all_have_handles(side, (), label)
    before.check()
    told.check(tally)
