"""Metrics of answers that are made up."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from prometheus_client.exposition import choose_encoder, generate_latest

from pg_background.exporter.families import families
from pg_background.exporter.gathering import Collected
from pg_background.exporter.labels import Labels
from pg_background.exporter.metrics import METRICS, PREFIX
from pg_background.exporter.watched import Answer

from ..support.metrics import Samples

OWNER = {"database": "shop", "role": "app", "since": 1.7e9}

ROWS: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "totals": [
        {**OWNER, "launched": 9, "completed": 4, "failed": 2, "canceled": 1, "timed_out": 1, "lost": 0},
    ],
    "resources": [{**OWNER, "user": 1.5, "system": 0.25, "wal_bytes": 4096, "temp_bytes": 8192}],
    "histograms": [
        {**OWNER, "metric": "run", "le": [0.001, 1, math.inf], "jobs": [1, 6, 8], "seconds": 12.5},
        {**OWNER, "metric": "queue_wait", "le": [0.001, 1, math.inf], "jobs": [8, 8, 8], "seconds": 0.5},
    ],
    "live": [{"database": "shop", "role": "app", "state": "running", "jobs": 1, "age": 7.5}],
    "limits": [
        {
            "busy": 1,
            "idle": 2,
            "workers_limit": 5,
            "entries": 3,
            "entries_limit": 1024,
            "memory": 1000,
            "memory_limit": 2000,
            "spill": 0,
            "spill_limit": None,
        }
    ],
}


def samples(*answers: Answer, by_label: bool = False) -> Samples:
    """Return what is written as OpenMetrics, which is the stricter form."""
    found = Collected(families(answers, by_label=by_label))
    Samples(generate_latest(found).decode())
    encode, _ = choose_encoder("application/openmetrics-text; version=1.0.0")
    return Samples(encode(found).decode(), openmetrics=True)


def test_counters_are_counters_and_tell_when_they_began() -> None:
    found = samples(Answer("db1", 0.1, ROWS))
    types = {family.name: family.type for family in found.families}
    assert types["pg_background_jobs_finished"] == types["pg_background_cpu_seconds"] == "counter"
    assert found.value("pg_background_jobs_launched_total", server="db1", database="shop", role="app") == 9
    assert found.value("pg_background_jobs_launched_created") == 1.7e9
    outcomes = {
        labels[0][1]: value
        for labels, value in found.of(
            "pg_background_jobs_finished_total", server="db1", database="shop", role="app"
        ).items()
    }
    assert outcomes == {"completed": 4, "failed": 2, "canceled": 1, "timed_out": 1, "lost": 0}
    assert len(found.of("pg_background_jobs_finished_created")) == 5
    assert found.value("pg_background_cpu_seconds_total", mode="user") == 1.5
    assert found.value("pg_background_cpu_seconds_total", mode="system") == 0.25
    assert found.value("pg_background_wal_bytes_total") == 4096
    assert found.value("pg_background_temp_bytes_total") == 8192


def test_histograms() -> None:
    found = samples(Answer("db1", 0.1, ROWS))
    assert found.value("pg_background_run_seconds_sum") == 12.5
    assert found.value("pg_background_run_seconds_count") == 8
    assert found.value("pg_background_run_seconds_created") == 1.7e9
    buckets = found.of("pg_background_run_seconds_bucket", server="db1", database="shop", role="app")
    assert buckets == {(("le", "0.001"),): 1, (("le", "1.0"),): 6, (("le", "+Inf"),): 8}
    assert found.value("pg_background_queue_wait_seconds_sum") == 0.5


def test_gauges_of_limits() -> None:
    found = samples(Answer("db1", 0.1, ROWS))
    assert found.of("pg_background_workers", server="db1") == {
        (("state", "busy"),): 1,
        (("state", "idle"),): 2,
    }
    assert found.value("pg_background_workers_limit") == 5
    assert found.value("pg_background_entries") == 3
    assert found.value("pg_background_memory_limit_bytes") == 2000
    # What has no limit has none.
    assert "pg_background_spill_limit_bytes" not in found.names()


def test_states_without_jobs_are_0() -> None:
    found = samples(Answer("db1", 0.1, ROWS))
    for name, running in (("pg_background_jobs", 1), ("pg_background_oldest_job_age_seconds", 7.5)):
        assert found.of(name, server="db1", database="shop", role="app") == {
            (("state", "queued"),): 0,
            (("state", "starting"),): 0,
            (("state", "running"),): running,
        }


def test_a_server_that_is_down_has_only_that() -> None:
    found = samples(Answer("db1", 0.1, ROWS), Answer("db2", 5.0, failure="no answer"))
    assert found.of("pg_background_up") == {(("server", "db1"),): 1, (("server", "db2"),): 0}
    assert found.value("pg_background_scrape_seconds", server="db2") == 5
    assert {sample.name for sample in found.all if sample.labels["server"] == "db2"} == {
        "pg_background_up",
        "pg_background_scrape_seconds",
    }


def test_an_earlier_version_has_less() -> None:
    rows = {name: found for name, found in ROWS.items() if name in ("totals", "live")}
    found = samples(Answer("db1", 0.1, rows))
    assert found.value("pg_background_jobs_launched_total") == 9
    assert not any("run_seconds" in name or "cpu" in name or "limit" in name for name in found.names())


def test_labels() -> None:
    live = [
        {"database": "shop", "role": "app", "state": "running", "label": "import-*", "jobs": 3, "age": 9.0},
        {"database": "shop", "role": "app", "state": "running", "label": "", "jobs": 2, "age": 1.0},
    ]
    found = samples(Answer("db1", 0.1, {**ROWS, "live": live}), by_label=True)
    assert found.value("pg_background_jobs", label="import-*", state="running") == 3
    assert found.value("pg_background_jobs", label="", state="running") == 2
    assert found.value("pg_background_jobs", label="", state="queued") == 0
    # Totals are not by label.
    assert all("label" not in sample.labels for sample in found.all if sample.name.endswith("_total"))


def test_names_may_have_any_characters() -> None:
    name = 'My "shop"\\\n\N{SNOWMAN}'
    totals = [{**ROWS["totals"][0], "database": name}]
    found = samples(Answer(name, 0.1, {**ROWS, "totals": totals}))
    assert found.value("pg_background_jobs_launched_total", database=name, server=name) == 9


@pytest.mark.parametrize(
    ("glob", "like"),
    [("import-*", "import-%"), ("job?", "job_"), ("50%_*\\", "50\\%\\_%\\\\"), ("plain", "plain")],
)
def test_patterns_of_labels(glob: str, like: str) -> None:
    assert Labels([glob]).parameters == {"names": [glob], "patterns": [like]}


def test_names_are_as_prometheus_has_them() -> None:
    for metric in METRICS:
        assert metric.name.startswith(PREFIX)
        assert metric.unit == "" or metric.name.endswith(metric.unit)
        assert not re.search(r"_(total|count|sum|bucket|created)$", metric.name)
        # They stand between quotes in the files for others.
        assert metric.help.endswith(".")
        assert "'" not in metric.help
