"""The charts: what is drawn in each, from the points of the last hour or from the history of jobs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql

from ..client.statements import identifier
from ..watching.server_source import AsyncConnection
from .samples import QUANTILES, WAITS, Point, Samples
from .surface import Surface

if TYPE_CHECKING:
    from typing import LiteralString

#: What is shown, by its name in addresses: the title, seconds, and for history the seconds of a point.
RANGES: Mapping[str, tuple[str, int, int]] = {
    "15m": ("15 minutes", 900, 0),
    "1h": ("1 hour", 3600, 0),
    "6h": ("6 hours", 6 * 3600, 120),
    "24h": ("24 hours", 86400, 600),
    "7d": ("7 days", 7 * 86400, 3600),
}


@dataclass(frozen=True)
class Chart:
    """A chart: its series by their names in points, with what people call them."""

    name: str
    title: str
    #: of the values: `/s`, `s`, `%`, `B/s`, or empty for numbers
    unit: str
    series: Mapping[str, str]
    #: what a point of history lacks
    in_history: bool = True
    #: series that are 0 throughout are left out
    is_sparse: bool = False
    #: what its axis ends with; 0: the largest value
    top: float = 0


CHARTS = (
    Chart(
        "rates",
        "Jobs that ended",
        "/s",
        {
            "rate_completed": "done",
            "rate_failed": "failed",
            "rate_canceled": "canceled",
            "rate_timed_out": "timed out",
            "rate_lost": "lost",
        },
    ),
    Chart("states", "Jobs now", "", {"running": "running", "queued": "queued"}, in_history=False),
    Chart("run", "Run times", "s", {f"run_{name}": name for name in QUANTILES}),
    Chart("queue", "Waits for a worker", "s", {f"queue_{name}": name for name in QUANTILES}),
    Chart(
        "use",
        "Use of limits",
        "%",
        {
            "use_workers": "workers",
            "use_entries": "entries",
            "use_memory": "job memory",
            "use_output": "output on disk",
        },
        in_history=False,
        top=100,
    ),
    Chart(
        "waits", "What running jobs wait for", "", {f"wait_{kind}": kind for kind in WAITS}, is_sparse=True
    ),
    Chart("cpu", "CPU of ended jobs", "s/s", {"rate_cpu_user_ms": "user", "rate_cpu_system_ms": "system"}),
    Chart("wal", "WAL of ended jobs", "B/s", {"rate_wal_bytes": "WAL"}),
)

#: Points that are in other units than their charts.
_FACTORS = {"rate_cpu_user_ms": 0.001, "rate_cpu_system_ms": 0.001}

_HISTORY = """
SELECT floor(extract(epoch FROM finished_at) / %(step)s) * %(step)s AS at,
       count(*) FILTER (WHERE state = 'stopped') / %(step)s::float8 AS rate_completed,
       count(*) FILTER (WHERE state = 'error') / %(step)s::float8 AS rate_failed,
       count(*) FILTER (WHERE state = 'canceled') / %(step)s::float8 AS rate_canceled,
       count(*) FILTER (WHERE state = 'timed_out') / %(step)s::float8 AS rate_timed_out,
       count(*) FILTER (WHERE state = 'lost') / %(step)s::float8 AS rate_lost,
       percentile_cont(ARRAY[0.5, 0.95, 0.99])
         WITHIN GROUP (ORDER BY extract(epoch FROM finished_at - started_at)) AS run,
       percentile_cont(ARRAY[0.5, 0.95, 0.99])
         WITHIN GROUP (ORDER BY extract(epoch FROM started_at - queued_at)) AS queue,
       coalesce(sum(cpu_user_ms), 0) / %(step)s AS rate_cpu_user_ms,
       coalesce(sum(cpu_system_ms), 0) / %(step)s AS rate_cpu_system_ms,
       (coalesce(sum(wal_bytes), 0) / %(step)s)::float8 AS rate_wal_bytes
