"""Measure what grows with the jobs in the server: `python -m benchmarks.growth`.

Two servers take turns, one of them with thousands of jobs, so that whatever else the machine does meets both.
Compare the ratios: of the time of calls, and of the time for which their processes have a processor, which
other programs disturb less. `python -m benchmarks.growth queued` measures one of them. Linux only.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from pg_background.server import Installation, ServerError, TemporaryServer

from .commands import add_server_options, chosen_installation
from .context import Bench
from .figures import RATIO, Figure

TITLE = "Growth"
NOTE = "Beside many jobs, in times of what it takes without them."

Connection = psycopg.Connection[tuple[Any, ...]]
Call = Callable[[Connection], None]

TRACKED = 10_000
QUEUED = 15_000
#: Sessions that have gone, and left their jobs queued.
SESSIONS = 1_000

#: Calls in a turn: a millisecond or two.
TIMES = 10

SETTINGS = {
    "pg_background.max_jobs": "20000",
    "pg_background.reserved_jobs": "0",
    "pg_background.job_memory": "512MB",
    "pg_background.result_retention": "1d",
    # None comes or goes while it is measured.
    "pg_background.worker_idle_timeout": "1h",
    "autovacuum": "off",
}

_LAUNCH = b"SELECT pid, cookie FROM public.pg_background_launch('SELECT 1'::text, 0)"
_RESULT = b"SELECT * FROM public.pg_background_result(%s::int4, %s::int8) AS (n int)"
_RUN = b"SELECT * FROM public.pg_background_run('SELECT 1'::text)"
_VIEW = b"SELECT count(*) FROM public.pg_background_jobs"
_COPY = b"SELECT count(*) FROM (SELECT * FROM pg_temp.jobs ORDER BY queued_at, pid OFFSET 0) AS jobs"

_FOREVER = b"SELECT public.pg_background_launch('SELECT pg_catalog.pg_sleep(86400)'::text, 0)"
_QUEUE = (
    b"SELECT count(public.pg_background_start('SELECT 1', on_full => 'queue'))"
    b" FROM pg_catalog.generate_series(1, %s)"
)
_UNREAD = b"""
DO $$ BEGIN FOR i IN 1..100 LOOP
    PERFORM public.pg_background_wait(public.pg_background_launch('SELECT 1'::text, 4096));
