"""The ways to run `SELECT 1` beside a session, and the floor: statements that do nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import psycopg

from .hosts import Host, Hosts

#: What is timed.
LAUNCH = "launch"
LAUNCH_RESULT = "launch + result"
WAIT = "wait"
RUN = "run"
RUN_QUERY = "run_query"

#: By which way, as in the report's columns.
FLOOR = "floor"
WARM = "warm"
COLD = "cold"
DBLINK_ASYNC = "dblink async"
DBLINK_CALL = "dblink call"
WAYS = (FLOOR, WARM, COLD, DBLINK_ASYNC, DBLINK_CALL)
#: Measured by `make bench` alone.
DBLINK_NEW = "dblink new"
C_EXTENSION = "C extension"
ALL_WAYS = (*WAYS, DBLINK_NEW, C_EXTENSION)

#: The name of a session's connection in dblink.
_LINK = "link"


#: Runs one job to its end; returns how long its calls took, in seconds.
Turn = Callable[[], Mapping[str, float]]


class Way(Protocol):
    """Runs one job in a session."""

    @property
    def name(self) -> str:
        """One of `ALL_WAYS`."""

    @property
    def clock(self) -> Clock:
        """What its session's statements are timed by."""

    def turns(self) -> Sequence[Turn]:
        """Return what it can do with one job, each to be repeated by itself."""

    def launch_result(self) -> float:
        """Run one job to its last row; return how long that took, in seconds."""


class Clock:
    """Runs prepared statements and times them."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._cursor = connection.cursor()
        #: of the last statement, in seconds
        self.seconds = 0.0

    def run(self, statement: bytes, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run a statement to its last row."""
        begun = time.perf_counter()
        cursor = self._cursor.execute(statement, parameters, prepare=True)
        rows = cursor.fetchall() if cursor.description else []
        self.seconds = time.perf_counter() - begun
        return rows


@dataclass(frozen=True)
class Floor:
    """As many statements as a job takes, but empty ones: what the round trips cost."""

    clock: Clock
    name: str = FLOOR

    def turns(self) -> Sequence[Turn]:
        """See `Way`."""
        return (self._two_statements,)

    def _two_statements(self) -> Mapping[str, float]:
        first, second = self._empty(), self._empty()
        return {LAUNCH: first, LAUNCH_RESULT: first + second, WAIT: second, RUN: first, RUN_QUERY: second}

    def launch_result(self) -> float:
        """See `Way`."""
        return self._empty() + self._empty()

    def _empty(self) -> float:
        self.clock.run(b"SELECT 1")
        return self.clock.seconds


@dataclass(frozen=True)
class Background:
    """A job of pg_background; warm or cold is a matter of its server."""

    clock: Clock
    name: str

    def turns(self) -> Sequence[Turn]:
        """See `Way`."""
        return (self._result, self._wait, self._run, self._run_query)

    def _result(self) -> Mapping[str, float]:
        launch, launch_result = self._launch_result()
        return {LAUNCH: launch, LAUNCH_RESULT: launch_result}

    def _wait(self) -> Mapping[str, float]:
        handle = self._launch()
        self.clock.run(b"SELECT public.pg_background_wait(%s::int4, %s::int8, 0)", handle)
        wait = self.clock.seconds
        self.clock.run(b"SELECT public.pg_background_detach(%s::int4, %s::int8)", handle)
        return {WAIT: wait}

    def _run(self) -> Mapping[str, float]:
        self.clock.run(b"SELECT * FROM public.pg_background_run('SELECT 1'::text)")
        return {RUN: self.clock.seconds}

    def _run_query(self) -> Mapping[str, float]:
        self.clock.run(
            b"SELECT * FROM public.pg_background_run_query('SELECT 1'::text, col_def => 'n int') AS (n int)"
        )
        return {RUN_QUERY: self.clock.seconds}

    def launch_result(self) -> float:
        """See `Way`."""
        return self._launch_result()[1]

    def _launch_result(self) -> tuple[float, float]:
        handle = self._launch()
        launch = self.clock.seconds
        self.clock.run(b"SELECT * FROM public.pg_background_result(%s::int4, %s::int8) AS (n int)", handle)
        return launch, launch + self.clock.seconds

    def _launch(self) -> tuple[Any, ...]:
        return self.clock.run(b"SELECT pid, cookie FROM public.pg_background_launch('SELECT 1'::text, 0)")[0]


@dataclass(frozen=True)
class DblinkAsync:
    """dblink_send_query and dblink_get_result, which has to be called until it gives nothing."""

    clock: Clock
    name: str = DBLINK_ASYNC

    def turns(self) -> Sequence[Turn]:
        """See `Way`."""
        return (self._result,)

    def _result(self) -> Mapping[str, float]:
        launch, launch_result = self._launch_result()
        return {LAUNCH: launch, LAUNCH_RESULT: launch_result}

    def launch_result(self) -> float:
        """See `Way`."""
        return self._launch_result()[1]

    def _launch_result(self) -> tuple[float, float]:
        self.clock.run(b"SELECT dblink_send_query('link', 'SELECT 1')")
        launch = self.clock.seconds
        total = launch
        for _ in range(2):
            self.clock.run(b"SELECT * FROM dblink_get_result('link') AS (n int)")
            total += self.clock.seconds
        return launch, total


