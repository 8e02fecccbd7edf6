"""The figures for people and for programs."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from .figures import COMPARED, MS, Figure
from .ways import WAYS

NOTES = """\
floor         as many statements that do nothing; rows: kept in the session
warm          pg_background as it comes
cold          pg_background.worker_idle_timeout = 0: a process for each job
dblink async  dblink_send_query, dblink_get_result; connection kept open
dblink call   dblink(), which blocks its session; connection kept open"""


def show(figures: Sequence[Figure], version: str, console: Console) -> None:
    """Print two tables: what was measured, and how many times as fast warm is."""
    console.print(f"PostgreSQL {version}, {os.cpu_count()} cores\n\n{NOTES}\n", soft_wrap=True)
    console.print(_table("absolute", WAYS, [(figure.name, figure.unit, figure.values) for figure in figures]))
    console.print()
    console.print(
        _table("warm is … times as fast", COMPARED, [(f.name, "", f.ratios()) for f in figures if f.ratios()])
    )
    console.print()


def write_json(figures: Sequence[Figure], version: str, path: Path) -> None:
    """Write the same to a file."""
    content = {
        "postgresql": version,
        "cores": os.cpu_count(),
        "figures": [
            {"name": f.name, "unit": f.unit, "values": f.values, "ratios": f.ratios()} for f in figures
        ],
    }
    path.write_text(json.dumps(content, indent=2) + "\n")


def _table(title: str, ways: Sequence[str], lines: Sequence[tuple[str, str, dict[str, float]]]) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column(title)
    for way in ways:
        table.add_column(way, justify="right")
    for name, unit, values in lines:
        cells = (_number(values[way], unit) if way in values else "-" for way in ways)
        table.add_row(f"{name} ({unit})" if unit else name, *cells)
    return table


def _number(value: float, unit: str) -> str:
    if unit == MS:
        return f"{value:.3f}" if value < 10 else f"{value:.0f}"
    return f"{value:.2f}" if value < 100 else f"{value:.0f}"
