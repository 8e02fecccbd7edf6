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
    hurried: list[int] = []

    def begin() -> None:
        with held(lambda: hurried.append(1)):
            signal.raise_signal(signal.SIGTERM)
            assert hurried == [1]
            signal.raise_signal(signal.SIGTERM)
            pytest.fail("it went on")

    with pytest.raises(Terminated) as told:
        begin()
    assert told.value.signal == signal.SIGTERM


def test_error_of_what_was_told_to_hurry_is_no_news() -> None:
    def begin() -> None:
        with held():
            signal.raise_signal(signal.SIGINT)
            raise ValueError

    with pytest.raises(KeyboardInterrupt):
        begin()
