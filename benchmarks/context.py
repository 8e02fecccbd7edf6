"""What a section of `make bench` is given, and what it has to be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pg_background.server import Installation

from .figures import Figure
from .hosts import Hosts


@dataclass(frozen=True)
class Bench:
    """The servers, and how much is to be measured."""

    installation: Installation
    hosts: Hosts
    #: 1 for figures that are to be quoted, less to try it
    scale: float
    #: shows what is being done
    say: Callable[[str], None]
    #: what could not be measured, for the report
    notes: list[str] = field(default_factory=list)

    def times(self, full: int, least: int = 1) -> int:
        """Return how often something is done that is done so often at full scale."""
        return max(least, round(full * self.scale))

    def rounds(self, full: int) -> Iterable[int]:
        """Count the rounds of something that takes turns, and say so."""
        rounds = self.times(full)
        for number in range(rounds):
            self.say(f"round {number + 1} of {rounds}")
            yield number


class Section(Protocol):
    """A module that measures one thing. One is added by a line in `sections.py`."""

    #: of its part of the report
    TITLE: str
    #: what its figures are, in Markdown
    NOTE: str

    def for_bench(self, bench: Bench) -> Sequence[Figure]:
        """Measure it, and return the figures in the order of the report.

        It is called once, lets what it compares take turns, and may start servers of its own. Where a figure
        has a value "warm", the report has what it is in times of the other ways' values as well.
        """
