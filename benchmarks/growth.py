"""Measure what grows with the jobs in the server: `python -m benchmarks.growth`.

Two servers take turns, one of them with thousands of jobs, so that whatever else the machine does meets both. Compare
the ratios: of the time that a call takes, and of the time that its processes have a processor, which other programs
disturb less.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from pg_background.server import Installation, ServerError, TemporaryServer

from .commands import add_server_options, chosen_installation

Connection = psycopg.Connection[tuple[Any, ...]]

TRACKED = 10_000
QUEUED = 15_000

SETTINGS = {
    "max_connections": "100",
    "pg_background.max_jobs": "20000",
    "pg_background.reserved_jobs": "0",
    "pg_background.job_memory": "512MB",
    "pg_background.max_workers": "4",
    "pg_background.result_retention": "1d",
    "pg_background.worker_idle_timeout": "1h",
}

#: Jobs that may not begin, beside which nobody else's are to be slower.
_QUEUE = (
    "SELECT count(public.pg_background_start('SELECT 1', on_full => 'queue'))"
    " FROM pg_catalog.generate_series(1, %s)"
)
_SLEEP = "SELECT public.pg_background_launch('SELECT pg_catalog.pg_sleep(86400)'::text, 0)"
_LAUNCH = "SELECT pid, cookie FROM public.pg_background_launch('SELECT 1'::text, 0)"
_RESULT = "SELECT * FROM public.pg_background_result(%s::int4, %s::int8) AS (n int)"
_RUN = "SELECT * FROM public.pg_background_run('SELECT 1'::text)"
_VIEW = "SELECT * FROM public.pg_background_jobs"


@dataclass(frozen=True)
class Ratios:
    """How many times as much something takes as what it is compared with."""

    #: of the median call's time
    elapsed: float
    #: of the processor time of all calls
    processor: float


@dataclass
class Side:
    """A server, and a session in it."""

    connection: Connection
    #: processes whose work counts: the session, its workers, the keeper
    pids: Sequence[int] = ()
    elapsed: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)

    def warm_up(self, call: Callable[[Connection], None]) -> None:
        """Let the call find everything there, and find out which processes it has."""
        for _ in range(50):
            call(self.connection)
        self.pids = [
            pid
            for (pid,) in self.connection.execute(
                "SELECT pid FROM pg_catalog.pg_stat_activity WHERE backend_type LIKE 'pg_background%'"
                " OR pid = pg_catalog.pg_backend_pid()"
            )
        ]

    def measure(self, call: Callable[[Connection], None], times: int) -> None:
        """Call it so many times."""
        began_work = self._processor_time()
        for _ in range(times):
            began = time.perf_counter()
            call(self.connection)
            self.elapsed.append(time.perf_counter() - began)
        self.processor.append((self._processor_time() - began_work) / times)

    def _processor_time(self) -> float:
        return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in self.pids)


def launch_and_result(connection: Connection) -> None:
    """Run a job by the two calls."""
    with connection.cursor() as cursor:
        handle = cursor.execute(_LAUNCH.encode(), prepare=True).fetchone()
        cursor.execute(_RESULT.encode(), handle, prepare=True).fetchall()


def run(connection: Connection) -> None:
    """Run a job by one call."""
    connection.execute(_RUN.encode(), prepare=True).fetchall()


def compare(
    one: Side,
    call: Callable[[Connection], None],
    other: Side,
    other_call: Callable[[Connection], None],
    rounds: int,
    times: int,
) -> Ratios:
    """Return how many times as much the one takes as the other."""
    for side, what in ((one, call), (other, other_call)):
        side.elapsed.clear()
        side.processor.clear()
        side.warm_up(what)
    for _ in range(rounds):
        one.measure(call, times)
        other.measure(other_call, times)
    return Ratios(
        _lower_quartile(one.elapsed) / _lower_quartile(other.elapsed),
        _lower_quartile(one.processor) / _lower_quartile(other.processor),
    )


def _lower_quartile(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=4)[0]


# ---- what is there beside


def track(server: TemporaryServer, stack: ExitStack) -> None:
    """Leave results that nobody has read."""
    connection = stack.enter_context(connect(server))
    for _ in range(TRACKED // 100):
        connection.execute(
            "SELECT public.pg_background_wait(h) FROM (SELECT public.pg_background_launch('SELECT 1'::text, 4096) AS h"
            " FROM pg_catalog.generate_series(1, 1)) AS launched"
        )
        connection.execute(
            "DO $$ BEGIN FOR i IN 1..99 LOOP"
            " PERFORM public.pg_background_wait(public.pg_background_launch('SELECT 1'::text, 4096)); END LOOP; END $$"
        )


def queue_in_session(server: TemporaryServer, stack: ExitStack) -> None:
    """Queue jobs of a session that runs as many as it may."""
    connection = stack.enter_context(connect(server))
    connection.execute("SET pg_background.max_workers = 1")
    connection.execute(_SLEEP)
    connection.execute(_QUEUE, [QUEUED])


def queue_in_many(server: TemporaryServer, stack: ExitStack) -> None:
    """Queue jobs, each of a session that is gone, of a role that runs as many as it may."""
    with connect(server) as connection:
        connection.execute(
            "CREATE ROLE crowded LOGIN SUPERUSER; ALTER ROLE crowded SET pg_background.max_role_workers = 1"
        )
    with connect(server, user="crowded") as connection:
        connection.execute(_SLEEP)
    for _ in range(1000):
        with connect(server, user="crowded") as connection:
            connection.execute(_QUEUE, [QUEUED // 1000])


@contextmanager
def connect(server: TemporaryServer, **options: str) -> Iterator[Connection]:
    """Open a session."""
    with psycopg.connect(server.cluster.socket_dsn(), autocommit=True, **options) as connection:
        yield connection


@contextmanager
def servers(
    installation: Installation, beside: Callable[[TemporaryServer, ExitStack], None]
) -> Iterator[tuple[Side, Side]]:
    """Start two, the first of them with all this beside."""
    with ExitStack() as stack:
        full, empty = (
            stack.enter_context(TemporaryServer(pg_config=installation.pg_config, settings=SETTINGS))
            for _ in range(2)
        )
        beside(full, stack)
        yield Side(stack.enter_context(connect(full))), Side(stack.enter_context(connect(empty)))


def main() -> None:
    parser = argparse.ArgumentParser()
    add_server_options(parser)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("what", nargs="*")
    arguments = parser.parse_args()
    installation = chosen_installation(arguments)
    for name, beside in (("tracked", track), ("queued", queue_in_session), ("many", queue_in_many)):
        if arguments.what and name not in arguments.what:
            continue
        began = time.time()
        with servers(installation, beside) as (full, empty):
            print(name, "set up", time.time() - began, flush=True)
            for call in (launch_and_result, run):
                for _ in range(3):
                    print(
                        name,
                        call.__name__,
                        compare(full, call, empty, call, arguments.rounds, 10),
                        statistics.median(full.elapsed) * 1e6,
                        flush=True,
                    )
            if name == "tracked":

                def view(c):
                    c.execute(_VIEW, binary=True).fetchall()

                def cview(c):
                    c.execute("SELECT count(*) FROM public.pg_background_jobs").fetchall()

                for _ in range(20):
                    view(full.connection)
                for v in (view, cview):
                    print(
                        v.__name__,
                        compare(full, v, empty, v, 40, 1),
                        statistics.median(full.elapsed) * 1e3,
                        "min",
                        min(full.elapsed) * 1e3,
                    )


if __name__ == "__main__":
    main()
