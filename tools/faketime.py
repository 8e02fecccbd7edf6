"""Get libfaketime, which lets a server see another time: the one that is installed, or Debian's, unpacked."""

from __future__ import annotations

from pathlib import Path

from pg_background.server import InstallationError

from . import debian

_PATTERN = "usr/lib/*/faketime/libfaketime.so.1"


def find() -> Path:
    """Return the library, for LD_PRELOAD.

    Raises:
        InstallationError: it can't be had.
    """
    if found := next(Path("/").glob(_PATTERN), None):
        return found
    folder = debian.unpacked("faketime", "libfaketime")
    if found := next(folder.glob(_PATTERN), None):
        return found
    raise InstallationError(f"Debian's libfaketime has no {_PATTERN}")
