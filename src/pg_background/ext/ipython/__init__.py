"""`%load_ext pg_background`: jobs from IPython and Jupyter; docs/notebooks.md is the guide."""

from __future__ import annotations

from typing import Any

from ...client.job import Job
from ...client.result import Result
from .live import show
from .magics import BackgroundMagics
from .tables import print_result

_MAGICS = "BackgroundMagics"


def load(shell: Any) -> None:
    """Add the magics to a shell, and show jobs and results there as what they are."""
    shell.register_magics(BackgroundMagics(shell))
    shell.display_formatter.formatters["text/plain"].for_type(Result, print_result)
    # Outputs can be changed later in notebooks only.
    if hasattr(shell, "kernel"):
        shell.display_formatter.ipython_display_formatter.for_type(Job, show)


def unload(shell: Any) -> None:
    """Take it all back, and close the connections; jobs go on."""
    magics = shell.magics_manager.registry.pop(_MAGICS, None)
    if magics is None:
        return
    magics.close()
    for kind, names in magics.magics.items():
        for name in names:
            shell.magics_manager.magics[kind].pop(name, None)
    shell.display_formatter.formatters["text/plain"].pop(Result, None)
    shell.display_formatter.ipython_display_formatter.pop(Job, None)
