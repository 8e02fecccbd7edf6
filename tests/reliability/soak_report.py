"""The report of a soak: JSON with all figures, a page with the most important ones, and charts."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

from tools.charts import Points, line_chart

from .samples import Sample, Sampler
from .tally import FOLDER

SOAK = FOLDER.parent / "soak"


def write(sampler: Sampler, counts: Counter[str], facts: dict[str, object]) -> Path:
    """Write all files, and return their folder.

    Args:
        facts: about the run, such as its seed.
    """
    SOAK.mkdir(parents=True, exist_ok=True)
    samples = sampler.samples
    figures = {**facts, "counts": dict(sorted(counts.items())), "samples": [*map(asdict, samples)]}
    (SOAK / "soak.json").write_text(json.dumps(figures, indent=1) + "\n")
    line_chart(
        SOAK / "memory.svg",
        "Memory of its own of the largest process of each kind",
        "MB",
        {
            name: _line(samples, field, 1 << 20)
            for name, field in (
                ("a session", "session_bytes"),
                ("a worker", "worker_bytes"),
                ("keeper", "keeper_bytes"),
                ("postmaster", "postmaster_bytes"),
                ("job memory in use", "area_bytes"),
            )
        },
    )
    line_chart(
        SOAK / "rates.svg",
        "Jobs and faults",
        "a second",
        {name: _rates(samples, name) for name in ("jobs", "faults", "interrupted", "refused")},
    )
    line_chart(
        SOAK / "held.svg",
        "What the server holds",
        "number",
        {name: _line(samples, name) for name in ("processes", "descriptors", "live")},
    )
    (SOAK / "soak.md").write_text(_page(counts, facts))
    return SOAK


def _page(counts: Counter[str], facts: dict[str, object]) -> str:
    lines = ["# Soak", "", "| | |", "|---|---:|"]
    lines += [f"| {name} | {value} |" for name, value in facts.items()]
    lines += ["", "| counted | |", "|---|---:|"]
    lines += [f"| {name} | {count:,} |" for name, count in sorted(counts.items())]
    lines += ["", "![memory](memory.svg)", "", "![rates](rates.svg)", "", "![held](held.svg)", ""]
    return "\n".join(lines)


def _line(samples: list[Sample], field: str, unit: int = 1) -> Points:
    values = [(sample.seconds / 60, getattr(sample, field)) for sample in samples]
    return [(at, None if value is None else value / unit) for at, value in values]


def _rates(samples: list[Sample], field: str) -> Points:
    """How much a second; nothing where the counter was begun anew."""
    points: list[tuple[float, float | None]] = []
    for before, after in pairwise(samples):
        more = getattr(after, field) - getattr(before, field)
        took = after.seconds - before.seconds
        points.append((after.seconds / 60, more / took if more >= 0 else None))
    return points
