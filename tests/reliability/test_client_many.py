"""A thousand jobs at once over one client, also while its connections, or its server, go."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from pg_background import AsyncClient, AsyncJob, Client, ConnectionLost, Executor

from ..support.fix_server import FreshServer
from ..support.server import Server
from .clients import DEADLINE, WHEN_ALL_GOES, Before, Told
from .tally import Tally

pytestmark = pytest.mark.slow

JOBS = 1000

#: The client's sessions are gone; its jobs go on.
CUT = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE application_name = 'pg_background' AND backend_type = 'client backend'
"""


@pytest.fixture
def roomy(fresh_server: FreshServer) -> Server:
    """A server that has room for them all."""
    return fresh_server(
        {
            "pg_background.max_jobs": 2 * JOBS,
            "pg_background.job_memory": "128MB",
            "log_min_messages": "fatal",
        }
    )


async def test_gathered(roomy: Server, tally: Tally) -> None:
    """Cut connections lose none of them."""
    told, before = Told(), Before()
    async with await AsyncClient.connect(roomy.dsn()) as client:
        jobs = [await client.launch("SELECT pg_sleep(0.002), %s", [n], on_full="queue") for n in range(JOBS)]
        for job in jobs:
            job.add_done_callback(told.callback())

        async def insist(job: AsyncJob[Any]) -> None:
            while True:
                try:
                    assert await job.wait()
                    return
                except ConnectionLost as error:
                    # What was asked again was cut off again.
                    told.failed(error, (ConnectionLost,))

        waiting = asyncio.gather(*map(insist, jobs))
        cuts = 0
        while not waiting.done():
            cuts += await asyncio.to_thread(roomy.execute, CUT)
            await asyncio.sleep(0.1)
        await asyncio.wait_for(waiting, DEADLINE)
        # What is read is asked for once: not over the connection that was the last to be cut.
        with suppress(ConnectionLost):
            await client.run("SELECT 1")
        assert [(await job.result()).one()[1] for job in jobs] == list(range(JOBS))
        tally.faults("client: session ended", cuts)
    before.check()
    told.check(tally)
    tally.jobs(JOBS)


def test_mapped(roomy: Server, tally: Tally) -> None:
    before = Before()
    with Client.connect(roomy.dsn()) as client:
        results = client.map("SELECT %s", range(JOBS), concurrency=JOBS)
        assert [result.value() for result in results] == list(range(JOBS))
    before.check()
    tally.jobs(JOBS)


def test_by_an_executor(roomy: Server, tally: Tally) -> None:
    told, before = Told(), Before()
    with Executor(roomy.dsn(), max_workers=32) as executor:
        futures = [executor.submit("SELECT %s", [n]) for n in range(JOBS)]
        for future in futures:
            future.add_done_callback(told.callback())
        assert [future.result(DEADLINE).value() for future in futures] == list(range(JOBS))
    before.check()
    told.check(tally)
    tally.jobs(JOBS)


async def test_whose_server_goes(roomy: Server, tally: Tally) -> None:
    """Each wait ends, and each callback is called."""
    told, before = Told(), Before()
    async with await AsyncClient.connect(roomy.dsn()) as client:
        jobs = [await client.launch("SELECT pg_sleep(3600)", on_full="queue") for _ in range(JOBS)]
        for job in jobs:
            job.add_done_callback(told.callback())
        results = asyncio.gather(*(job.result() for job in jobs), return_exceptions=True)
        await asyncio.sleep(0.05)
        await asyncio.to_thread(roomy.cluster.stop, "immediate")
        for end in await asyncio.wait_for(results, DEADLINE):
            assert isinstance(end, BaseException)
            told.failed(end, WHEN_ALL_GOES)
        tally.faults("client: server gone under a thousand jobs")
    before.check()
    told.check(tally)
    tally.jobs(JOBS)
