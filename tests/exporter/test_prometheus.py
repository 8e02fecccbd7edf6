"""The real Prometheus, its tools, and those of its Alertmanager, on a real exporter of a real server."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copy
from typing import Any

import pytest
import yaml

from pg_background.exporter.files import Document

from ..support.fix_cli import Cli
from ..support.fix_db import Connection, MakeRole
from ..support.jobs import cancel, closed_gate, launch, submit, wait, wait_for_state
from ..support.programs import program
from ..support.prometheus import Prometheus
from ..support.server import Server
from ..support.waiting import wait_until
from .test_endpoint import make_certificate  # noqa: F401

ALERTS = Path(__file__).with_name("alerts.yml")


@pytest.fixture
def promtool() -> str:
    """What checks rules, metrics and settings."""
    return program("promtool", package="prometheus")


def run(*words: str | Path, stdin: str = "", folder: Path | None = None) -> str:
    """Run a program, which must succeed, and return what it says."""
    done = subprocess.run(
        words,
        input=stdin,
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """The folder where the file of rules stands as it is shipped."""
    (tmp_path / Document.RULES.file_name).write_text(Document.RULES.read())
    return tmp_path


def test_rules(promtool: str, rules: Path) -> None:
    assert "SUCCESS: 10 rules found" in run(
        promtool, "check", "rules", Document.RULES.file_name, folder=rules
    )


def test_each_alert(promtool: str, rules: Path) -> None:
    """On series that are made up: it fires, and not before."""
    copy(ALERTS, rules)
    assert "SUCCESS" in run(promtool, "test", "rules", ALERTS.name, folder=rules)
    names = {
        rule["alert"] for group in yaml.safe_load(Document.RULES.read())["groups"] for rule in group["rules"]
    }
    fired: set[str] = set()
    silent: set[str] = set()
    for test in yaml.safe_load(ALERTS.read_text())["tests"]:
        for each in test["alert_rule_test"]:
            (fired if each.get("exp_alerts") else silent).add(each["alertname"])
    assert fired == names
    # This one is silent for others beside the one for which it fires.
    assert silent == names - {"PgBackgroundJobsFailing"}


def test_examples_of_settings(promtool: str, tmp_path: Path) -> None:
    (tmp_path / "pg-background.rules.yml").write_text(Document.RULES.read())
    for name in ("ca.crt", "pg-background.password"):
        (tmp_path / name).touch()
    (tmp_path / "prometheus.yml").write_text(Document.PROMETHEUS.read())
    (tmp_path / "alertmanager.yml").write_text(Document.ALERTMANAGER.read())
    assert "SUCCESS" in run(promtool, "check", "config", "prometheus.yml", folder=tmp_path)
    amtool = program("amtool", package="prometheus-alertmanager")
    assert "SUCCESS" in run(amtool, "check-config", "alertmanager.yml", folder=tmp_path)
    for alert, receiver in (
        (("alertname=PgBackgroundDown", "severity=critical"), "page"),
        (("alertname=PgBackgroundJobStuck", "severity=warning"), "mail"),
        (("alertname=Other", "severity=critical"), "mail"),
    ):
        found = run(
            amtool, "config", "routes", "test", "--config.file=alertmanager.yml", *alert, folder=tmp_path
        )
        # It warns of settings of its own.
        assert found.splitlines()[-1] == receiver


def test_metrics(promtool: str, cli: Cli, server: Server, conn: Connection, db: str) -> None:
    wait(conn, submit(conn, "SELECT 1"))
    text = cli.inside("exporter", "--once", server.dsn(db)).output
    assert "pg_background_run_seconds_bucket" in text
    assert run(promtool, "check", "metrics", stdin=text) == ""


@contextmanager
def watched(
    cli: Cli, folder: Path, dsn: str, *options: str | Path, rules: str = "groups: []", more: str = ""
) -> Iterator[Prometheus]:
    """A Prometheus that asks an exporter of its own, for the block."""
    path = program("prometheus", package="prometheus")
    with cli.start("exporter", "--listen", "127.0.0.1:0", "--server", f"db1={dsn}", *options) as exporter:
        try:
            assert exporter.stderr is not None
            line = exporter.stderr.readline()
            target = re.search(r"(127\.0\.0\.1:\d+)/metrics", line)
            assert target, line
            with Prometheus(path, folder, target[1], rules, more=more) as prometheus:
                yield prometheus
        finally:
            exporter.terminate()


@pytest.fixture
def monitor(server: Server, db: str, make_role: MakeRole) -> str:
    """The connection string of a role with pg_monitor and nothing else."""
    return server.dsn(db, user=make_role(member_of=("pg_monitor",)))


def test_a_job_that_is_stuck(cli: Cli, conn: Connection, db: str, monitor: str, tmp_path: Path) -> None:
    """The shipped rule, with another number."""
    rules = re.sub(r"> 3600\n +for: 1m", "> 0.5\n", Document.RULES.read())
    assert "> 0.5" in rules

    def firing() -> list[Any]:
        return [
            alert["labels"]
            for alert in prometheus.alerts()
            if alert["state"] == "firing" and alert["labels"]["alertname"] == "PgBackgroundJobStuck"
        ]

    with watched(cli, tmp_path, monitor, rules=rules) as prometheus, closed_gate(conn) as gate:
        stuck = launch(conn, gate.sql)
        wait_for_state(conn, stuck, "running")
        (labels,) = wait_until(firing)
        assert labels["database"] == db
        assert (labels["role"], labels["server"], labels["severity"]) == ("postgres", "db1", "warning")
        cancel(conn, stuck)
        wait_until(lambda: not firing())


def expressions() -> Iterator[tuple[str, str]]:
    """Yield each expression of the dashboard, with its panel's title, as Grafana would send it."""
    dashboard = json.loads(Document.DASHBOARD.read())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            expression = target["expr"].replace("$__rate_interval", "2s")
            yield panel["title"], re.sub(r"\$(server|database|role)\b", ".*", expression)


