"""What charts are made of: rates, quantiles and shares, from counters that may begin anew."""

from __future__ import annotations

import math

import pytest

from pg_background.web.charts import CHARTS, drawn, recent
from pg_background.web.samples import KEPT, Measured, Samples, quantile

from ..support.screens import job

INF = math.inf


def test_quantile() -> None:
    buckets = [(1.0, 10), (2.0, 20), (4.0, 20), (INF, 20)]
    assert quantile(0.5, buckets) == 1.0
    assert quantile(0.75, buckets) == 1.5
    assert quantile(1.0, buckets) == 2.0
    assert quantile(0.25, buckets) == 0.5
    # No better than the last bound that there is.
    assert quantile(0.99, [(1.0, 0), (INF, 5)]) == 1.0
    assert quantile(0.5, [(1.0, 0), (INF, 0)]) is None
    assert quantile(0.5, []) is None
    # Of counters that have begun anew.
    assert quantile(0.5, [(1.0, -3), (INF, 2)]) is None


def measured(launched: float, run: list[int], workers: int = 4) -> Measured:
    """Return counters."""
    bounds = (0.1, 1.0, INF)
    return Measured(
        totals={"launched": launched, "completed": launched, "wal_bytes": 100 * launched},
        usage={"workers": workers, "max_workers": 16, "jobs": 1, "max_jobs": None},
        histograms={"run": list(zip(bounds, run, strict=True)), "queue_wait": []},
    )


def test_points() -> None:
    samples = Samples()
    samples.add(100, [job(1, "running"), job(2, "queued"), job(3, "stopped")], measured(0, [0, 0, 0]))
    samples.add(105, [], measured(10, [0, 10, 10], workers=8))
    first, second = samples.points
    assert (first["running"], first["queued"], first["wait_CPU"]) == (1, 1, 1)
    assert "rate_launched" not in first
    assert (second["rate_launched"], second["rate_wal_bytes"]) == (2, 200)
    assert second["run_p50"] == pytest.approx(0.55)
    assert second["use_workers"] == 50
    # There is no such limit.
    assert "use_entries" not in second
    assert "queue_p50" not in second


def test_a_server_that_was_restarted() -> None:
    samples = Samples()
    samples.add(100, [], measured(50, [0, 50, 50]))
    samples.add(105, [], measured(2, [0, 2, 2]))
    assert samples.points[-1]["rate_launched"] is None
    assert samples.points[-1]["run_p50"] is None
    # Its clock was put back.
    samples.add(50, [], measured(3, [0, 3, 3]))
    assert "rate_launched" not in samples.points[-1]


def test_bounded() -> None:
    samples = Samples()
    for n in range(2 * KEPT):
        samples.add(5.0 * n, [], measured(n, [0, n, n]))
    assert len(samples.points) == len(samples.times) == KEPT
    assert samples.count == 2 * KEPT
    times, points = recent(samples, 60)
    assert len(times) == len(points) == 13


def test_drawn() -> None:
    samples = Samples()
    samples.add(100, [], measured(0, [0, 0, 0]))
    samples.add(105, [job(1, "running", wait_event_type="Lock")], measured(5, [5, 5, 5]))
    times, points = recent(samples, 900)
    charts = {chart.name: drawn(chart, times, points) for chart in CHARTS}
    rates = charts["rates"]
    assert rates is not None
    assert (rates["series"], rates["data"]) == (["done"], [[100, 105], [None, 1.0]])
    waits = charts["waits"]
    assert waits is not None
    # Kinds that nothing waits for are left out, and the others keep their colours.
    assert (waits["series"], waits["colours"]) == (["Lock"], [2])
    assert charts["queue"] is None
