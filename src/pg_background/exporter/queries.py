"""What a server is asked: the exporter, sql_exporter and CloudNativePG ask the same.

The text stands under a search_path that finds `pg_catalog` first; `{schema}` is the extension's. Names are
texts, empty where the server has none any more. What has the same names is summed, as all that was dropped:
two series can't have the same labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..client.functions import call

if TYPE_CHECKING:
    from typing import LiteralString


@dataclass(frozen=True)
class Query:
    """A query, whose rows are asked for by the names of their columns."""

    name: str
    text: LiteralString
    #: a view and its column that came last, which earlier versions of the extension don't have
    needs: tuple[str, str]


_NAMES: LiteralString = "COALESCE({0}.database::text, '') AS database, COALESCE({0}.role::text, '') AS role"

_SINCE: LiteralString = "EXTRACT(EPOCH FROM min(t.since))::float8 AS since"

TOTALS = Query(
    "totals",
    f"""
SELECT {_NAMES.replace("{0}", "t")},
       sum(t.launched)::float8 AS launched, sum(t.completed)::float8 AS completed,
       sum(t.failed)::float8 AS failed, sum(t.canceled)::float8 AS canceled,
       sum(t.timed_out)::float8 AS timed_out, sum(t.lost)::float8 AS lost,
       {_SINCE}
FROM {{schema}}.pg_background_totals AS t
GROUP BY 1, 2
""",
    ("pg_background_totals", "lost"),
)

RESOURCES = Query(
    "resources",
    f"""
SELECT {_NAMES.replace("{0}", "t")},
       sum(t.cpu_user_ms) / 1000 AS "user", sum(t.cpu_system_ms) / 1000 AS "system",
       sum(t.wal_bytes)::float8 AS wal_bytes,
       sum(t.temp_blks_written)::float8 * current_setting('block_size')::float8 AS temp_bytes,
       {_SINCE}
FROM {{schema}}.pg_background_totals AS t
GROUP BY 1, 2
""",
    ("pg_background_totals", "wal_bytes"),
)

#: A row for each histogram: the buckets' upper bounds, and how many jobs were not above them.
HISTOGRAMS = Query(
    "histograms",
    f"""
SELECT b.database, b.role, b.metric,
       array_agg(b.le ORDER BY b.le) AS le, array_agg(b.jobs ORDER BY b.le) AS jobs,
       min(CASE b.metric WHEN 'run' THEN s.run ELSE s.queue_wait END) AS seconds, min(s.since) AS since
FROM (
  SELECT {_NAMES.replace("{0}", "h")},
         h.metric, h.le, sum(h.jobs)::float8 AS jobs
  FROM {{schema}}.pg_background_histograms AS h
  GROUP BY 1, 2, 3, 4
) AS b
JOIN (
  SELECT {_NAMES.replace("{0}", "t")},
         sum(t.execution_ms) / 1000 AS run, sum(t.queue_ms) / 1000 AS queue_wait,
         {_SINCE}
  FROM {{schema}}.pg_background_totals AS t
  GROUP BY 1, 2
) AS s ON s.database = b.database AND s.role = b.role
GROUP BY 1, 2, 3
""",
    ("pg_background_histograms", "le"),
)

#: Of jobs that have not ended; `{label}` is what they have in common beside these.
_LIVE: LiteralString = f"""
SELECT {_NAMES.replace("{0}", "j")},
       j.state,{{label}} count(*)::float8 AS jobs,
       GREATEST(EXTRACT(EPOCH FROM clock_timestamp() - min(COALESCE(j.started_at, j.queued_at))), 0)::float8
         AS age
FROM {{schema}}.pg_background_jobs AS j
WHERE j.state IN ('queued', 'starting', 'running')
GROUP BY {{groups}}
"""

LIVE = Query(
    "live",
    _LIVE.replace("{label}", "").replace("{groups}", "1, 2, 3"),
    ("pg_background_jobs", "queued_at"),
)

#: The first of the patterns that a job's label matches stands for it; patterns are parameters.
LIVE_BY_LABEL = Query(
    "live",
    _LIVE.replace(
        "{label}",
        """ COALESCE((
         SELECT p.name
         FROM unnest(%(names)s::text[], %(patterns)s::text[]) WITH ORDINALITY AS p(name, pattern, place)
         WHERE j.label LIKE p.pattern
         ORDER BY p.place LIMIT 1), '') AS label,""",
    ).replace("{groups}", "1, 2, 3, 4"),
    LIVE.needs,
)

#: Entries that a launch can't take: of jobs that have not ended, and of results that nobody has read.
LIMITS = Query(
    "limits",
    f"""
SELECT r.busy_workers AS busy, r.idle_workers AS idle, u.max_workers AS workers_limit,
       r.live + r.unread AS entries, u.max_jobs AS entries_limit,
       u.memory_bytes AS memory, u.max_memory_bytes AS memory_limit,
       u.result_bytes AS spill, u.max_result_bytes AS spill_limit
FROM {{schema}}.pg_background_usage AS u, {call("pg_background_registry")} AS r
WHERE u.kind = 'server'
""",
    ("pg_background_usage", "max_result_bytes"),
)

#: The columns that the views have here, whatever version of the extension made them.
COLUMNS: LiteralString = """
SELECT c.relname, a.attname
FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
WHERE c.relnamespace = (SELECT n.oid FROM pg_namespace AS n WHERE n.nspname = %s)
  AND c.relname LIKE 'pg\\_background\\_%%' AND c.relkind = 'v' AND a.attnum > 0
"""


def queries(*, by_label: bool = False) -> tuple[Query, ...]:
    """Return all that is asked of a server at each scrape."""
    return TOTALS, RESOURCES, HISTOGRAMS, LIVE_BY_LABEL if by_label else LIVE, LIMITS
