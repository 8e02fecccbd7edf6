"""Many rows of several shapes, against the same rows kept in the session: a section of `make bench`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from .context import Bench
from .figures import Figure, of_rounds
from .ways import C_EXTENSION, COLD, DBLINK_CALL, DBLINK_NEW, FLOOR, WARM, Clock, host_of, measured, opened

TITLE = "Rows"
NOTE = """\
`SELECT count(*)` over a whole result, from the launch on. *floor*: the same SQL by `RETURN QUERY EXECUTE` of
a PL/pgSQL function, which keeps its rows before they are counted, as a result does."""

_ROUNDS = 15

_COLUMNS = 20


@dataclass(frozen=True)
class Shape:
    """Rows of one kind."""

    name: str
    rows: int
    #: with a place for their number
    query: str
    columns: str


SHAPES = (
    Shape("integers", 2_000_000, "SELECT generate_series(1, {rows})", "n int"),
    Shape(
        "texts of 100 bytes",
        500_000,
        "SELECT repeat(chr(65 + n % 26), 100) FROM generate_series(1, {rows}) AS n",
        "t text",
    ),
    Shape(
        f"rows of {_COLUMNS} columns",
        100_000,
        "SELECT "
        + ", ".join(f"n + {i}" if i % 2 else f"'column {i}'::text" for i in range(_COLUMNS))
        + " FROM generate_series(1, {rows}) AS n",
        ", ".join(f"c{i} {'int' if i % 2 else 'text'}" for i in range(_COLUMNS)),
    ),
)

_KEEP = b"""
CREATE FUNCTION pg_temp.kept(query text) RETURNS SETOF record LANGUAGE plpgsql
AS $$ BEGIN RETURN QUERY EXECUTE query; END $$"""


def for_bench(bench: Bench) -> Sequence[Figure]:
    """See `Section`."""
    figures: list[Figure] = []
    with ExitStack() as stack:
        counters = {
            way: _counter(bench, way, stack.enter_context(opened(bench.hosts, way)).clock)
            for way in measured(bench.hosts)
            if way in _COUNTERS
        }
        for shape in SHAPES:
            rows = bench.times(shape.rows)
            bench.say(shape.name)
            seconds = defaultdict(list)
            for _ in bench.rounds(_ROUNDS):
                for way, count in counters.items():
                    seconds[way].append(count(shape, rows))
            figures += of_rounds(f"{rows:,} {shape.name}", seconds, TITLE)
    return figures


#: Counts the rows of a shape and returns the seconds that it took.
_Count = Callable[[Shape, int], float]


def _counter(bench: Bench, way: str, clock: Clock) -> _Count:
    host = host_of(bench.hosts, way)
    if host is None:
        raise ValueError(way)
    if way == FLOOR:
        clock.run(_KEEP)
    launch, source, parameters = _COUNTERS[way]

    def count(shape: Shape, rows: int) -> float:
        query = shape.query.format(rows=rows)
        given: Sequence[object] = [{"query": query, "conninfo": host.conninfo}[name] for name in parameters]
        before = 0.0
        if launch:
            given = clock.run(launch.format(schema=host.schema).encode(), [query])[0]
            before = clock.seconds
        statement = f"SELECT count(*) FROM {source.format(schema=host.schema)} AS ({shape.columns})"
        ((counted,),) = clock.run(statement.encode(), given)
        if counted != rows:
            raise RuntimeError(f"{way}: {counted} {shape.name} instead of {rows}")
        return before + clock.seconds

    return count


_LAUNCH = "SELECT pid, cookie FROM {schema}.pg_background_launch_v2(%s::text)"
_RESULT = "{schema}.pg_background_result_v2(%s::int4, %s::int8)"

#: By way: what launches, the function in FROM, and what that is given if nothing was launched.
_COUNTERS = {
    FLOOR: ("", "pg_temp.kept(%s)", ("query",)),
    WARM: (_LAUNCH, _RESULT, ()),
    COLD: (_LAUNCH, _RESULT, ()),
    DBLINK_CALL: ("", "dblink('link', %s)", ("query",)),
    DBLINK_NEW: ("", "dblink(%s, %s)", ("conninfo", "query")),
    C_EXTENSION: (_LAUNCH, _RESULT, ()),
}