@dataclass(frozen=True)
class DblinkCall:
    """dblink(), which blocks its session, in one statement."""

    clock: Clock
    name: str = DBLINK_CALL

    def turns(self) -> Sequence[Turn]:
        """See `Way`."""
        return (self._call,)

    def _call(self) -> Mapping[str, float]:
        seconds = self.launch_result()
        return {LAUNCH_RESULT: seconds, RUN: seconds, RUN_QUERY: seconds}

    def launch_result(self) -> float:
        """See `Way`."""
        self.clock.run(b"SELECT * FROM dblink('link', 'SELECT 1') AS (n int)")
        return self.clock.seconds


@dataclass(frozen=True)
class DblinkNew:
    """dblink() with a new connection each time."""

    clock: Clock
    conninfo: str
    name: str = DBLINK_NEW

    def turns(self) -> Sequence[Turn]:
        """See `Way`."""
        return (self._call,)

    def _call(self) -> Mapping[str, float]:
        seconds = self.launch_result()
        return {LAUNCH_RESULT: seconds, RUN: seconds, RUN_QUERY: seconds}

    def launch_result(self) -> float:
        """See `Way`."""
        self.clock.run(b"SELECT * FROM dblink(%s, 'SELECT 1') AS (n int)", [self.conninfo])
        return self.clock.seconds


@dataclass(frozen=True)
class CExtension:
    """The C extension, by the names that 1.8 and 2.0 have."""

    clock: Clock
    host: Host
    name: str = C_EXTENSION

    def turns(self) -> Sequence[Turn]:
        """See `Way`."""
        one_statement = () if self.host.version.startswith("1.") else (self._run, self._run_query)
        return (self._result, self._wait, *one_statement)

    def _result(self) -> Mapping[str, float]:
        launch, launch_result = self._launch_result()
        return {LAUNCH: launch, LAUNCH_RESULT: launch_result}

    def _wait(self) -> Mapping[str, float]:
        handle = self._launch()
        self._call("SELECT {}.pg_background_wait_v2(%s::int4, %s::int8)", handle)
        wait = self.clock.seconds
        self._call("SELECT {}.pg_background_detach_v2(%s::int4, %s::int8)", handle)
        return {WAIT: wait}

    def _run(self) -> Mapping[str, float]:
        self._call("SELECT * FROM {}.pg_background_run_v2('SELECT 1'::text)")
        return {RUN: self.clock.seconds}

    def _run_query(self) -> Mapping[str, float]:
        self._call("SELECT * FROM {}.pg_background_run_query_v2('SELECT 1', col_def => 'n int') AS (n int)")
        return {RUN_QUERY: self.clock.seconds}

    def launch_result(self) -> float:
        """See `Way`."""
        return self._launch_result()[1]

    def _launch_result(self) -> tuple[float, float]:
        handle = self._launch()
        launch = self.clock.seconds
        self._call("SELECT * FROM {}.pg_background_result_v2(%s::int4, %s::int8) AS (n int)", handle)
        return launch, launch + self.clock.seconds

    def _launch(self) -> tuple[Any, ...]:
        return self._call("SELECT pid, cookie FROM {}.pg_background_launch_v2('SELECT 1'::text)")[0]

    def _call(self, statement: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        return self.clock.run(statement.format(self.host.schema).encode(), parameters)


def host_of(hosts: Hosts, way: str) -> Host | None:
    """Return where a way's sessions are, if there is such a server."""
    if way == C_EXTENSION:
        return hosts.c
    return hosts.cold if way == COLD else hosts.warm


def measured(hosts: Hosts) -> Sequence[str]:
    """Return all ways that there are servers for."""
    return [way for way in ALL_WAYS if host_of(hosts, way) is not None]


@contextmanager
def opened(hosts: Hosts, way: str) -> Iterator[Way]:
    """Open a session that runs jobs by this way.

    Raises:
        ValueError: there is no such way, or no server for it.
    """
    host = host_of(hosts, way)
    if host is None:
        raise ValueError(f"no server for {way}")
    with host.connect() as connection:
        clock = Clock(connection)
        if way in (DBLINK_ASYNC, DBLINK_CALL):
            clock.run(b"SELECT dblink_connect(%s, %s)", [_LINK, host.conninfo])
        ways: Mapping[str, Way] = {
            FLOOR: Floor(clock),
            WARM: Background(clock, WARM),
            COLD: Background(clock, COLD),
            DBLINK_ASYNC: DblinkAsync(clock),
            DBLINK_CALL: DblinkCall(clock),
            DBLINK_NEW: DblinkNew(clock, host.conninfo),
            C_EXTENSION: CExtension(clock, host),
        }
        yield ways[way]
