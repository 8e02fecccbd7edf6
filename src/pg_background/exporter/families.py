"""Answers of servers made into metrics of prometheus-client."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as Family

from .metrics import METRICS, SCRAPE_SECONDS, SCRAPE_SECONDS_HELP, SERVER, UP, UP_HELP, Metric
from .queries import LIVE, TOTALS
from .watched import Answer, Row

#: Of jobs that have not ended.
_STATES = ("queued", "starting", "running")
_LABEL = "label"


def families(answers: Sequence[Answer], *, by_label: bool = False) -> Iterator[Family]:
    """Return the metrics of all servers; of one that did not answer only that.

    Args:
        by_label: whether jobs are told apart by their labels.
    """
    yield _gauge(UP, UP_HELP, {answer.server: 0.0 if answer.failure else 1.0 for answer in answers})
    yield _gauge(SCRAPE_SECONDS, SCRAPE_SECONDS_HELP, {answer.server: answer.seconds for answer in answers})
    for metric in METRICS:
        labels = [*metric.labels, _LABEL] if by_label and metric.query is LIVE else metric.labels
        family = _family(metric, [SERVER, *labels, *([metric.by] if metric.by else [])])
        for answer in answers:
            for row in _rows(metric, answer):
                _add(family, metric, [answer.server, *(row.get(label, "") for label in labels)], row)
        if family.samples:
            yield family


def _gauge(name: str, text: str, values: dict[str, float]) -> Family:
    family = GaugeMetricFamily(name, text, labels=[SERVER])
    for server, value in values.items():
        family.add_metric([server], value)
    return family


def _family(metric: Metric, labels: Sequence[str]) -> Family:
    kinds = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily, "histogram": HistogramMetricFamily}
    made: Family = kinds[metric.type](metric.name, metric.help, labels=labels, unit=metric.unit)
    return made


def _rows(metric: Metric, answer: Answer) -> Iterator[Row]:
    rows = answer.rows.get(metric.query.name, ())
    if metric.type == "histogram":
        yield from (row for row in rows if row["metric"] in metric.columns)
        return
    yield from rows
    if metric.query is LIVE and not answer.failure:
        # A series that comes and goes with its jobs would have gaps where it should be 0.
        there = {(row["database"], row["role"], row["state"]) for row in rows if not row.get(_LABEL)}
        for owner in answer.rows.get(TOTALS.name, ()):
            for state in _STATES:
                if (owner["database"], owner["role"], state) not in there:
                    yield {"database": owner["database"], "role": owner["role"], "state": state}


def _add(family: Family, metric: Metric, labels: Sequence[str], row: Row) -> None:
    if isinstance(family, HistogramMetricFamily):
        bounds = ["+Inf" if math.isinf(bound) else repr(float(bound)) for bound in row["le"]]
        family.add_metric(labels, list(zip(bounds, row["jobs"], strict=True)), row["seconds"])
        names = dict(zip([SERVER, *metric.labels], labels, strict=True))
        family.add_sample(f"{metric.name}_created", names, row["since"])
        return
    for column in metric.columns:
        value = row.get(column, 0)
        # A limit that there is not.
        if value is None:
            continue
        values = [*labels, column] if metric.by else labels
        if isinstance(family, CounterMetricFamily):
            family.add_metric(values, value, created=row["since"])
        elif isinstance(family, GaugeMetricFamily):
            family.add_metric(values, value)
