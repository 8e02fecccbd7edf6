"""docs/metrics.md has each metric, alert and file that there is; the dashboard shows each metric."""

from __future__ import annotations

import re

import yaml

from pg_background.exporter.files import Document
from pg_background.exporter.metrics import METRICS, SCRAPE_SECONDS, UP

from ..support.pages import DOCS

PAGE = (DOCS / "metrics.md").read_text()
NAMES = {UP, SCRAPE_SECONDS, *(metric.sample_name for metric in METRICS)}


def test_every_metric_is_described() -> None:
    table = PAGE.partition("## The metrics")[2].partition("## Alerts")[0]
    assert set(re.findall(r"`(pg_background_\w+)`", table)) == NAMES
    for metric in METRICS:
        for word in (metric.by, *(metric.columns if metric.by else ())):
            assert not word or f"`{word}`" in table


def test_every_alert_is_described() -> None:
    groups = yaml.safe_load(Document.RULES.read())["groups"]
    alerts = {rule["alert"] for group in groups for rule in group["rules"]}
    assert set(re.findall(r"`(PgBackground\w+)`", PAGE)) == alerts


def test_every_file_is_described() -> None:
    for document in Document:
        assert f"--print {document.value}" in PAGE
        assert f"`{document.file_name}`" in (DOCS.parent / "monitoring" / "README.md").read_text()


def test_the_dashboard_shows_every_metric() -> None:
    text = Document.DASHBOARD.read()
    for name in NAMES:
        assert re.search(rf"\b{name}(_bucket)?\b", text), name
