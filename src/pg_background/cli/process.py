"""The process around a command: an early or late Ctrl-C, a reader that has gone, completion."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import NoReturn

from .errors.exits import Exit

#: Set by the script that makes a shell complete.
_COMPLETES = "_PG_BACKGROUND_COMPLETE"


def end_at_once(_: int, __: FrameType | None) -> NoReturn:
    """End the process where it is, on Ctrl-C before and after a command: there is nothing to be undone.

    An exception could come in the middle of an import, which makes another one of it or loses it.
    """
    os.write(2, b"interrupted\n")
    os._exit(Exit.INTERRUPTED)


def run_process() -> None:
    """Run the command line, and exit."""
    # Not where it is ignored, as in the background of a script.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, end_at_once)
    if _COMPLETES in os.environ:
        # Typer would load it for the help texts of some shells, which have no markup here.
        sys.modules["rich"] = None  # type: ignore[assignment]
    from .application import app

    code: str | int | None = 0
    try:
        app()
    except SystemExit as ended:
        code = ended.code
    sys.exit(_flushed(code))


def _flushed(code: str | int | None) -> str | int | None:
    """Write what is still buffered; Python's own attempt at exit would complain."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        from .output.console import drop

        drop(sys.stdout)
        return Exit.PIPE
    return code
