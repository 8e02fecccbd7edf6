"""The same with several servers at the same time: what one of them takes costs the others nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def at_once(
    act: Callable[[Item], Answer], items: Sequence[Item], *, patience: float | None = None
) -> Iterator[tuple[Item, Answer | Exception]]:
    """Yield each with what has come of it, or the error, as soon as that is known.

    Whoever is interrupted leaves the others to themselves: the end of the process does not wait for them.

    Args:
        patience: seconds after which those that have not answered have a TimeoutError, and are left to
            themselves, too.
    """

    def ask(place: int) -> Answer | Exception:
        try:
            return act(items[place])
        except Exception as error:
            return error

    if len(items) == 1 and patience is None:
        # Here it can ask for a password, and an interruption ends what it waits for.
        yield items[0], ask(0)
        return
    answers: SimpleQueue[tuple[int, Answer | Exception]] = SimpleQueue()
    for place in range(len(items)):
        Thread(target=lambda place=place: answers.put((place, ask(place))), daemon=True).start()
    end = None if patience is None else monotonic() + patience
    left = dict(enumerate(items))
    while left:
        try:
            place, answer = answers.get(timeout=None if end is None else max(end - monotonic(), 0))
        except Empty:
            break
        yield left.pop(place), answer
    for item in left.values():
        yield item, TimeoutError(f"no answer for {patience:g} s")
