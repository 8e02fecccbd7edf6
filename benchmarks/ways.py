"""The ways to run `SELECT 1` beside a session, and the floor: statements that do nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import psycopg

from .hosts import Hosts

#: What is timed.
LAUNCH = "launch"
LAUNCH_RESULT = "launch + result"
WAIT = "wait"

#: By which way, as in the report's columns.
FLOOR = "floor"
WARM = "warm"
COLD = "cold"
DBLINK_ASYNC = "dblink async"
DBLINK_CALL = "dblink call"
WAYS = (FLOOR, WARM, COLD, DBLINK_ASYNC, DBLINK_CALL)

#: The name of a session's connection in dblink.
_LINK = "link"


class Way(Protocol):
    """Runs one job in a session."""

    @property
    def name(self) -> str:
        """One of `WAYS`."""

    def job(self) -> Mapping[str, float]:
        """Run a job to its end; return how long the calls took, in seconds."""


class Clock:
    """Runs prepared statements and times them."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._cursor = connection.cursor()
        #: of the last statement, in seconds
        self.seconds = 0.0

    def run(self, statement: bytes, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run a statement to its last row."""
        begun = time.perf_counter()
        rows = self._cursor.execute(statement, parameters, prepare=True).fetchall()
        self.seconds = time.perf_counter() - begun
        return rows


@dataclass(frozen=True)
class Floor:
    """As many statements as a job takes, but empty ones: what the round trips cost."""

    clock: Clock
    name: str = FLOOR

    def job(self) -> Mapping[str, float]:
        """See `Way`."""
        self.clock.run(b"SELECT 1")
        first = self.clock.seconds
        self.clock.run(b"SELECT 1")
        second = self.clock.seconds
        return {LAUNCH: first, LAUNCH_RESULT: first + second, WAIT: second}


@dataclass(frozen=True)
class Background:
    """A job of pg_background; warm or cold is a matter of its server."""

    clock: Clock
    name: str

    def job(self) -> Mapping[str, float]:
        """See `Way`."""
        handle = self._launch()
        launch = self.clock.seconds
        self.clock.run(b"SELECT * FROM public.pg_background_result(%s::int4, %s::int8) AS (n int)", handle)
        result = self.clock.seconds
        handle = self._launch()
        self.clock.run(b"SELECT public.pg_background_wait(%s::int4, %s::int8, 0)", handle)
        wait = self.clock.seconds
        self.clock.run(b"SELECT public.pg_background_detach(%s::int4, %s::int8)", handle)
        return {LAUNCH: launch, LAUNCH_RESULT: launch + result, WAIT: wait}

    def _launch(self) -> tuple[Any, ...]:
        return self.clock.run(b"SELECT pid, cookie FROM public.pg_background_launch('SELECT 1'::text, 0)")[0]


@dataclass(frozen=True)
class DblinkAsync:
    """dblink_send_query and dblink_get_result, which has to be called until it gives nothing."""

    clock: Clock
    name: str = DBLINK_ASYNC

    def job(self) -> Mapping[str, float]:
        """See `Way`."""
        self.clock.run(b"SELECT dblink_send_query('link', 'SELECT 1')")
        launch = self.clock.seconds
        total = launch
        for _ in range(2):
            self.clock.run(b"SELECT * FROM dblink_get_result('link') AS (n int)")
            total += self.clock.seconds
        return {LAUNCH: launch, LAUNCH_RESULT: total}


@dataclass(frozen=True)
class DblinkCall:
    """dblink(), which blocks its session, in one statement."""

    clock: Clock
    name: str = DBLINK_CALL

    def job(self) -> Mapping[str, float]:
        """See `Way`."""
        self.clock.run(b"SELECT * FROM dblink('link', 'SELECT 1') AS (n int)")
        return {LAUNCH_RESULT: self.clock.seconds}


def all_ways(hosts: Hosts, warm: Clock, cold: Clock) -> Sequence[Way]:
    """Return every way, in two sessions: one on each server."""
    warm.run(b"SELECT dblink_connect(%s, %s)", [_LINK, hosts.warm.conninfo])
    return (Floor(warm), Background(warm, WARM), Background(cold, COLD), DblinkAsync(warm), DblinkCall(warm))
