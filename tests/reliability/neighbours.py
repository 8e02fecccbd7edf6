"""Servers with other libraries loaded beside the extension's, as far as this machine has them."""

from __future__ import annotations

import shutil

import pytest

from pg_background.server import Installation, InstallationError
from tools import debian

from ..support.server import Server


def provide(server: Server, extension: str) -> None:
    """Put an extension of Debian's packages where a server finds it; skips the test where there is none.

    The server is the test's own and does not have it loaded yet. What it runs from is the run's own copy.
    """
    installation = server.cluster.runtime.installation
    if not is_debians(installation):
        pytest.skip(f"Debian's {extension} is for the PostgreSQL of the same release")
    package = f"postgresql-{installation.major}-{extension.removeprefix('pg_')}"
    try:
        unpacked = debian.unpacked(package, package)
    except InstallationError as error:
        pytest.skip(f"no {extension}: {error}")
    for library in unpacked.glob(f"usr/lib/postgresql/*/lib/{extension}.so"):
        shutil.copy(library, installation.pkglibdir)
    for file in unpacked.glob(f"usr/share/postgresql/*/extension/{extension}*"):
        shutil.copy(file, installation.sharedir / "extension")


def is_debians(installation: Installation) -> bool:
    """Whether Debian's packages have the extensions that were built for this server."""
    return "Debian" in installation.version
