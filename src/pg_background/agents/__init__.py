"""Jobs for agents, by the Model Context Protocol; docs/agents.md is the guide."""

from __future__ import annotations

from .limits import Limits
from .server import run_http, run_stdio

__all__ = ["Limits", "run_http", "run_stdio"]
