"""The command line: `pg-background`. What a command needs is imported when it is called."""

from __future__ import annotations

import sys

# Not from typing, which takes longer to load than a Ctrl-C should have to wait for.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .application import app

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line; Ctrl-C and a reader that has gone end it without a traceback at any moment."""
    try:
        from .process import run_process

        run_process()
    except KeyboardInterrupt:
        # Before there was anything to be interrupted.
        sys.stderr.write("interrupted\n")
        sys.exit(130)


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .application import app

    return app