END LOOP; END $$
"""


@dataclass(frozen=True)
class Ratios:
    """How many times as much something takes as what it is compared with."""

    name: str
    elapsed: float
    processor: float
    #: how often the keeper has woken in one call
    wakes: float


@dataclass
class Side:
    """A server, and a session in it."""

    server: TemporaryServer
    connection: Connection
    _pids: Sequence[int] = ()
    _keeper: int = 0
    _calls: int = 0
    _wakes_before: int = 0
    #: seconds of each call
    elapsed: list[float] = field(default_factory=list)
    #: nanoseconds of each turn
    processor: list[float] = field(default_factory=list)

    def warm_up(self, call: Call) -> None:
        """Let the call find everything there, and forget what was measured."""
        for _ in range(5 * TIMES):
            call(self.connection)
        titles = {pid: Path(f"/proc/{pid}/cmdline").read_text() for pid in self._children()}
        self._keeper = next(pid for pid, title in titles.items() if "pg_background keeper" in title)
        self._pids = [
            self.connection.info.backend_pid,
            *(pid for pid, title in titles.items() if "pg_background" in title),
        ]
        self._calls = 0
        self._wakes_before = self._wakes()
        self.elapsed.clear()
        self.processor.clear()

    def measure(self, call: Call, times: int) -> None:
        """Take a turn."""
        before = self._processor()
        for _ in range(times):
            began = time.perf_counter()
            call(self.connection)
            self.elapsed.append(time.perf_counter() - began)
        self.processor.append((self._processor() - before) / times)
        self._calls += times

    def wakes(self) -> float:
        """Return how often the keeper has woken in one call."""
        return (self._wakes() - self._wakes_before) / self._calls

    def _children(self) -> list[int]:
        postmaster = self.server.cluster.postmaster().pid
        return [
            int(pid) for pid in Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        ]

    def _processor(self) -> int:
        return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in self._pids)

    def _wakes(self) -> int:
        status = Path(f"/proc/{self._keeper}/status").read_text()
        found = re.search(r"^voluntary_ctxt_switches:\s*(\d+)", status, re.MULTILINE)
        return int(found[1]) if found else 0


def compare(
    name: str, one: Side, other: Side, call: Call, rounds: int, other_call: Call | None = None
) -> Ratios:
    """Return how many times as much the one takes as the other.

    Of all calls the quicker ones count, which others have not kept waiting: up to the lower quartile.
    """
    times = TIMES if other_call is None else 1
    compared = other_call or call
    one.warm_up(call)
    if other is not one:
        other.warm_up(compared)
    elapsed: list[list[float]] = [[], []]
    processor: list[list[float]] = [[], []]
    for _ in range(rounds):
        for number, (side, what) in enumerate(((one, call), (other, compared))):
            side.measure(what, times)
            elapsed[number] += side.elapsed[-times:]
            processor[number].append(side.processor[-1])
    return Ratios(
        name,
        _lower_quartile(elapsed[0]) / _lower_quartile(elapsed[1]),
        _lower_quartile(processor[0]) / _lower_quartile(processor[1]),
        one.wakes(),
    )


def _lower_quartile(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=4)[0]


# ---- what is called


def launch_and_result(connection: Connection) -> None:
    """Run a job by two calls."""
    with connection.cursor() as cursor:
        handle = cursor.execute(_LAUNCH, prepare=True).fetchone()
        cursor.execute(_RESULT, handle, prepare=True).fetchall()


def run(connection: Connection) -> None:
    """Run a job by one call."""
    connection.execute(_RUN, prepare=True).fetchall()


def view(connection: Connection) -> None:
    """Look at all jobs."""
    connection.execute(_VIEW, prepare=True).fetchall()


def view_of_table(connection: Connection) -> None:
    """Look at as many rows of a table, in the same order."""
    connection.execute(_COPY, prepare=True).fetchall()


# ---- what is there beside


def track(server: TemporaryServer, stack: ExitStack) -> None:
    """Leave results that nobody has read."""
    connection = stack.enter_context(connect(server))
    for _ in range(TRACKED // 100):
        connection.execute(_UNREAD)


def queue(server: TemporaryServer, stack: ExitStack) -> None:
    """Queue jobs of a session that runs as many as it may."""
    connection = stack.enter_context(connect(server))
    connection.execute("SET pg_background.max_workers = 1")
    connection.execute(_FOREVER)
    connection.execute(_QUEUE, [QUEUED])


def queue_by_many(server: TemporaryServer, _stack: ExitStack) -> None:
    """Queue jobs of many sessions, all gone, of a role that runs as many as it may."""
    with connect(server) as connection:
        connection.execute("CREATE ROLE crowded LOGIN SUPERUSER")
        connection.execute("ALTER ROLE crowded SET pg_background.max_role_workers = 1")
    with connect(server, user="crowded") as connection:
        connection.execute(_FOREVER)
    for _ in range(SESSIONS):
        with connect(server, user="crowded") as connection:
            connection.execute(_QUEUE, [QUEUED // SESSIONS])


@contextmanager
def connect(server: TemporaryServer, user: str = "") -> Iterator[Connection]:
    """Open a session, as superuser unless a role is named."""
    conninfo = make_conninfo(server.cluster.socket_dsn(), **({"user": user} if user else {}))
    with psycopg.connect(conninfo, autocommit=True) as connection:
        yield connection


@contextmanager
def sides(
    installation: Installation, beside: Callable[[TemporaryServer, ExitStack], None]
) -> Iterator[tuple[Side, Side]]:
    """Start two servers, the first of them with all this beside."""
    with ExitStack() as stack:
        full, empty = (
            stack.enter_context(TemporaryServer(pg_config=installation.pg_config, settings=SETTINGS))
            for _ in range(2)
        )
        beside(full, stack)
        yield (
            Side(full, stack.enter_context(connect(full))),
            Side(empty, stack.enter_context(connect(empty))),
        )


# ---- what is measured


def tracked(installation: Installation, rounds: int) -> Iterator[Ratios]:
    """Beside results that nobody has read; and the view of them, against a table of its rows."""
    with sides(installation, track) as (full, empty):
        yield compare(f"launch + result, {TRACKED} tracked", full, empty, launch_and_result, rounds)
        yield compare(f"run, {TRACKED} tracked", full, empty, run, rounds)
        full.connection.execute("CREATE TEMP TABLE jobs AS SELECT * FROM public.pg_background_jobs")
        yield compare("view of all jobs, of a table", full, full, view, min(rounds, 50), view_of_table)


def queued(installation: Installation, rounds: int) -> Iterator[Ratios]:
    """Beside jobs of one session that may not begin."""
    with sides(installation, queue) as (full, empty):
        yield compare(f"launch + result, {QUEUED} queued", full, empty, launch_and_result, rounds)
        yield compare(f"run, {QUEUED} queued", full, empty, run, rounds)


def queued_by_many(installation: Installation, rounds: int) -> Iterator[Ratios]:
    """Beside jobs of many sessions that may not begin."""
    with sides(installation, queue_by_many) as (full, empty):
        yield compare(f"launch + result, {QUEUED} of {SESSIONS}", full, empty, launch_and_result, rounds)
        yield compare(f"run, {QUEUED} of {SESSIONS}", full, empty, run, rounds)


MEASURED = {"tracked": tracked, "queued": queued, "queued-by-many": queued_by_many}


def for_bench(bench: Bench) -> Sequence[Figure]:
    """See `Section`."""
    return [
        Figure(found.name, RATIO, {"time": found.elapsed, "processor": found.processor})
        for part in (tracked, queued, queued_by_many)
        for found in part(bench.installation, bench.times(200))
    ]


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0], allow_abbrev=False)
    add_server_options(parser)
    parser.add_argument("--rounds", type=int, default=300, help="turns that each side takes [%(default)s]")
    parser.add_argument("what", nargs="*", choices=[*MEASURED, []], help="of all that can be measured [all]")
    arguments = parser.parse_args()
    try:
        installation = chosen_installation(arguments)
        print(f"{'':<34} {'elapsed':>9} {'processor':>10} {'wakes':>7}")
        for name in arguments.what or MEASURED:
            for ratios in MEASURED[name](installation, arguments.rounds):
                figures = f"{ratios.elapsed:>8.2f}x {ratios.processor:>9.2f}x {ratios.wakes:>7.2f}"
                print(f"{ratios.name:<34} {figures}", flush=True)
    except ServerError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
