"""Write what is generated in the folder `monitoring`: `python -m tools.monitoring`.

The files of queries are made of what the exporter asks, the dashboard by `tools/dashboard.py`. With `--check`
only tell whether they are up to date.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from textwrap import indent

from pg_background.exporter.files import Document
from pg_background.exporter.metrics import METRICS, PREFIX
from pg_background.exporter.queries import Query

from .dashboard import dashboard

FOLDER = Path(__file__).parents[1] / "monitoring"

#: Where the files look for the extension.
SCHEMA = "public"

_HEAD = f"""\
# Made by `python -m tools.monitoring` of what pg-background exporter asks: once for each server, in any
# database that has the extension. The role needs pg_monitor. If the extension is in another schema:
#
#     sed 's/{SCHEMA}[.]pg_background_/background.pg_background_/'"""


def main() -> None:
    """Write the files, or check them."""
    stale = []
    for document, text in _made().items():
        path = FOLDER / document.file_name
        if "--check" not in sys.argv[1:]:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            stale.append(path.name)
    if stale:
        sys.exit(f"not up to date: {', '.join(stale)}: python -m tools.monitoring")


def _made() -> Mapping[Document, str]:
    makers: dict[Document, Callable[[], str]] = {
        Document.SQL_EXPORTER: sql_exporter,
        Document.CLOUDNATIVEPG: cloudnativepg,
        Document.DASHBOARD: dashboard,
    }
    return {document: make() for document, make in makers.items()}


def sql_exporter() -> str:
    """Return a collector for sql_exporter, which has no histograms: their parts are counters."""
    queries: dict[str, str] = {}
    lines = [
        "# For sql_exporter (github.com/burningalchemist/sql_exporter), as one of its `collector_files`.",
        *_HEAD.splitlines(),
        "collector_name: pg_background",
        "metrics:",
    ]
    for metric in METRICS:
        if metric.type == "histogram":
            name = metric.columns[0]
            owner = ", ".join(metric.labels)
            queries[f"{name}_buckets"] = _of(
                metric.query, f"{owner}, {_LE} AS le, b.jobs AS bucket", _EACH, name
            )
            queries[name] = _of(
                metric.query, f"{owner}, seconds, q.jobs[cardinality(q.jobs)] AS jobs", "", name
            )
            for suffix, query, column, labels in (
                ("bucket", f"{name}_buckets", "bucket", [*metric.labels, "le"]),
                ("sum", name, "seconds", metric.labels),
                ("count", name, "jobs", metric.labels),
            ):
                lines += _sql_metric(
                    f"{metric.name}_{suffix}", "counter", metric.help, labels, [column], query
                )
        else:
            queries[metric.query.name] = _of(metric.query, ", ".join(_columns(metric.query)))
            lines += _sql_metric(
                *(metric.sample_name, metric.type, metric.help, metric.labels, metric.columns),
                *(metric.query.name, metric.by),
            )
    lines.append("queries:")
    for name, text in queries.items():
        lines += [f"  - query_name: {name}", "    query: |", indent(text, " " * 6)]
    return "\n".join(lines) + "\n"


def _sql_metric(
    name: str, kind: str, text: str, labels: object, columns: object, query: str, by: str = ""
) -> Iterator[str]:
    yield f"  - metric_name: {name}"
    yield f"    type: {kind}"
    yield f"    help: '{text}'"
    yield f"    key_labels: {_list(labels)}"
    if by:
        yield f"    value_label: {by}"
    yield f"    values: {_list(columns)}"
    yield f"    query_ref: {query}"


def cloudnativepg() -> str:
    """Return a ConfigMap for CloudNativePG, which puts `cnpg_` before the names."""
    lines = [
        "# Queries for CloudNativePG: kubectl apply it in the namespace of a Cluster, and name it there:",
        "#",
        "#     spec:",
        "#       monitoring:",
        "#         customQueriesConfigMap:",
        "#           - {name: pg-background-metrics, key: queries}",
        "#",
        "# The application's database is asked; `target_databases` of a query names another one: one only.",
        "# Metrics have the names of pg-background exporter after cnpg_, and the label `pod`, not `server`.",
        *_HEAD.splitlines(),
        "apiVersion: v1",
        "kind: ConfigMap",
        "metadata:",
        "  name: pg-background-metrics",
        "  labels:",
        '    cnpg.io/reload: ""',
        "data:",
        "  queries: |",
    ]
    return "\n".join(lines) + "\n" + indent("\n".join(_cnpg_metrics()), "    ") + "\n"


def _cnpg_metrics() -> Iterator[str]:
    for metric in METRICS:
        labels = list(metric.labels)
        # Its namespace and the column make the name; queries need names of their own.
        value = metric.sample_name.removeprefix(PREFIX)
        usage = metric.type.upper()
        if metric.type == "histogram":
            finite = "q.le[:cardinality(q.le) - 1]", "q.jobs[:cardinality(q.jobs) - 1]"
            columns = [
                *(f"q.{label}" for label in labels),
                f"{finite[0]} AS {value}",
                f"{finite[1]}::int8[] AS {value}_bucket",
                f"q.seconds AS {value}_sum",
                f"q.jobs[cardinality(q.jobs)]::int8 AS {value}_count",
            ]
            query = _of(metric.query, ", ".join(columns), "", metric.columns[0])
        elif metric.by:
            labels.append(metric.by)
            pairs = ", ".join(f"""('{column}', q."{column}")""" for column in metric.columns)
            columns = [*(f"q.{label}" for label in metric.labels), f"v.{metric.by}", f"v.value AS {value}"]
            query = _of(
                metric.query, ", ".join(columns), f", LATERAL (VALUES {pairs}) AS v({metric.by}, value)"
            )
        else:
            columns = [*(f"q.{label}" for label in labels), f"q.{metric.columns[0]} AS {value}"]
            query = _of(metric.query, ", ".join(columns))
        yield f"{metric.sample_name}:"
        yield f"  name: {PREFIX.rstrip('_')}"
        yield "  query: |"
        yield indent(query, "    ")
        yield "  metrics:"
        for label in labels:
            yield f"    - {label}: {{usage: LABEL, description: {label}}}"
        yield f"    - {value}: {{usage: {usage}, description: '{metric.help}'}}"


#: Each bucket of a histogram, and how its bound is written.
_EACH = ", unnest(q.le, q.jobs) AS b(le, jobs)"
_LE = "CASE b.le WHEN 'Infinity' THEN '+Inf' ELSE b.le::text END"


def _of(query: Query, columns: str, more: str = "", histogram: str = "") -> str:
    """Return a query of another one's rows."""
    text = query.text.format(schema=SCHEMA).strip()
    where = f"\nWHERE q.metric = '{histogram}'" if histogram else ""
    return f"SELECT {columns}\nFROM (\n{indent(text, '  ')}\n) AS q{more}{where}"


def _columns(query: Query) -> list[str]:
    """Return those that metrics are made of."""
    made = [metric for metric in METRICS if metric.query is query]
    return list(
        dict.fromkeys(
            [label for metric in made for label in metric.labels]
            + [f'q."{column}"' for metric in made for column in metric.columns]
        )
    )


def _list(words: object) -> str:
    assert isinstance(words, (list, tuple))
    return f"[{', '.join(words)}]"


if __name__ == "__main__":
    main()
