"""Tablespaces beside the default one, in a folder that the server may use whoever it runs as."""

from __future__ import annotations

import os
from pathlib import Path

from .server import Server


def make_tablespace(server: Server, folder: Path, name: str) -> Path:
    """Create a tablespace, and return where its databases' files are.

    Args:
        folder: where to make its location; everybody must be able to enter it.
    """
    location = folder / f"{server.cluster.path.name}-{name}"
    location.mkdir()
    owner = server.cluster.path.stat()
    if location.stat().st_uid != owner.st_uid:
        os.chown(location, owner.st_uid, owner.st_gid)
    server.execute(f"CREATE TABLESPACE {name} LOCATION '{location}'")
    (version,) = location.iterdir()
    return version
