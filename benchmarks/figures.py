"""What was measured, in a form that can be compared."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .latency import Samples, together
from .ways import COLD, LAUNCH_RESULT, WARM, WAYS

MS = "ms"
PER_SECOND = "/s"
KB = "kB"
#: of ratios
RATIO = "times"

#: Warm against these, in `make bench-quick`.
COMPARED = tuple(way for way in WAYS if way != WARM)

P50 = "p50"
P95 = "p95"
P99 = "p99"


@dataclass(frozen=True)
class Figure:
    """One line of the report."""

    name: str
    unit: str
    #: by way, or whatever a section compares
    values: dict[str, float] = field(default_factory=dict)
    #: those of one group are in one chart
    chart: str = ""
    #: where on the chart's axis, if it is one of lines
    x: float | None = None
    #: by way, what each round has found, if it was measured in rounds
    rounds: dict[str, list[float]] = field(default_factory=dict)

    def times(self) -> dict[str, float]:
        """Return what warm is in times of each other way: of rounds, the median of theirs.

        A round's figures are of the same moment, in which the machine does the same beside.
        """
        rounds = self.rounds or {way: [value] for way, value in self.values.items()}
        return {
            way: statistics.median(warm / other for warm, other in zip(rounds[WARM], others, strict=True))
            for way, others in rounds.items()
            if WARM in rounds and way != WARM and min(*rounds[WARM], *others) > 0
        }

    def ratios(self) -> dict[str, float]:
        """Return how many times as fast warm is, against each other way."""
        return {way: times if self.unit == PER_SECOND else 1 / times for way, times in self.times().items()}


def of_latencies(
    rounds: Sequence[Samples], titles: Sequence[str] = (P50, P99), chart: str = ""
) -> list[Figure]:
    """Return percentiles of what was timed, in all rounds together and in each."""
    figures: dict[tuple[str, str], Figure] = {}
    for what, way, seconds in together(rounds):
        for title in titles:
            in_chart = f"{chart}, {title}" if chart else ""
            figure = figures.setdefault((what, title), Figure(f"{what}, {title}", MS, chart=in_chart))
            figure.values[way] = 1000 * quantile(seconds, title)
            figure.rounds[way] = [1000 * quantile(samples.of(what, way), title) for samples in rounds]
    return list(figures.values())


def of_rounds(name: str, seconds: Mapping[str, Sequence[float]], chart: str) -> list[Figure]:
    """Return the median of what was timed once a round, and the best, which other work has met least."""
    rounds = {way: [1000 * second for second in taken] for way, taken in seconds.items()}
    middle = {way: statistics.median(taken) for way, taken in rounds.items()}
    return [
        Figure(f"{name}, p50", MS, middle, chart, rounds=rounds),
        Figure(f"{name}, best", MS, {way: min(taken) for way, taken in rounds.items()}),
    ]


def quantile(values: Sequence[float], title: str) -> float:
    """Return the percentile of this title."""
    return statistics.median(values) if title == P50 else percentile(values, int(title[1:]))


def warm_to_cold(figures: Sequence[Figure]) -> float:
    """Return what part of a cold job's time a warm one takes."""
    name = f"{LAUNCH_RESULT}, {P50}"
    values = next(figure.values for figure in figures if figure.name == name)
    return values[WARM] / values[COLD]


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the smallest value that `percent` percent of all do not exceed."""
    ordered = sorted(values)
    return ordered[-(-len(ordered) * percent // 100) - 1]
