"""The jobs of a server on a screen, live. Needs textual, the extra `top`."""

from __future__ import annotations

from ..watching import ClusterSource, ServerSource, Snapshot, Source, SourceError
from .app import TopApp

__all__ = ["ClusterSource", "ServerSource", "Snapshot", "Source", "SourceError", "TopApp", "run"]


def run(source: Source, interval: float) -> None:
    """Show the screen until the user leaves it.

    Args:
        source: closed at its end.
        interval: seconds between two polls.
    """
    TopApp(source, interval=interval).run()
