"""The files for sql_exporter and CloudNativePG: their queries give what the exporter gives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import yaml
from psycopg.rows import dict_row

from pg_background.exporter.files import Document
from pg_background.exporter.metrics import METRICS

from ..support.fix_cli import Cli
from ..support.fix_db import Connection, MakeRole
from ..support.jobs import launch, submit, wait
from ..support.metrics import Samples
from ..support.server import Server

pytestmark = pytest.mark.in_public

Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture
def monitor(make_role: MakeRole) -> str:
    """A role with pg_monitor and nothing else."""
    return make_role(member_of=("pg_monitor",))


@pytest.fixture
def session(server: Server, db: str, monitor: str) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    """A session of that role, as those programs have."""
    with psycopg.connect(server.dsn(db, user=monitor), row_factory=dict_row) as made:
        yield made


@pytest.fixture
def expected(cli: Cli, server: Server, conn: Connection, db: str, monitor: str) -> Series:
    """What the exporter gives, of the test's own database; nothing goes on there any more."""
    for job in ("SELECT 1", "SELECT 1/0", "CREATE TABLE t AS SELECT generate_series(1, 100)"):
        wait(conn, submit(conn, job))
    wait(conn, launch(conn, "SELECT 2"))
    done = cli.inside("exporter", "--once", server.dsn(db, user=monitor))
    return {
        (sample.name, _labels(sample.labels)): sample.value
        for sample in Samples(done.output).all
        if sample.labels.get("database", db) == db and not sample.name.endswith("_created")
        # What is counted differently each time, and what has no job: no row makes it 0 there.
        if "scrape" not in sample.name and sample.name != "pg_background_up" and "state" not in sample.labels
    }


def test_sql_exporter(session: psycopg.Connection[dict[str, Any]], expected: Series, db: str) -> None:
    file = yaml.safe_load(Document.SQL_EXPORTER.read())
    assert file["collector_name"] == "pg_background"
    queries = {query["query_name"]: query["query"] for query in file["queries"]}
    found: Series = {}
    for metric in file["metrics"]:
        assert set(metric) <= {
            *("metric_name", "type", "help", "key_labels", "value_label", "values", "query_ref")
        }
        assert metric["type"] in ("counter", "gauge")
        assert len(metric["values"]) == 1 or "value_label" in metric
        for row in session.execute(queries[metric["query_ref"]].encode()):
            labels = {label: row[label] for label in metric["key_labels"]}
            for column in metric["values"]:
                by = {metric["value_label"]: column} if "value_label" in metric else {}
                found[metric["metric_name"], _labels({**labels, **by})] = row[column]
    assert set(queries) == {metric["query_ref"] for metric in file["metrics"]}
    _compare(found, expected, db)


def test_cloudnativepg(session: psycopg.Connection[dict[str, Any]], expected: Series, db: str) -> None:
    file = yaml.safe_load(Document.CLOUDNATIVEPG.read())
    assert (file["kind"], list(file["data"])) == ("ConfigMap", ["queries"])
    found: Series = {}
    entries = yaml.safe_load(file["data"]["queries"])
    assert list(entries) == [metric.sample_name for metric in METRICS]
    # As it has it.
    session.execute("SET search_path = pg_catalog, public, pg_temp")
    for entry in entries.values():
        usages = {name: column["usage"] for each in entry["metrics"] for name, column in each.items()}
        labels = [name for name, usage in usages.items() if usage == "LABEL"]
        (value,) = [name for name in usages if name not in labels]
        cursor = session.execute(entry["query"].encode())
        columns = [column.name for column in cursor.description or ()]
        parts = [f"{value}{part}" for part in ("", "_bucket", "_sum", "_count")]
        assert columns == [*labels, *(parts if usages[value] == "HISTOGRAM" else [value])]
        name = f"{entry['name']}_{value}"
        for row in cursor:
            owner = {label: row[label] for label in labels}
            if usages[value] != "HISTOGRAM":
                found[name, _labels(owner)] = row[value]
                continue
            for bound, jobs in zip(row[parts[0]], row[parts[1]], strict=True):
                found[f"{name}_bucket", _labels({**owner, "le": str(bound)})] = jobs
            # It adds that one itself.
            found[f"{name}_bucket", _labels({**owner, "le": "+Inf"})] = row[parts[3]]
            found[f"{name}_sum", _labels(owner)] = row[parts[2]]
            found[f"{name}_count", _labels(owner)] = row[parts[3]]
    _compare(found, expected, db)


def _compare(found: Series, expected: Series, db: str) -> None:
    owned = {key: value for key, value in found.items() if ("database", db) in key[1]}
    assert owned == {key: value for key, value in expected.items() if ("database", db) in key[1]}
    # Those of the whole server change meanwhile: only that they are there.
    assert {key for key in found if not key[1]} == {key for key in expected if not key[1]}


def _labels(labels: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """Return them in their order; a bound is a number, however it is written."""
    return tuple(
        sorted(
            (name, str(float(value)) if name == "le" else value)
            for name, value in labels.items()
            if name != "server"
        )
    )
