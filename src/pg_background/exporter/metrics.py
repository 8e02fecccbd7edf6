"""The metrics: their names, labels and words, and the columns of `queries` that they are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .queries import HISTOGRAMS, LIMITS, LIVE, RESOURCES, TOTALS, Query

PREFIX = "pg_background_"

#: Added to each metric: which of the servers it is of.
SERVER = "server"

_OWNER = ("database", "role")


@dataclass(frozen=True)
class Metric:
    """A metric; each row of its query makes one series of it, or one for each of its columns."""

    #: without what Prometheus adds for its type, as `_total`
    name: str
    type: Literal["counter", "gauge", "histogram"]
    help: str
    query: Query
    #: columns with values; of a histogram what the column `metric` says
    columns: Sequence[str]
    #: columns that are labels
    labels: Sequence[str] = ()
    #: the label that says which of several columns it is
    by: str = ""
    unit: Literal["", "seconds", "bytes"] = ""

    @property
    def sample_name(self) -> str:
        """Its name where it is written by hand."""
        return f"{self.name}_total" if self.type == "counter" else self.name


METRICS: Sequence[Metric] = (
    Metric(
        f"{PREFIX}jobs_launched",
        "counter",
        "Jobs that were launched.",
        TOTALS,
        ["launched"],
        _OWNER,
    ),
    Metric(
        f"{PREFIX}jobs_finished",
        "counter",
        "Jobs that have ended, by how: lost is one whose process died.",
        TOTALS,
        ["completed", "failed", "canceled", "timed_out", "lost"],
        _OWNER,
        by="outcome",
    ),
    Metric(
        f"{PREFIX}queue_wait_seconds",
        "histogram",
        "How long jobs waited for a worker process.",
        HISTOGRAMS,
        ["queue_wait"],
        _OWNER,
        unit="seconds",
    ),
    Metric(
        f"{PREFIX}run_seconds",
        "histogram",
        "How long jobs ran.",
        HISTOGRAMS,
        ["run"],
        _OWNER,
        unit="seconds",
    ),
    Metric(
        f"{PREFIX}jobs",
        "gauge",
        "Jobs that have not ended, by state.",
        LIVE,
        ["jobs"],
        (*_OWNER, "state"),
    ),
    Metric(
        f"{PREFIX}oldest_job_age_seconds",
        "gauge",
        "For how long the oldest job of a state has been queued, or has run; 0 if there is none.",
        LIVE,
        ["age"],
        (*_OWNER, "state"),
        unit="seconds",
    ),
    Metric(
        f"{PREFIX}cpu_seconds",
        "counter",
        "CPU time of jobs that have ended, without that of parallel workers.",
        RESOURCES,
        ["user", "system"],
        _OWNER,
        by="mode",
        unit="seconds",
    ),
    Metric(
        f"{PREFIX}wal_bytes",
        "counter",
        "WAL that jobs have written which have ended.",
        RESOURCES,
        ["wal_bytes"],
        _OWNER,
        unit="bytes",
    ),
    Metric(
        f"{PREFIX}temp_bytes",
        "counter",
        "What jobs that have ended wrote to temporary files, for sorts and hashes.",
        RESOURCES,
        ["temp_bytes"],
        _OWNER,
        unit="bytes",
    ),
    Metric(
        f"{PREFIX}workers",
        "gauge",
        "Worker processes, by whether they run a job or wait for one.",
        LIMITS,
        ["busy", "idle"],
        by="state",
    ),
    Metric(f"{PREFIX}workers_limit", "gauge", "How many may run jobs.", LIMITS, ["workers_limit"]),
    Metric(
        f"{PREFIX}entries",
        "gauge",
        "Entries that no launch can take: jobs that have not ended, and results that nobody has read.",
        LIMITS,
        ["entries"],
    ),
    Metric(f"{PREFIX}entries_limit", "gauge", "How many entries there are.", LIMITS, ["entries_limit"]),
    Metric(
        f"{PREFIX}memory_bytes",
        "gauge",
        "Job memory that is in use.",
        LIMITS,
        ["memory"],
        unit="bytes",
    ),
    Metric(
        f"{PREFIX}memory_limit_bytes",
        "gauge",
        "How much job memory there is.",
        LIMITS,
        ["memory_limit"],
        unit="bytes",
    ),
    Metric(
        f"{PREFIX}spill_bytes",
        "gauge",
        "Unread output of jobs that is in temporary files.",
        LIMITS,
        ["spill"],
        unit="bytes",
    ),
    Metric(
        f"{PREFIX}spill_limit_bytes",
        "gauge",
        "How much of it there may be.",
        LIMITS,
        ["spill_limit"],
        unit="bytes",
    ),
)

UP = f"{PREFIX}up"
UP_HELP = "Whether the server answered."
SCRAPE_SECONDS = f"{PREFIX}scrape_seconds"
SCRAPE_SECONDS_HELP = "How long the server took to answer."
