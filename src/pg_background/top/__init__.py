"""The jobs of a server on a screen, live. Needs textual, the extra `top`."""

from __future__ import annotations

from ..watching import ServerSource, Snapshot, Source, SourceError
from .app import TopApp

__all__ = ["ServerSource", "Snapshot", "Source", "SourceError", "TopApp", "run"]


def run(conninfo: str, interval: float) -> None:
    """Show the screen until the user leaves it.

    Args:
        conninfo: as libpq takes it.
        interval: seconds between two polls of the server.
    """
    TopApp(ServerSource(conninfo), interval=interval).run()