def test_the_dashboard(cli: Cli, conn: Connection, db: str, monitor: str, tmp_path: Path) -> None:
    """Every expression has an answer, and the menus have something to choose from."""
    asked = list(expressions())
    assert len(asked) > 25
    assert not any("$" in expression for _, expression in asked)
    with watched(cli, tmp_path, monitor) as prometheus:

        def unanswered() -> list[tuple[str, str]]:
            # Rates need jobs that end between two scrapes.
            wait(conn, submit(conn, "SELECT 1/0"))
            return [each for each in asked if not prometheus.query(each[1])]

        wait_until(lambda: not unanswered(), what="every panel has an answer")
        dashboard = json.loads(Document.DASHBOARD.read())
        for variable in dashboard["templating"]["list"]:
            if variable["type"] == "query":
                found = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"])
                assert found
                series = prometheus.query(found[1].replace("$server", ".*"))
                assert {"server": "db1", "database": db, "role": "postgres"}[found[2]] in {
                    each["metric"].get(found[2]) for each in series
                }


def test_with_tls_and_a_password(cli: Cli, monitor: str, tmp_path: Path, make_certificate: Any) -> None:  # noqa: F811
    certificate, key = make_certificate("exporter")
    users = tmp_path / "users"
    users.write_text("prometheus:secret")
    users.chmod(0o600)
    more = f"""
    scheme: https
    tls_config: {{ca_file: {certificate}, server_name: exporter}}
    basic_auth: {{username: prometheus, password: secret}}
    """
    options = ("--passwords", users, "--certificate", certificate, "--certificate-key", key)
    with watched(cli, tmp_path, monitor, *options, more=more) as prometheus:
        wait_until(lambda: [each["value"][1] for each in prometheus.query("pg_background_up")] == ["1"])
        (target,) = prometheus.targets()
        assert (target["health"], target["lastError"]) == ("up", "")
