"""What charts are made of: points of the last hour, from the counters of a server."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..client.model import JobInfo

#: An hour of points every five seconds.
KEPT = 720

#: Quantiles are those of jobs which ended within so many points: a minute.
_WINDOW = 12

#: The sums that points are made of; an older catalogue has not all of them.
TOTALS = (
    *("launched", "completed", "failed", "canceled", "timed_out", "lost"),
    *(
        "cpu_user_ms",
        "cpu_system_ms",
        "shared_blks_read",
        "shared_blks_written",
        "temp_blks_written",
        "wal_bytes",
    ),
)

#: Kinds of waits that are told apart.
WAITS = ("CPU", "Lock", "LWLock", "IO", "Client", "IPC", "Timeout", "other")

QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}

Histogram = Sequence[tuple[float, int]]
Point = dict[str, float | None]


@dataclass
class Measured:
    """A server's counters at one moment."""

    totals: Mapping[str, float] = field(default_factory=dict)
    usage: Mapping[str, Any] = field(default_factory=dict)
    #: by metric: upper bounds in seconds, with how many jobs took at most so long
    histograms: dict[str, list[tuple[float, int]]] = field(default_factory=dict)


class Samples:
    """The points, oldest first, and the counters that the next one is compared with."""

    def __init__(self) -> None:
        self.times: deque[float] = deque(maxlen=KEPT)
        self.points: deque[Point] = deque(maxlen=KEPT)
        self._measured: deque[tuple[float, Measured]] = deque(maxlen=_WINDOW + 1)
        #: points since the beginning, also those that are forgotten
        self.count = 0

    def add(self, time: float, jobs: Sequence[JobInfo], measured: Measured) -> None:
        """Add a point."""
        if self._measured and time <= self._measured[-1][0]:
            # The server's clock was put back, or is that of another server now.
            self._measured.clear()
        point = _states(jobs)
        point.update(_use(measured.usage))
        if self._measured:
            before, earlier = self._measured[-1]
            point.update(_rates(earlier.totals, measured.totals, time - before))
            _, oldest = self._measured[0]
            for metric, prefix in (("run", "run"), ("queue_wait", "queue")):
                point.update(
                    _quantiles(prefix, oldest.histograms.get(metric), measured.histograms.get(metric))
                )
        self._measured.append((time, measured))
        self.times.append(time)
        self.points.append(point)
        self.count += 1


def _states(jobs: Sequence[JobInfo]) -> Point:
    states = Counter(job.state for job in jobs)
    waits = Counter(
        "CPU"
        if job.wait_event_type is None
        else job.wait_event_type
        if job.wait_event_type in WAITS
        else "other"
        for job in jobs
        if job.state == "running"
    )
    point: Point = {
        "running": states["running"] + states["starting"],
        "queued": states["queued"],
    }
    point.update({f"wait_{kind}": waits[kind] for kind in WAITS})
    return point


def _use(usage: Mapping[str, Any]) -> Point:
    pairs = {
        "workers": ("workers", "max_workers"),
        "entries": ("jobs", "max_jobs"),
        "memory": ("memory_bytes", "max_memory_bytes"),
        "output": ("result_bytes", "max_result_bytes"),
    }
    return {
        f"use_{name}": 100 * usage[taken] / usage[limit]
        for name, (taken, limit) in pairs.items()
        if usage.get(limit) and usage.get(taken) is not None
    }


def _rates(before: Mapping[str, float], now: Mapping[str, float], seconds: float) -> Point:
    point: Point = {}
    for name in now:
        grown = now[name] - before.get(name, now[name])
        # Counters begin anew when the server does.
        point[f"rate_{name}"] = grown / seconds if grown >= 0 else None
    return point


def _quantiles(prefix: str, before: Histogram | None, now: Histogram | None) -> Point:
    if not before or not now or len(before) != len(now):
        return {}
    buckets = [(le, jobs - earlier) for (le, jobs), (_, earlier) in zip(now, before, strict=True)]
    return {f"{prefix}_{name}": quantile(share, buckets) for name, share in QUANTILES.items()}


def quantile(share: float, buckets: Histogram) -> float | None:
    """Return the value that this share of the jobs does not exceed, as Prometheus reckons it.

    Args:
        buckets: upper bounds, with how many are at most so large; the last bound is infinite.

    Returns:
        between two bounds as if all values there were spread evenly; above the last finite one, that one.
    """
    total = buckets[-1][1] if buckets else 0
    if total <= 0 or any(jobs < 0 for _, jobs in buckets):
        return None
    wanted = share * total
    lower, below = 0.0, 0
    for upper, jobs in buckets:
        if jobs >= wanted and jobs > below:
            if upper == float("inf"):
                return lower
            return lower + (upper - lower) * (wanted - below) / (jobs - below)
        lower, below = upper, jobs
    return lower
