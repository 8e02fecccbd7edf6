"""Being told to stop while something is begun that must be ended."""

from __future__ import annotations

import signal

import pytest

from pg_background.cli.signals import Terminated, held


def test_signal_waits_for_the_end_of_the_block() -> None:
    before = signal.getsignal(signal.SIGINT)
    begun: list[int] = []

    def begin() -> None:
        with held():
            signal.raise_signal(signal.SIGINT)
            begun.append(1)

    with pytest.raises(KeyboardInterrupt):
        begin()
    assert begun
    assert signal.getsignal(signal.SIGINT) is before


def test_second_signal_ends_the_block() -> None:
    seen: list[str] = []

    def begin() -> None:
        with held(lambda: seen.append("hurried")):
            signal.raise_signal(signal.SIGTERM)
            seen.append("went on after the first")
            signal.raise_signal(signal.SIGTERM)
            seen.append("went on after the second")

    with pytest.raises(Terminated) as told:
        begin()
    assert told.value.signal == signal.SIGTERM
    # What an assertion in the block would say is lost: the signal is raised at its end all the same.
    assert seen == ["hurried", "went on after the first"]


def test_error_of_what_was_told_to_hurry_is_no_news() -> None:
    def begin() -> None:
        with held():
            signal.raise_signal(signal.SIGINT)
            raise ValueError

    with pytest.raises(KeyboardInterrupt):
        begin()
