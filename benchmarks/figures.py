"""What was measured, in a form that can be compared."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from .latency import Samples
from .ways import COLD, DBLINK_ASYNC, DBLINK_CALL, FLOOR, LAUNCH_RESULT, WARM

MS = "ms"
PER_SECOND = "/s"

#: Warm against these.
COMPARED = (FLOOR, COLD, DBLINK_ASYNC, DBLINK_CALL)

P50 = "p50"
P99 = "p99"


@dataclass(frozen=True)
class Figure:
    """One line of the report."""

    name: str
    unit: str
    #: by way
    values: dict[str, float] = field(default_factory=dict)

    def ratios(self) -> dict[str, float]:
        """Return how many times as fast warm is, against each other way."""
        warm = self.values.get(WARM)
        if warm is None:
            return {}
        return {
            way: warm / other if self.unit == PER_SECOND else other / warm
            for way in COMPARED
            if (other := self.values.get(way)) is not None
        }


def of_latencies(samples: Samples) -> list[Figure]:
    """Return the median and the 99th percentile of what was timed."""
    figures: dict[tuple[str, str], Figure] = {}
    for what, way, seconds in samples:
        for title, value in ((P50, statistics.median(seconds)), (P99, percentile(seconds, 99))):
            figure = figures.setdefault((what, title), Figure(f"{what}, {title}", MS))
            figure.values[way] = value * 1000
    return list(figures.values())


def warm_to_cold(figures: Sequence[Figure]) -> float:
    """Return what part of a cold job's time a warm one takes."""
    name = f"{LAUNCH_RESULT}, {P50}"
    values = next(figure.values for figure in figures if figure.name == name)
    return values[WARM] / values[COLD]


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the smallest value that `percent` percent of all do not exceed."""
    ordered = sorted(values)
    return ordered[-(-len(ordered) * percent // 100) - 1]
