"""The files for other programs, which come with the package: rules, a dashboard, queries."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from ..errors import UserError

#: Relative to this file: in an installed wheel, and in a checkout.
_FOLDERS = (Path(__file__).parents[1] / "_monitoring", Path(__file__).parents[3] / "monitoring")


class Document(StrEnum):
    """What can be printed, by the word for it."""

    RULES = "rules"
    DASHBOARD = "dashboard"
    SQL_EXPORTER = "sql-exporter"
    CLOUDNATIVEPG = "cloudnativepg"
    PROMETHEUS = "prometheus"
    ALERTMANAGER = "alertmanager"

    @property
    def file_name(self) -> str:
        """Its name in the folder `monitoring`."""
        return {
            Document.RULES: "prometheus-rules.yml",
            Document.DASHBOARD: "grafana-dashboard.json",
            Document.SQL_EXPORTER: "sql_exporter.collector.yml",
            Document.CLOUDNATIVEPG: "cloudnativepg.yml",
            Document.PROMETHEUS: "prometheus.example.yml",
            Document.ALERTMANAGER: "alertmanager.example.yml",
        }[self]

    def read(self) -> str:
        """Return its text.

        Raises:
            UserError: the package was installed without it.
        """
        for folder in _FOLDERS:
            if (path := folder / self.file_name).exists():
                return path.read_text(encoding="utf-8")
        raise UserError(
            f"{self.file_name} is not installed with this package",
            hint="install pg_background again from PyPI or from a checkout",
        )
