"""The stored counts: what a call took when somebody last said that it may take so much."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("baseline.json")

#: More than so many percent over the baseline is a failure.
MOST_ABOVE = 5

Counts = Mapping[str, int]


@dataclass(frozen=True)
class Line:
    """A count beside the stored one."""

    name: str
    count: int
    #: None where nothing is stored
    stored: int | None

    @property
    def change(self) -> float:
        """By how many percent it is more, or, negative, less than what is stored; 0 where nothing is."""
        return 100 * (self.count - self.stored) / self.stored if self.stored else 0.0

    @property
    def is_failure(self) -> bool:
        """Whether it is too much."""
        return self.change > MOST_ABOVE

    @property
    def is_better(self) -> bool:
        """Whether it is so much less that what is stored would let it grow again."""
        return self.change < -MOST_ABOVE


def key(postgresql: str, valgrind: str) -> str:
    """Return what the counts depend on beside the code: what compiled it, and what runs with it.

    Args:
        postgresql: what `version()` says, with its own compiler.
    """
    return "; ".join([platform.machine() + _vectors(), _compiler(), _libc(), valgrind, postgresql])


def compare(counts: Counts, stored: Counts) -> list[Line]:
    """Return a line for each count."""
    return [Line(name, number, stored.get(name)) for name, number in counts.items()]


def load(key: str, file: Path = FILE) -> Counts | None:
    """Return what is stored for this kind of machine, if anything."""
    return _read(file).get(key)


def store(key: str, counts: Counts, file: Path = FILE) -> None:
    """Keep counts for this kind of machine, instead of those that it had."""
    content = {**_read(file), key: dict(counts)}
    file.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")


def _read(file: Path) -> dict[str, dict[str, int]]:
    if not file.exists():
        return {}
    content: dict[str, dict[str, int]] = json.loads(file.read_text())
    return content


def _compiler() -> str:
    program = os.environ.get("CC", "cc")

    def said(option: str) -> str:
        done = subprocess.run([*program.split(), option], capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    name = "clang" if "clang" in said("--version") else "gcc"
    return f"{name} {said('-dumpfullversion') or said('-dumpversion') or 'of unknown version'}"


def _libc() -> str:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or "unknown libc"
    except ValueError:
        return "unknown libc"


def _vectors() -> str:
    """libc has several functions to copy and compare, and takes what the processor can."""
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return ""
    return " avx2" if "avx2" in flags else ""
