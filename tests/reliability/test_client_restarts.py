"""Servers and poolers restart and fail over while clients work: they hang nowhere, and go on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict

from pg_background import AsyncClient, Executor, JobLost
from pg_background.server import ServerError

from ..support.fix_pooler import MakePooler
from ..support.fix_server import FreshServer
from ..support.fix_standby import MakePair
from ..support.server import Server
from . import extent as extents
from .clients import DEADLINE, EFFECT, SET_UP, WHEN_ALL_GOES, Before, Told, use
from .extent import Extent
from .tally import Tally
from .test_faults_shutdown import kill_with_its_processes

pytestmark = pytest.mark.slow

#: Tasks, or threads, that share a client.
USERS = 6


def rounds_of(extent: Extent) -> int:
    """How often each test restarts what it is about, as there are several of them."""
    return max(extent.crashes // 2, 1)


#: A restarted server listens where it did.
STOPS: dict[str, Callable[[Server], object]] = {
    "fast": lambda server: server.cluster.stop("fast"),
    "immediate": lambda server: server.cluster.stop("immediate"),
    "SIGKILL": kill_with_its_processes,
}


def restart(server: Server, stop: Callable[[Server], object]) -> None:
    """End a server's life, and begin another at the same address."""
    port = server.cluster.postmaster().port
    stop(server)
    settings = {name: str(value) for name, value in server.settings.items()}
    end = time.monotonic() + DEADLINE
    while True:
        try:
            server.cluster.start(port=port, settings=settings)
            return
        except ServerError:
            # What a killed postmaster leaves takes a moment to go.
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


async def at_work(
    dsn: str, told: Told, what: str, trouble: Callable[[AsyncClient[Any]], Awaitable[None]], rounds: int
) -> None:
    """Have tasks use a client, with so many troubles meanwhile; it works afterwards, and leaves nothing."""
    before = Before()
    chance = extents.chance(what)
    async with await AsyncClient.connect(dsn) as client:
        over = asyncio.Event()

        async def user() -> None:
            while not over.is_set():
                try:
                    await use(client, told, chance)
                except Exception as error:
                    told.failed(error, WHEN_ALL_GOES)
                    # A server that is not there refuses at once.
                    await asyncio.sleep(0.005)

        users = [asyncio.create_task(user()) for _ in range(USERS)]
        for _ in range(rounds):
            await asyncio.sleep(chance.uniform(0, 0.5))
            await trouble(client)
            told.effects.add(await answer(client, told))
        over.set()
        await asyncio.wait_for(asyncio.gather(*users), 2 * DEADLINE)
        told.effects.add(await answer(client, told))
    before.check()


async def answer(client: AsyncClient[Any], told: Told) -> int:
    """Run a job, as soon as that can be."""
    end = asyncio.get_running_loop().time() + DEADLINE
    while True:
        try:
            value: int = (await client.run(EFFECT, [told.number()], on_full="queue")).value()
        except WHEN_ALL_GOES:
            assert asyncio.get_running_loop().time() < end, "the client does not work again"
            await asyncio.sleep(0.01)
        else:
            return value


@pytest.mark.crashes
@pytest.mark.parametrize("stop", STOPS)
async def test_server_restarts(fresh_server: FreshServer, extent: Extent, tally: Tally, stop: str) -> None:
    server = fresh_server({"log_min_messages": "fatal"})
    server.psql(SET_UP)
    told = Told()

    async def trouble(_: AsyncClient[Any]) -> None:
        await asyncio.to_thread(restart, server, STOPS[stop])

    await at_work(server.dsn(), told, f"client {stop}", trouble, rounds_of(extent))
    tally.faults(f"client: server restarted after {stop}", rounds_of(extent))
    told.check(tally)
    with server.connect() as conn:
        told.check_effects(conn, tally)


@pytest.mark.crashes
def test_executor_over_restarts(fresh_server: FreshServer, extent: Extent, tally: Tally) -> None:
    """Each future ends once; the executor goes on."""
    server = fresh_server({"log_min_messages": "fatal"})
    server.psql(SET_UP)
    told, before, chance = Told(), Before(), extents.chance("executor")
    with Executor(server.dsn(), max_workers=USERS) as executor:
        for _ in range(rounds_of(extent)):
            futures = [executor.submit(EFFECT, [told.number()]) for _ in range(200)]
            for future in futures:
                future.add_done_callback(told.callback())
            futures[0].exception(DEADLINE)
            restart(server, chance.choice(list(STOPS.values())))
            for future in futures:
                error = future.exception(DEADLINE)
                if error is None:
                    told.effects.add(future.result().value())
                else:
                    told.failed(error, WHEN_ALL_GOES)
            tally.faults("client: server restarted under an executor")
    before.check()
    told.check(tally)
    with server.connect() as conn:
        told.check_effects(conn, tally)


def both_hosts(*servers: Server) -> str:
    """A connection string that finds the one of them that takes writes."""
    parts = [conninfo_to_dict(server.dsn()) for server in servers]
    hosts, ports = (",".join(str(part[name]) for part in parts) for name in ("host", "port"))
    return servers[0].dsn(host=hosts, port=ports, target_session_attrs="read-write")


@pytest.mark.crashes
@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_failover(fresh_pair: MakePair, tally: Tally, mode: str) -> None:
    pair = fresh_pair({"log_min_messages": "fatal"})
    pair.primary.psql(SET_UP)
    pair.replay()
    told = Told()

    async def trouble(client: AsyncClient[Any]) -> None:
        # What is asked for before the standby takes over is of a job that it does not know.
        old = await client.launch("SELECT pg_sleep(3600)")
        old.add_done_callback(told.callback())
        await asyncio.to_thread(STOPS[mode], pair.primary)
        with pytest.raises(WHEN_ALL_GOES):
            await asyncio.wait_for(old.result(), DEADLINE)
        await asyncio.to_thread(pair.promote)
        with pytest.raises(JobLost):
            await asyncio.wait_for(old.result(), DEADLINE)
        new = await answer(client, told)
        rows = await asyncio.to_thread(pair.standby.execute, f"SELECT count(*) FROM effects WHERE n = {new}")
        assert rows == 1

    await at_work(both_hosts(*pair), told, f"failover {mode}", trouble, 1)
    tally.faults(f"client: failover after {mode}")
    told.check(tally)


@pytest.mark.parametrize("stop", ["terminate", "kill"])
async def test_pooler_restarts(
    fresh_server: FreshServer, make_pooler: MakePooler, extent: Extent, tally: Tally, stop: str
) -> None:
    """Jobs are the server's, and go on."""
    server = fresh_server({"log_min_messages": "fatal"})
    server.psql(SET_UP)
    pooler, told = make_pooler(server), Told()

    async def trouble(client: AsyncClient[Any]) -> None:
        number = told.number()
        held_up = await client.launch(f"SELECT pg_sleep(0.3); INSERT INTO effects VALUES ({number})")
        held_up.add_done_callback(told.callback())
        await asyncio.to_thread(partial(pooler.restart, stop))
        while True:
            try:
                assert await asyncio.wait_for(held_up.wait(), DEADLINE)
                break
            except WHEN_ALL_GOES as error:
                told.failed(error, WHEN_ALL_GOES)
        told.effects.add(number)

    await at_work(
        pooler.dsn(user="anybody", dbname="postgres"), told, f"pooler {stop}", trouble, rounds_of(extent)
    )
    tally.faults(f"client: pooler ended by {stop}", rounds_of(extent))
    told.check(tally)
    with server.connect() as conn:
        told.check_effects(conn, tally)
