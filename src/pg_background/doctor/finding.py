"""How a check ends."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum


class Grade(Enum):
    """How bad it is."""

    OK = "OK"
    #: works, and will surprise somebody
    WARN = "WARN"
    #: does not work, or is not safe
    FAIL = "FAIL"


@dataclass(frozen=True)
class Finding:
    """The end of one check."""

    grade: Grade
    #: what was looked at, in a word or two
    check: str
    #: what was found, in one line without a full stop
    text: str
    #: what to do about it; empty for OK
    fix: str = ""

    def __str__(self) -> str:
        return self.line()

    def line(self, node: str = "") -> str:
        """Return it as a line.

        Args:
            node: which of several servers it is about.
        """
        fix = f"; fix: {self.fix}" if self.fix else ""
        where = f"{node} " if node else ""
        return f"{self.grade.value:<4}  {where}{self.check}: {self.text}{fix}"


def ok(check: str, text: str) -> Finding:
    """Return a finding that needs nothing."""
    return Finding(Grade.OK, check, text)


def warn(check: str, text: str, fix: str) -> Finding:
    """Return a finding that somebody should know of."""
    return Finding(Grade.WARN, check, text, fix)


def fail(check: str, text: str, fix: str) -> Finding:
    """Return a finding that must be fixed."""
    return Finding(Grade.FAIL, check, text, fix)


def identifier(name: str) -> str:
    """Write a name for SQL, with quotes if they are needed."""
    if re.fullmatch(r"[a-z_][a-z0-9_]*", name):
        return name
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
