"""Versions of the extension, compared by their numbers."""

from __future__ import annotations

import re


def numbers_of(version: str) -> list[int]:
    """Return the numbers in a version: the later has the greater ones. Without a version there are none."""
    return [int(number) for number in re.findall(r"\d+", version)]
