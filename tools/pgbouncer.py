"""Get PgBouncer: the one that is installed, or Debian's, unpacked."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from pg_background.server import InstallationError
from pg_background.server.lock import hold_lock
from pg_background.server.places import cache_directory

from .sources import empty_folder_for, run

#: What its package needs that a small system lacks.
_LIBRARIES = ("libc-ares2", "libevent-2.1-7")


def find() -> Path:
    """Return a folder in which the program is `usr/sbin/pgbouncer` and its libraries `usr/lib/*/`.

    Raises:
        InstallationError: it can't be had.
    """
    if Path("/usr/sbin/pgbouncer").exists():
        return Path("/")
    folder = cache_directory() / "pgbouncer"
    if not folder.exists():
        with hold_lock(folder):
            # Another process may have done it meanwhile.
            if not folder.exists():
                _fetch(folder)
    return folder


def _fetch(folder: Path) -> None:
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise InstallationError("there is no pgbouncer, and no apt-get to fetch it with")
    if os.geteuid() == 0:
        # A new machine has no lists of packages yet.
        run(["apt-get", "-qq", "update"])
    new = empty_folder_for(folder)
    # Unpacked by root too: the package would start a service.
    run(["apt-get", "-qq", "download", "pgbouncer", *_LIBRARIES], cwd=new)
    for package in new.glob("*.deb"):
        run(["dpkg", "-x", str(package), str(new)])
        package.unlink()
    new.rename(folder)
