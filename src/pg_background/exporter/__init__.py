"""Metrics of the jobs of one or many servers, for Prometheus.

`metrics` says what there is and by which `queries` it is asked for, `watched` asks one server and `gathering`
all of them at once, `families` makes metrics of the answers, and `endpoint` serves them, guarded by
`passwords` and `certificates`.
"""

from __future__ import annotations

from .files import Document

__all__ = ["Document"]
