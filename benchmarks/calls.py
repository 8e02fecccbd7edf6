"""How long each call takes in one session of psycopg: a section of `make bench`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from . import latency
from .context import Bench
from .figures import P50, P95, P99, Figure, of_latencies
from .ways import measured, opened

TITLE = "Calls of one session"
NOTE = """\
`SELECT 1` as a job. *launch + result* are two statements, as *floor* is there; *run* and *run_query* are
one."""

_ROUNDS = 20


def for_bench(bench: Bench) -> Sequence[Figure]:
    """See `Section`."""
    with ExitStack() as stack:
        ways = [stack.enter_context(opened(bench.hosts, way)) for way in measured(bench.hosts)]
        rounds = [latency.measure_round(ways) for _ in bench.rounds(_ROUNDS)]
    return of_latencies(rounds, (P50, P95, P99), chart=TITLE)
