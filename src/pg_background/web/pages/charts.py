"""The charts."""

from __future__ import annotations

from typing import Any

from ...watching.server_source import AsyncConnection
from ..charts import CHARTS, RANGES, drawn, of_history, recent
from ..samples import Point
from ..site import Visit
from ..surface import Surface

#: For which the same points of history are shown to all who ask.
_SECONDS = 30


async def charts(visit: Visit) -> dict[str, Any]:
    """Return what is drawn, with the last values for those who can't see it drawn."""
    times, points, seen, note = await points_of(visit)
    chosen = range_of(visit)
    found = [(chart, drawn(chart, times, points)) for chart in CHARTS]
    return {
        "now": seen.now,
        "zone": seen.surface.time_zone,
        "trouble": visit.gateway.watcher.trouble,
        "ranges": RANGES,
        "range": chosen,
        "is_live": not RANGES[chosen][2],
        "charts": [
            (chart, columns) for chart, columns in found if columns is not None or not RANGES[chosen][2]
        ],
        "note": note,
        "count": visit.gateway.watcher.samples.count,
        "has_history": seen.surface.has("pg_background_history"),
    }


def range_of(visit: Visit) -> str:
    """Return which of `RANGES` the address asks for."""
    asked = visit.query.get("range", "")
    return asked if asked in RANGES else "15m"


async def points_of(visit: Visit) -> tuple[list[float], list[Point], Any, str]:
    """Return the times and points of the range, what was seen last, and what to say about them."""
    gateway = visit.gateway
    seen = await gateway.watcher.latest()
    _, seconds, step = RANGES[range_of(visit)]
    if not step:
        times, points = recent(gateway.watcher.samples, seconds)
        note = "" if len(times) > 1 else "The first points come within seconds."
        return times, points, seen, note
    if not seen.surface.has("pg_background_history"):
        note = "Charts of more than an hour are made from history, which this catalogue does not have."
        return [], [], seen, note

    async def question(connection: AsyncConnection, surface: Surface) -> tuple[list[float], list[Point]]:
        return await of_history(connection, surface, seconds, step)

    times, points = await gateway.cached(("charts", seconds), _SECONDS, lambda: gateway.ask(question))
    note = (
        ""
        if times
        else (
            f"The history of the database {seen.surface.database} has no jobs of that time: "
            "is pg_background.history on?"
        )
    )
    return times, points, seen, note
