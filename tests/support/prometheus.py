"""A Prometheus that asks an exporter several times a second, and answers PromQL."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

from pg_background.server import ports

from .waiting import DEADLINE, wait_until

#: Short, so that a test sees several scrapes and evaluations soon.
_CONFIG = """
global:
  scrape_interval: 500ms
  scrape_timeout: 500ms
  evaluation_interval: 200ms
rule_files: [rules.yml]
scrape_configs:
  - job_name: pg_background
    static_configs: [{targets: ['TARGET']}]
SECRETS
"""


class Prometheus:
    """The server, with its data in a folder; it lives as long as the block."""

    def __init__(self, program: str, folder: Path, target: str, rules: str, *, more: str = "") -> None:
        """
        Args:
            target: where the exporter listens.
            rules: a file of rules, as text.
            more: of the scrape's configuration, as lines of YAML.
        """
        self._folder = folder
        (folder / "rules.yml").write_text(rules)
        config = _CONFIG.replace("TARGET", target).replace("SECRETS", more)
        (folder / "prometheus.yml").write_text(config)
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Prometheus:
        # Its own port can't be one of its choice: another program may take this one a moment before.
        wait_until(self._is_started, what="Prometheus answers")
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(DEADLINE)

    def query(self, expression: str) -> list[Mapping[str, Any]]:
        """Return the series that it answers with now.

        Raises:
            AssertionError: it is no expression.
        """
        found = self._ask("query", query=expression)
        assert found["status"] == "success", found
        result: list[Mapping[str, Any]] = found["data"]["result"]
        return result

    def alerts(self) -> Sequence[Mapping[str, Any]]:
        """Return the alerts that are pending or firing."""
        found: Sequence[Mapping[str, Any]] = self._ask("alerts")["data"]["alerts"]
        return found

    def targets(self) -> Sequence[Mapping[str, Any]]:
        """Return how it stands with what is asked."""
        found: Sequence[Mapping[str, Any]] = self._ask("targets")["data"]["activeTargets"]
        return found

    def _is_started(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            self._port = ports.any_free()
            with (self._folder / "log").open("ab") as log:
                self._process = subprocess.Popen(
                    [
                        self._program,
                        f"--config.file={self._folder / 'prometheus.yml'}",
                        f"--storage.tsdb.path={self._folder / 'data'}",
                        f"--web.listen-address=127.0.0.1:{self._port}",
                    ],
                    stdout=log,
                    stderr=log,
                )
        try:
            with urlopen(f"http://127.0.0.1:{self._port}/-/ready", timeout=DEADLINE) as reply:
                return bool(reply.status == 200)
        except (URLError, OSError):
            return False

    def _ask(self, what: str, **words: str) -> Any:
        url = f"http://127.0.0.1:{self._port}/api/v1/{what}?{urlencode(words)}"
        try:
            with urlopen(url, timeout=DEADLINE) as reply:
                return json.load(reply)
        except URLError as error:
            read = getattr(error, "read", None)
            raise AssertionError(f"{words}: {read() if read else error}") from error
