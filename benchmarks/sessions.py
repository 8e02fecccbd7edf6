"""Jobs per second and their latency with 1 to 16 sessions: a section of `make bench`."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial

from .context import Bench
from .crowd import crowd
from .figures import MS, P50, P95, P99, PER_SECOND, Figure, quantile
from .throughput import Run, run_pgbench
from .ways import measured

TITLE = "Sessions at once"
NOTE = """\
Launch and result of `SELECT 1`, over and over, one job of a session at a time; *floor* are two empty
statements. The sessions of pgbench take less of the machine than those of psycopg, each of which is a
process."""

_SESSIONS = (1, 2, 4, 8, 16)
#: To try it.
_FEW_SESSIONS = (1, 4)
_ROUNDS = 5
_SECONDS = 2

#: What is measured, by sessions and way.
_Runs = dict[tuple[int, str], list[Run]]


def for_bench(bench: Bench) -> Sequence[Figure]:
    """See `Section`."""
    figures = _by_psycopg(bench)
    if bench.hosts.warm.pgbench is None:
        bench.notes.append("There is no pgbench, neither the server's own nor another.")
        return figures
    return [*figures, *_by_pgbench(bench)]


def _sessions(bench: Bench) -> Sequence[int]:
    return _SESSIONS if bench.scale >= 0.1 else _FEW_SESSIONS


def _by_psycopg(bench: Bench) -> list[Figure]:
    runs: _Runs = defaultdict(list)
    seconds = max(0.1, _SECONDS * bench.scale)
    for sessions in _sessions(bench):
        # Once for all ways: a process takes longer to start than anything here.
        with crowd(sessions) as processes:
            _take_turns(bench, runs, sessions, partial(processes.run, bench.hosts, seconds=seconds))
    return _figures("psycopg", runs)


def _by_pgbench(bench: Bench) -> list[Figure]:
    runs: _Runs = defaultdict(list)
    seconds = bench.times(_SECONDS)
    for sessions in _sessions(bench):
        run = partial(run_pgbench, bench.hosts, sessions=sessions, seconds=seconds, logged=True)
        _take_turns(bench, runs, sessions, run)
    return _figures("pgbench", runs)


def _take_turns(bench: Bench, runs: _Runs, sessions: int, run: Callable[[str], Run]) -> None:
    for number in bench.rounds(_ROUNDS):
        bench.say(f"{sessions} sessions, round {number + 1}")
        for way in measured(bench.hosts):
            runs[sessions, way].append(run(way))


def _figures(program: str, runs: _Runs) -> list[Figure]:
    figures: dict[str, Figure] = {}

    def note(what: str, unit: str, sessions: int, way: str, value: float, rounds: list[float]) -> None:
        name = f"{program}, {sessions} session{'s' * (sessions > 1)}, {what}"
        figure = figures.setdefault(name, Figure(name, unit, chart=f"{program}, {what}", x=sessions))
        figure.values[way] = value
        figure.rounds[way] = rounds

    for (sessions, way), taken in runs.items():
        speeds = [run.per_second for run in taken]
        note("jobs a second", PER_SECOND, sessions, way, statistics.median(speeds), speeds)
        latencies = [seconds for run in taken for seconds in run.latencies]
        for title in (P50, P95, P99):
            rounds = [1000 * quantile(run.latencies, title) for run in taken]
            note(title, MS, sessions, way, 1000 * quantile(latencies, title), rounds)
    return list(figures.values())
