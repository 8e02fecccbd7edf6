"""What users of a client do at random, what they were told, and what a client may not leave."""

from __future__ import annotations

import asyncio
import random
import re
import threading
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from pg_background import AsyncClient, ConnectionLost, JobLost

from ..support.calls import query
from ..support.jobs import Connection
from ..support.waiting import wait_until
from .tally import Tally

#: Seconds until whatever waits must have ended; what takes longer hangs.
DEADLINE = 60.0

SET_UP = "CREATE TABLE effects (n int)"

#: Of one job, which commits one effect and tells its number.
EFFECT = "INSERT INTO effects VALUES (%s) RETURNING n"

#: What a client may raise when its server, or its connection, goes: docs/client.md.
#: AdminShutdown is the error of a job whose process was told to end, where it could still say so.
WHEN_ALL_GOES = (ConnectionLost, JobLost, psycopg.errors.AdminShutdown)


class Callback:
    """Counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, _: object) -> None:
        self.calls += 1


class Told:
    """What the users of clients were told: each of their threads and tasks writes into it."""

    def __init__(self) -> None:
        #: the numbers whose jobs returned them
        self.effects: set[int] = set()
        self.errors: Counter[str] = Counter()
        self.unexpected: list[BaseException] = []
        self._callbacks: list[Callback] = []
        self._numbers = count(1)

    def number(self) -> int:
        """Return one for the next job."""
        return next(self._numbers)

    def failed(self, error: BaseException, expected: tuple[type[BaseException], ...]) -> None:
        """Take an exception, which must be of one of the kinds."""
        self.errors[type(error).__name__] += 1
        if not isinstance(error, expected):
            self.unexpected.append(error)

    def callback(self) -> Callback:
        """Return what is to be called once."""
        made = Callback()
        self.expect(made)
        return made

    def expect(self, callback: Callback) -> None:
        """Expect that it is called once."""
        self._callbacks.append(callback)

    def check(self, tally: Tally) -> None:
        """Each exception was of a documented kind, and each callback was called once."""
        assert not self.unexpected, self.unexpected
        called = Counter(callback.calls for callback in self._callbacks)
        assert called.keys() <= {1}, f"callbacks by how often they were called: {called}"
        tally.add("client: callbacks called", len(self._callbacks))
        for kind, times in self.errors.items():
            tally.add(f"client: {kind}", times)

    def check_effects(self, conn: Connection, tally: Tally) -> None:
        """What was told is there, and nothing is there twice."""
        rows = query(conn, "SELECT n, count(*) FROM effects GROUP BY n")
        assert {times for _, times in rows} <= {1}
        missing = self.effects - {number for number, _ in rows}
        assert not missing, f"told, but not there: {sorted(missing)}"
        tally.jobs(len(rows))
        tally.effects(len(self.effects))


async def use(client: AsyncClient[TupleRow], told: Told, chance: random.Random) -> None:
    """Do one of the things that a client is for."""

    async def awaited() -> None:
        job = await client.launch(EFFECT, [told.number()], on_full="queue")
        job.add_done_callback(told.callback())
        told.effects.add((await job).value())

    async def in_a_block() -> None:
        async with await client.launch(EFFECT, [told.number()], on_full="queue") as job:
            job.add_done_callback(told.callback())
            assert await job.wait()
            told.effects.add((await job.result()).value())

    async def at_once() -> None:
        told.effects.add((await client.run(EFFECT, [told.number()], on_full="queue")).value())

    async def mapped() -> None:
        numbers = [told.number() for _ in range(6)]
        told.effects.update([result.value() async for result in client.map(EFFECT, numbers, concurrency=3)])

    async def as_they_end() -> None:
        jobs = [await client.launch(EFFECT, [told.number()], on_full="queue") for _ in range(3)]
        for job in jobs:
            job.add_done_callback(told.callback())
        async for job in client.as_completed(jobs, timeout=DEADLINE):
            told.effects.add((await job.result()).value())

    async def gathered() -> None:
        jobs = [await client.launch(EFFECT, [told.number()], on_full="queue") for _ in range(3)]
        results = await asyncio.gather(*jobs, return_exceptions=True)
        failures = [result for result in results if isinstance(result, BaseException)]
        told.effects.update(result.value() for result in results if not isinstance(result, BaseException))
        if failures:
            raise failures[0]

    async def long() -> None:
        async with await client.launch("SELECT pg_sleep(%s)", [chance.uniform(0, 0.5)]) as job:
            job.add_done_callback(told.callback())
            await job.result()

    async def in_pages() -> None:
        job = await client.launch("SELECT generate_series(1, 2000)", on_full="queue")
        assert sum([len(page) async for page in job.fetch(700)]) == 2000

    kinds = (awaited, in_a_block, at_once, mapped, as_they_end, gathered, long, in_pages)
    await asyncio.wait_for(chance.choice(kinds)(), DEADLINE)


class Before:
    """What this process had before there was a client: it has no more of it afterwards."""

    def __init__(self) -> None:
        self._sockets = _sockets()

    def check(self) -> None:
        """No thread, task or socket of a client is left."""
        wait_until(lambda: not _threads(), what=f"the end of {_threads()}")
        wait_until(lambda: len(_sockets() - self._sockets) == 0, what="no more sockets")
        with suppress(RuntimeError):
            left = {
                task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("pg_background")
            }
            assert not left, f"tasks are left: {left}"


def _threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("pg_background")]


def _sockets() -> set[str]:
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            found.add(str(descriptor.readlink()))
    return {name for name in found if re.match("socket:", name)}


def assert_all_have_handles(conn: Connection, handles: Iterable[Any], label: str) -> None:
    """No job with this label goes on but those whose handles somebody has."""
    known = {(handle.pid, handle.cookie) for handle in handles}

    def nameless() -> list[tuple[Any, ...]]:
        rows = query(
            conn,
            f"SELECT pid, cookie FROM pg_background_jobs WHERE label = '{label}' AND finished_at IS NULL",
        )
        return [row for row in rows if row not in known]

    wait_until(lambda: not nameless(), what=f"the end of {nameless()}")
