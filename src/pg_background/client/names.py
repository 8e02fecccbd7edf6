"""Names of columns, of which a result may have two that are the same."""

from __future__ import annotations

from collections.abc import Sequence


def unique(names: Sequence[str]) -> list[str]:
    """Return the names, with a number where one has been there before, so that no value is lost."""
    others = set(names)
    found: list[str] = []
    seen: set[str] = set()
    for name in names:
        made, number = name, 1
        # Not a number that makes the name of another column.
        while made in seen or (number > 1 and made in others):
            number += 1
            made = f"{name}_{number}"
        seen.add(made)
        found.append(made)
    return found
