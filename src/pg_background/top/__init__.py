"""The jobs of a server on a screen, live. Needs textual, the extra `top`."""

from __future__ import annotations

from .app import TopApp
from .server_source import ServerSource
from .source import Snapshot, Source, SourceError

__all__ = ["ServerSource", "Snapshot", "Source", "SourceError", "TopApp", "run"]


def run(conninfo: str, interval: float) -> None:
    """Show the screen until the user leaves it.

    Args:
        conninfo: as libpq takes it.
        interval: seconds between two polls of the server.
    """
    TopApp(ServerSource(conninfo), interval=interval).run()
