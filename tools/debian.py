"""Get programs and libraries out of Debian's packages, without installing these."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from pg_background.server import InstallationError
from pg_background.server.places import cache_directory

from .sources import empty_folder_for, make_once, run


def unpacked(name: str, *packages: str) -> Path:
    """Return a folder with the files of these packages, downloaded once.

    Args:
        name: the folder's.

    Raises:
        InstallationError: they can't be had.
    """
    folder = cache_directory() / name
    make_once(folder, lambda new: _fetch(new, packages))
    return folder


def _fetch(folder: Path, packages: tuple[str, ...]) -> None:
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise InstallationError(f"there is no {packages[0]}, and no apt-get to fetch it with")
    if os.geteuid() == 0:
        # A new machine has no lists of packages yet.
        run(["apt-get", "-qq", "update"])
    new = empty_folder_for(folder)
    # Unpacked by root too: a package may start a service.
    run(["apt-get", "-qq", "download", *packages], cwd=new)
    for package in new.glob("*.deb"):
        run(["dpkg", "-x", str(package), str(new)])
        package.unlink()
    new.rename(folder)
