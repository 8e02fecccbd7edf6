"""Looking at the jobs of a server again and again, for whatever shows them: the screen, the web page."""

from __future__ import annotations

from .cluster_source import ClusterSource
from .matching import matches
from .server_source import ServerSource
from .source import Snapshot, Source, SourceError, SourceLost

__all__ = ["ClusterSource", "ServerSource", "Snapshot", "Source", "SourceError", "SourceLost", "matches"]
