"""How long to wait at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import monotonic


class Deadline:
    """The end of a time limit."""

    def __init__(self, timeout: float | None, clock: Callable[[], float] = monotonic) -> None:
        """
        Args:
            timeout: in seconds; None for no limit.
        """
        self._clock = clock
        self._end = None if timeout is None else clock() + timeout

    def left(self) -> float | None:
        """Return the seconds that are left, at least 0; None without a limit."""
        return None if self._end is None else max(self._end - self._clock(), 0)

    def pauses(self, step: float | None) -> Iterator[float | None]:
        """Yield how long to wait, at most `step` at a time, until nothing is left; at least once, and 0 then.

        None, for ever, if there is neither a limit nor a step.
        """
        while True:
            left = self.left()
            yield step if left is None or (step is not None and step < left) else left
            if left is not None and (step is None or step >= left):
                return
