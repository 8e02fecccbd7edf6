"""The folders that are used when nobody names one."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

from .errors import ServerError

#: Overrides `cache_directory()`.
CACHE_VARIABLE = "PG_BACKGROUND_CACHE"

#: As root, so that the server's operating-system user can reach it and can't write to it.
SYSTEM_DIRECTORY = Path("/var/lib/pg_background")


def data_directory(major: int) -> Path:
    """Return where the data of a server of this major version live by default."""
    base = SYSTEM_DIRECTORY
    if os.geteuid() != 0:
        base = _of_user("XDG_DATA_HOME", ".local/share", "Library/Application Support")
    return base / f"data-{major}"


def cache_directory() -> Path:
    """Return where builds and copies of programs are kept; all of it can be made again."""
    if named := os.environ.get(CACHE_VARIABLE):
        return Path(named).absolute()
    if os.geteuid() == 0:
        return SYSTEM_DIRECTORY / "cache"
    return _of_user("XDG_CACHE_HOME", ".cache", "Library/Caches")


def cache_remedy(error: OSError) -> str:
    """Return what to do where the cache can't be written."""
    remedy = "free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "make it writable"
    return f"{remedy}, or set {CACHE_VARIABLE} to another folder"


def _of_user(variable: str, elsewhere: str, on_macos: str) -> Path:
    if sys.platform == "darwin":
        return _home() / on_macos / "pg_background"
    # The XDG specification: a relative path in the variable is to be ignored.
    named = Path(os.environ.get(variable, ""))
    return (named if named.is_absolute() else _home() / elsewhere) / "pg_background"


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError as error:
        # In a container that runs as a user of any number, as OpenShift's do.
        raise ServerError(
            f"the user {os.geteuid()} has no home directory",
            hint=f"set HOME, or {CACHE_VARIABLE} to a folder for what is built, "
            "and name the data directory of a server by --data",
        ) from error
