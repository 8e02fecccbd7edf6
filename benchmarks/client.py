"""What a job costs through the Python client, against the same by hand: `python -m benchmarks.client`.

By hand means psycopg's execute() of the SQL that needs the fewest statements. All ways take turns in rounds
on one server, and of each the best round counts, as others have met more of what else the machine did.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from time import perf_counter, process_time
from typing import Any
from unittest import mock

import psycopg

from pg_background import AsyncClient, Client, Executor
from pg_background.server import ServerError

from .commands import add_server_options, chosen_installation
from .context import Bench
from .figures import MS, RATIO, Figure
from .hosts import hosts

TITLE = "Python client"
NOTE = "A job by the client, against psycopg's execute() of the SQL that needs the fewest statements."

#: By hand, with threads and with asyncio.
RUN_QUERY = "run_query()"
LAUNCH_RESULT = "launch() and result()"
ASYNC_LAUNCH_RESULT = "launch() and result(), asyncio"

#: Through the client, and what each is compared with.
COMPARED: Mapping[str, str] = {
    "client.run": RUN_QUERY,
    "client.launch().result": LAUNCH_RESULT,
    "client.submit().wait": LAUNCH_RESULT,
    "client.map": LAUNCH_RESULT,
    "Executor.map": LAUNCH_RESULT,
    "AsyncClient.run": ASYNC_LAUNCH_RESULT,
    "AsyncClient.run, gathered": ASYNC_LAUNCH_RESULT,
}

#: Jobs of each way in a round, and how many of them are under way at once where they can be.
JOBS = 100
AT_ONCE = 4

_LAUNCH = "SELECT pid, cookie FROM pg_background_launch('SELECT 1'::text, 0)"
_RESULT = "SELECT * FROM pg_background_result(%s::int4, %s::int8) AS (n int)"
_RUN_QUERY = "SELECT * FROM pg_background_run_query('SELECT 1'::text) AS (n int)"


@dataclass(frozen=True)
class Cost:
    """What a job costs by one way through the client."""

    way: str
    against: str
    #: times what it costs by hand: of time, and of the client's CPU alone, which depends less on the machine
    ratio: float
    cpu_ratio: float
    #: by the client, in ms
    ms: float
    #: threads that were started, for 1000 jobs
    threads: float


def measure(conninfo: str, rounds: int) -> list[Cost]:
    """Let all ways take turns.

    Args:
        conninfo: of a server with warm workers, and the extension in a schema of the search_path.
    """
    with ExitStack() as stack:
        ways = {**_by_threads(stack, conninfo), **_by_asyncio(stack, conninfo)}
        best = dict.fromkeys(ways, float("inf"))
        best_cpu = dict.fromkeys(ways, float("inf"))
        started = dict.fromkeys(ways, 0)
        for name in ways:
            ways[name]()
        for _ in range(rounds):
            for name, run in ways.items():
                with mock.patch.object(threading.Thread, "start", _counting(started, name)):
                    began, began_cpu = perf_counter(), process_time()
                    run()
                    best[name] = min(best[name], (perf_counter() - began) / JOBS)
                    best_cpu[name] = min(best_cpu[name], process_time() - began_cpu)
    return [
        Cost(
            way,
            against,
            ratio=best[way] / best[against],
            cpu_ratio=best_cpu[way] / best_cpu[against],
            ms=best[way] * 1000,
            threads=started[way] * 1000 / (rounds * JOBS),
        )
        for way, against in COMPARED.items()
    ]


def _counting(started: dict[str, int], way: str) -> Callable[[threading.Thread], None]:
    real = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        started[way] += 1
        real(thread)

    return start


def _by_threads(stack: ExitStack, conninfo: str) -> dict[str, Callable[[], None]]:
    connection = stack.enter_context(psycopg.connect(conninfo, autocommit=True))
    client = stack.enter_context(Client.connect(conninfo))
    executor = stack.enter_context(Executor(conninfo, AT_ONCE))

    def by_hand() -> None:
        handle = connection.execute(_LAUNCH).fetchone()
        connection.execute(_RESULT, handle).fetchall()

    def each(job: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            for _ in range(JOBS):
                job()

        return run

    return {
        RUN_QUERY: each(lambda: connection.execute(_RUN_QUERY).fetchall()),
        LAUNCH_RESULT: each(by_hand),
        "client.run": each(lambda: client.run("SELECT 1")),
        "client.launch().result": each(lambda: client.launch("SELECT 1").result()),
        "client.submit().wait": each(lambda: client.submit("SELECT 1").wait()),
        "client.map": lambda: _exhaust(client.map("SELECT %s", range(JOBS), concurrency=AT_ONCE)),
        "Executor.map": lambda: _exhaust(executor.map("SELECT %s", range(JOBS))),
    }


def _exhaust(results: Any) -> None:
    for _ in results:
        pass


def _by_asyncio(stack: ExitStack, conninfo: str) -> dict[str, Callable[[], None]]:
    runner = asyncio.new_event_loop()
    stack.callback(runner.close)
    inner = AsyncExitStack()
    stack.callback(lambda: runner.run_until_complete(inner.aclose()))

    async def connect() -> tuple[psycopg.AsyncConnection[Any], AsyncClient[Any]]:
        connection = await psycopg.AsyncConnection.connect(conninfo, autocommit=True)
        await inner.enter_async_context(connection)
        return connection, await inner.enter_async_context(await AsyncClient.connect(conninfo))

    connection, client = runner.run_until_complete(connect())

    async def by_hand() -> None:
        cursor = await connection.execute(_LAUNCH)
        cursor = await connection.execute(_RESULT, await cursor.fetchone())
        await cursor.fetchall()

    async def gathered() -> None:
        for _ in range(0, JOBS, AT_ONCE):
            await asyncio.gather(*(client.run("SELECT 1") for _ in range(AT_ONCE)))

    def each(job: Callable[[], Awaitable[object]]) -> Callable[[], None]:
        async def run() -> None:
            for _ in range(JOBS):
                await job()

        return lambda: runner.run_until_complete(run())

    return {
        ASYNC_LAUNCH_RESULT: each(by_hand),
        "AsyncClient.run": each(lambda: client.run("SELECT 1")),
        "AsyncClient.run, gathered": lambda: runner.run_until_complete(gathered()),
    }


def table(costs: list[Cost]) -> str:
    """Return the figures as Markdown."""
    lines = [
        "| a job by | against | times as long | times the client's CPU | ms | threads for 1000 jobs |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {cost.way} | {cost.against} | {cost.ratio:.2f} | {cost.cpu_ratio:.2f} | {cost.ms:.3f}"
        f" | {cost.threads:.0f} |"
        for cost in costs
    ]
    return "\n".join(lines)


def for_bench(bench: Bench) -> Sequence[Figure]:
    """See `Section`."""
    return [
        figure
        for cost in measure(bench.hosts.warm.conninfo, bench.times(20))
        for figure in (
            Figure(cost.way, MS, {"by hand": cost.ms / cost.ratio, "client": cost.ms}, TITLE),
            Figure(f"{cost.way}, in times of by hand", RATIO, {"time": cost.ratio, "CPU": cost.cpu_ratio}),
        )
    ]


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.client", allow_abbrev=False)
    add_server_options(parser)
    parser.add_argument("--rounds", type=int, default=20, help="turns that each way takes [%(default)s]")
    parser.add_argument("--dsn", help="of a running server with the extension, instead of one of its own")
    arguments = parser.parse_args()
    try:
        if arguments.dsn:
            costs = measure(arguments.dsn, arguments.rounds)
        else:
            with hosts(chosen_installation(arguments)) as both:
                costs = measure(both.warm.conninfo, arguments.rounds)
    except ServerError as error:
        sys.exit(f"error: {error}")
    print(table(costs))


if __name__ == "__main__":
    main()
