"""Being told to stop: Ctrl-C, a closed terminal, `kill` and `timeout`."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from .process import end_at_once


class Terminated(KeyboardInterrupt):
    """The process was told to end by a signal other than Ctrl-C's."""

    def __init__(self, signal: int) -> None:
        super().__init__(f"signal {signal}")
        self.signal = signal


@contextmanager
def raised() -> Iterator[None]:
    """Let Ctrl-C raise KeyboardInterrupt in the block, where there may be something to be ended."""
    if signal.getsignal(signal.SIGINT) is not end_at_once:
        yield
        return
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        yield
    finally:
        signal.signal(signal.SIGINT, end_at_once)


@contextmanager
def held(hurry: Callable[[], object] | None = None) -> Iterator[None]:
    """Let a first signal wait for the block's end, and raise it there: then there is something to be ended.

    A second one ends the block at once, as the server may not answer.

    Args:
        hurry: called at the first signal, to end soon what the block waits for.
    """
    caught: list[int] = []

    def hold(number: int, _: FrameType | None) -> None:
        if caught:
            _end(number)
        caught.append(number)
        if hurry is not None:
            hurry()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, hold) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if caught:
            _end(caught[0])


def _end(number: int) -> NoReturn:
    raise KeyboardInterrupt if number == signal.SIGINT else Terminated(number)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the block as Ctrl-C does, so that it can cancel its job."""

    def stop(number: int, _: FrameType | None) -> None:
        raise Terminated(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
