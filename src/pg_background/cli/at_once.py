"""The same with several servers at the same time: what one of them takes costs the others nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def at_once(
    act: Callable[[Item], Answer], items: Sequence[Item]
) -> Iterator[tuple[Item, Answer | Exception]]:
    """Yield each with what has come of it, or the error, as soon as that is known.

    Whoever is interrupted leaves the others to themselves: the end of the process does not wait for them.
    """

    def ask(item: Item) -> tuple[Item, Answer | Exception]:
        try:
            return item, act(item)
        except Exception as error:
            return item, error

    if len(items) == 1:
        # Here it can ask for a password, and an interruption ends what it waits for.
        yield ask(items[0])
        return
    answers: SimpleQueue[tuple[Item, Answer | Exception]] = SimpleQueue()
    for item in items:
        Thread(target=lambda item=item: answers.put(ask(item)), daemon=True).start()
    for _ in items:
        yield answers.get()
