"""`top` on a terminal of its own."""

from __future__ import annotations

import os
import pty
import subprocess
from collections.abc import Callable
from typing import Any

from .waiting import wait_until


def leaves_top(start: Callable[..., subprocess.Popen[Any]], text: str) -> None:
    """Start `top`, see the text on its screen, and leave it by its key.

    Args:
        start: given the `terminal` and variables of the environment, starts the command.
    """
    leader, follower = pty.openpty()
    process = start(terminal=follower, TERM="xterm-256color")
    os.close(follower)
    seen = bytearray()

    def shown() -> bool:
        seen.extend(os.read(leader, 65536))
        return text in seen.decode(errors="ignore")

    # Textual takes its time to load on a busy machine.
    wait_until(shown, deadline=60, what="the screen")
    os.write(leader, b"q")

    def over() -> bool:
        try:
            return not os.read(leader, 65536)
        except OSError:
            return True

    wait_until(over)
    os.close(leader)
    assert process.wait(30) == 0
