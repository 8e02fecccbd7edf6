"""The list of jobs."""

from __future__ import annotations

from typing import Any

from ..filters import SIZES, STATES, Filter, listed
from ..site import Visit


async def jobs(visit: Visit) -> dict[str, Any]:
    """Return the page of jobs that the address asks for."""
    watcher = visit.gateway.watcher
    seen = await watcher.latest()
    wanted = Filter.of(visit.query)
    found = listed(seen.jobs, seen.now, wanted)
    live = sum(found.counts.get(state, 0) for state in ("queued", "starting", "running"))
    known = sum(number for state, number in found.counts.items() if state is not None)
    return {
        "now": seen.now,
        "zone": seen.surface.time_zone,
        "trouble": watcher.trouble,
        "jobs": found.jobs,
        "listed": found,
        "wanted": wanted,
        "states": [state for state in STATES if found.counts.get(state) or state == wanted.state],
        "all": sum(found.counts.values()),
        "live": live,
        "ended": known - live,
        "sizes": SIZES,
    }
