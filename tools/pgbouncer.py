"""Get PgBouncer: the one that is installed, or Debian's, unpacked."""

from __future__ import annotations

from pathlib import Path

from . import debian

#: What its package needs that a small system lacks.
_LIBRARIES = ("libc-ares2", "libevent-2.1-7")


def find() -> Path:
    """Return a folder in which the program is `usr/sbin/pgbouncer` and its libraries `usr/lib/*/`.

    Raises:
        InstallationError: it can't be had.
    """
    if Path("/usr/sbin/pgbouncer").exists():
        return Path("/")
    return debian.unpacked("pgbouncer", "pgbouncer", *_LIBRARIES)
