"""Names of columns, of which a result may have two that are the same."""

from __future__ import annotations

from collections.abc import Sequence


def unique(names: Sequence[str]) -> list[str]:
    """Return the names, with a number where one has been there before, so that no value is lost."""
    taken = set(names)
    found: set[str] = set()
    made = []
    for name in names:
        candidate, number = name, 1
        while candidate in found or (number > 1 and candidate in taken):
            number += 1
            candidate = f"{name}_{number}"
        found.add(candidate)
        made.append(candidate)
    return made
