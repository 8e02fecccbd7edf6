"""The process around a command: what it does about a reader that has gone, and about completion."""

from __future__ import annotations

import os
import signal
import sys

from .errors.exits import Exit

#: Set by the script that makes a shell complete.
_COMPLETES = "_PG_BACKGROUND_COMPLETE"


def run_process() -> None:
    """Run the command line, and exit."""
    if _COMPLETES in os.environ:
        # Typer would load it for the help texts of some shells, which have no markup here.
        sys.modules["rich"] = None  # type: ignore[assignment]
    from .application import app

    code: str | int | None = 0
    try:
        app()
    except SystemExit as ended:
        code = ended.code
    # Whatever is interrupted from here on has no message to print.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
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
