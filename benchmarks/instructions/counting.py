"""What is counted: calls of a session, jobs of a worker, and rows on both sides.

A session's statements, a worker's job and a row are the difference between so many and twice as many of
them: what comes once, such as the mark itself, falls out. A function, such as launch(), is what callgrind has
in and below it. Each is counted several times, and the median is taken: whether a process sleeps before it is
woken, which differs from time to time, is a matter of some hundred instructions.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import psycopg

from .dumps import Dump
from .server import MARK, SETTINGS, Counted

Samples = Mapping[str, Sequence[float]]

_MARK = f"SELECT pg_catalog.{MARK}()"

#: More than the server tracks, so that it does what it does when it has run for long.
_WARM_UP = 10 * int(SETTINGS["pg_background.max_jobs"])

#: Rows of the smaller of two results, which are read at once, and how many results.
_ROWS = 1000
_RESULTS = 10
#: Both fit into it: a file is another matter.
_QUEUE_SIZE = 1 << 20


@dataclass(frozen=True)
class Effort:
    """How much is counted."""

    #: calls of the smaller half of a difference
    calls: int = 100
    repeats: int = 5


class UnsteadyError(Exception):
    """Not what was to be counted happened."""


class Session:
    """A session of the server, and the one worker that runs its jobs."""

    def __init__(self, server: Counted, connection: psycopg.Connection[Any]) -> None:
        self._server = server
        self._cursor = connection.cursor()
        self.pid = connection.info.backend_pid
        self._worker = 0

    def run(self, statement: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run a prepared statement."""
        return self._cursor.execute(statement.encode(), parameters, prepare=True).fetchall()

    def launch(self, statement: str, queue_size: int = 0) -> tuple[int, int]:
        """Launch a job and return its handle.

        Raises:
            UnsteadyError: another worker has it.
        """
        pid, cookie = self.run(
            "SELECT pid, cookie FROM public.pg_background_launch(%s::text, %s::int4)", [statement, queue_size]
        )[0]
        if self._worker not in (0, pid):
            raise UnsteadyError("a second worker took a job")
        self._worker = pid
        return pid, cookie

    def wait(self, handle: tuple[int, int]) -> None:
        """Wait for a job."""
        self.run("SELECT public.pg_background_wait(%s::int4, %s::int8)", handle)

    def beside(self) -> psycopg.Connection[Any]:
        """Open another session."""
        return psycopg.connect(self._server.dsn, autocommit=True)

    def result(self, handle: tuple[int, int]) -> None:
        """Read a job's rows."""
        self.run("SELECT count(*) FROM public.pg_background_result(%s::int4, %s::int8) AS (n int)", handle)

    def mark(self) -> None:
        """Make both processes write what they have counted."""
        self.result(self.launch(_MARK))
        self.run(_MARK)

    def stretches(self, once: Callable[[int], None], times: int) -> Iterator[tuple[Dump, Dump]]:
        """Yield what session and worker counted for so many calls, and then for twice as many."""
        self.mark()
        for count in (times, 2 * times):
            once(count)
            self.mark()
        yield from zip(self._server.dumps(self.pid, 2), self._server.dumps(self._worker, 2), strict=True)


class Gate:
    """Lets a job end only once its session sleeps in its wait: else either may be first."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._undo = ExitStack()

    def __enter__(self) -> Gate:
        self._keeper = self._undo.enter_context(self._session.beside())
        self._thread = self._undo.enter_context(ThreadPoolExecutor(1))
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def job(self, session: Session) -> None:
        """Launch a job, wait for it and read its result."""
        self._keeper.execute("SELECT pg_catalog.pg_advisory_lock(1)")
        handle = session.launch("SELECT 1 FROM pg_catalog.pg_advisory_xact_lock(1)")
        waiting = self._thread.submit(session.wait, handle)
        while not waiting.done() and not self._sleeps(session.pid):
            pass
        self._keeper.execute("SELECT pg_catalog.pg_advisory_unlock(1)")
        waiting.result()
        session.result(handle)

    def _sleeps(self, pid: int) -> bool:
        ((sleeps,),) = self._keeper.execute(
            "SELECT wait_event_type NOT IN ('Client', 'LWLock') FROM pg_catalog.pg_stat_get_activity(%s)",
            [pid],
        ).fetchall()
        return bool(sleeps)


def count(server: Counted, effort: Effort) -> Samples:
    """Count everything, and return what was found each time, by name."""
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        session = Session(server, connection)
        for _ in range(_WARM_UP):
            _launch_result(session)
        for _ in _once(session, calls=10):
            pass
        found: dict[str, list[float]] = defaultdict(list)
        for _ in range(effort.repeats):
            for name, value in _once(session, effort.calls):
                found[name].append(value)
    return found


def medians(samples: Samples) -> dict[str, int]:
    """Return one count for each name."""
    return {name: round(statistics.median(values)) for name, values in samples.items()}


def spread(samples: Samples) -> float:
    """Return by which part a count is off its median, at most."""
    return max(abs(value / statistics.median(values) - 1) for values in samples.values() for value in values)


def _once(session: Session, calls: int) -> Iterator[tuple[str, float]]:
    yield "empty statement, session", _difference(session, _empty, calls)[0]

    with Gate(session) as gate:
        *_, (jobs, _) = session.stretches(lambda n: _repeat(session, gate.job, n), calls // 4)
    for name in ("launch", "wait", "result"):
        yield f"{name}(), session", jobs.per_call(f"pgbg_{name}")

    in_session, in_worker = _difference(session, _launch_result, calls)
    yield "launch + result, session", in_session
    yield "launch + result, worker", in_worker

    in_session, in_worker = _difference(session, _run, calls)
    yield "run, session", in_session
    yield "run, worker", in_worker

    # Twice as many rows, not twice as many jobs.
    in_session, in_worker = _per_call(
        [*session.stretches(lambda n: _results(session, n), _ROWS)], _ROWS * _RESULTS
    )
    yield "row, session", in_session
    yield "row, worker", in_worker


def _difference(session: Session, call: Callable[[Session], None], calls: int) -> tuple[float, float]:
    return _per_call([*session.stretches(lambda n: _repeat(session, call, n), calls)], calls)


def _per_call(dumps: Sequence[tuple[Dump, Dump]], calls: int) -> tuple[float, float]:
    (few_session, few_worker), (many_session, many_worker) = dumps
    return (many_session.total - few_session.total) / calls, (many_worker.total - few_worker.total) / calls


def _repeat(session: Session, call: Callable[[Session], None], times: int) -> None:
    for _ in range(times):
        call(session)


def _empty(session: Session) -> None:
    session.run("SELECT 1")


def _launch_result(session: Session) -> None:
    session.result(session.launch("SELECT 1"))


def _run(session: Session) -> None:
    session.run("SELECT * FROM public.pg_background_run(%s::text)", ["SELECT 1"])


def _results(session: Session, rows: int) -> None:
    for _ in range(_RESULTS):
        handle = session.launch(f"SELECT generate_series(1, {rows})", _QUEUE_SIZE)
        session.wait(handle)
        session.result(handle)
