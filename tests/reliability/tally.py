"""What a run has done and looked at, for the end of its output and for build/reliability/counts.json."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

#: Under which a test's counts are in its report, which also comes from another process.
PROPERTY = "reliability"

FOLDER = Path(__file__).parents[2] / "build" / "reliability"


class Tally:
    """The counts of one test."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def jobs(self, count: int) -> None:
        """Add jobs that were launched."""
        self.counts["jobs run"] += count

    def effects(self, count: int) -> None:
        """Add effects whose being there, or not, was compared with what was told."""
        self.counts["effects checked"] += count

    def faults(self, kind: str, count: int = 1) -> None:
        """Add faults that were injected."""
        self.counts["faults injected"] += count
        self.counts[f"fault: {kind}"] += count

    def add(self, what: str, count: int = 1) -> None:
        """Add something else."""
        self.counts[what] += count


def total(reports: Iterable[Any]) -> Counter[str]:
    """Add up what the reports of tests have."""
    counts = Counter[str]()
    for report in reports:
        for name, value in getattr(report, "user_properties", ()):
            if name == PROPERTY:
                counts.update(value)
    return counts


def write(counts: Counter[str], seed: int) -> Path:
    """Leave the counts in a file, and return where."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / "counts.json"
    path.write_text(json.dumps({"seed": seed, **dict(sorted(counts.items()))}, indent=2) + "\n")
    return path
