"""How big the next range is, and when it may begin: from what the last ones took."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

#: How much bigger or smaller a range may be than the one before. One that had to wait says little.
_MOST_CHANGE = 2.0
#: Rows of the biggest range: what it locks is locked until its end.
MOST_ROWS = 1_000_000


def next_size(size: int, rows_in_range: int, seconds: float, target: float) -> int:
    """Return how many rows a range should have to take about `target` seconds.

    Args:
        size: what ranges have now.
        rows_in_range: that one had, which took so many seconds.
    """
    wanted = rows_in_range * target / max(seconds, 1e-6)
    return round(min(max(wanted, size / _MOST_CHANGE, 1), size * _MOST_CHANGE, MOST_ROWS))


class Rate:
    """Keeps the rows that are changed in a second below a ceiling, over the whole of the run."""

    def __init__(self, ceiling: float | None, clock: Callable[[], float] = monotonic) -> None:
        self._ceiling = ceiling
        self._clock = clock
        self._free_at = 0.0

    def wait(self) -> float:
        """Return the seconds after which a range may begin."""
        return max(self._free_at - self._clock(), 0)

    def begin(self, rows: int) -> None:
        """Note that a range begins, which may change so many."""
        if self._ceiling is not None:
            self._free_at = max(self._free_at, self._clock()) + rows / self._ceiling

    def end(self, expected: int, changed: int) -> None:
        """Note that it has changed fewer rows than was expected at its beginning, or more."""
        if self._ceiling is not None:
            self._free_at += (changed - expected) / self._ceiling
