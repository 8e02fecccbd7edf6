"""Ctrl-C for programs that tests start, also where a shell has put the tests into its background."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    # Programs inherit it when it is ignored, and not when it is handled.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