FROM {schema}.pg_background_history
WHERE finished_at > now() - make_interval(secs => %(range)s)
GROUP BY 1 ORDER BY 1
"""

#: Samples of waits by their kind, as a share of all.
_WAITS = """
SELECT at, kind, samples / sum(samples) OVER (PARTITION BY at) FROM (
  SELECT floor(extract(epoch FROM finished_at) / %(step)s) * %(step)s AS at,
         split_part(w.key, ':', 1) AS kind, sum(w.value::float8) AS samples
  FROM {schema}.pg_background_history AS h, jsonb_each_text(h.waits) AS w
  WHERE finished_at > now() - make_interval(secs => %(range)s)
  GROUP BY 1, 2) AS found
WHERE samples > 0
"""


def drawn(chart: Chart, times: Sequence[float], points: Sequence[Point]) -> dict[str, Any] | None:
    """Return a chart for the browser: its columns, the times first; None if there is nothing in it."""
    names = [name for name in chart.series if any(point.get(name) is not None for point in points)]
    if chart.is_sparse:
        names = [name for name in names if any(point.get(name) for point in points)] or names[:1]
    if not names:
        return None
    return {
        "name": chart.name,
        "unit": chart.unit,
        "top": chart.top,
        "series": [chart.series[name] for name in names],
        "keys": names,
        # A series has its colour whether or not those before it are drawn.
        "colours": [1 + list(chart.series).index(name) for name in names],
        "data": [list(times), *[column(name, points) for name in names]],
    }


def column(name: str, points: Iterable[Point]) -> list[float | None]:
    """Return a series' values."""
    return [value_of(name, point) for point in points]


def value_of(name: str, point: Point) -> float | None:
    """Return one, in the unit of its chart, and no more exact than a chart shows."""
    value = point.get(name)
    return None if value is None else float(f"{value * _FACTORS.get(name, 1):.5g}")


def recent(samples: Samples, seconds: float) -> tuple[list[float], list[Point]]:
    """Return the last points."""
    if not samples.times:
        return [], []
    since = samples.times[-1] - seconds
    kept = [(time, point) for time, point in zip(samples.times, samples.points, strict=True) if time >= since]
    return [time for time, _ in kept], [point for _, point in kept]


async def of_history(
    connection: AsyncConnection, surface: Surface, seconds: int, step: int
) -> tuple[list[float], list[Point]]:
    """Return points of the history that is kept in the session's database."""
    given = {"range": seconds, "step": step}
    schema = identifier(surface.schema)
    points: dict[float, Point] = {}
    cursor = await connection.execute(_written(_HISTORY, schema), given)
    names = [part.name for part in cursor.description or ()]
    for values in await cursor.fetchall():
        row = dict(zip(names, values, strict=True))
        at = float(row.pop("at"))
        for metric in ("run", "queue"):
            quantiles = row.pop(metric) or [None] * len(QUANTILES)
            row.update({f"{metric}_{name}": value for name, value in zip(QUANTILES, quantiles, strict=True)})
        points[at] = {name: None if value is None else float(value) for name, value in row.items()}
    for at, kind, share in await (await connection.execute(_written(_WAITS, schema), given)).fetchall():
        point = points.get(float(at))
        if point is not None:
            name = f"wait_{kind if kind in WAITS else 'other'}"
            point[name] = (point.get(name) or 0) + float(share)
    return _without_gaps(points, step)


def _without_gaps(points: Mapping[float, Point], step: int) -> tuple[list[float], list[Point]]:
    """Return them with those between in which nothing ended: a line across would tell of what was not."""
    times: list[float] = []
    for at in points:
        while times and times[-1] + step < at:
            times.append(times[-1] + step)
        times.append(at)
    nothing: Point = {
        f"rate_{name}": 0.0 for name in ("completed", "failed", "canceled", "timed_out", "lost")
    }
    return times, [points.get(at, nothing) for at in times]


def _written(text: LiteralString, schema: sql.Composable) -> sql.Composed:
    return sql.SQL(text).format(schema=schema)
