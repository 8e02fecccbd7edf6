"""Build the extension as a source release is built, by PGXS with make, for the tests to be run against it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from pg_background.server import Build, BuildError, Installation
from pg_background.server.building import EXTENSIONS

from .kept import kept
from .release_tree import PGXS, ROOT, lay_out


def build(installation: Installation) -> Build:
    """Build it, unless the last build for that server had the same inputs.

    Raises:
        InstallationError: the installation has no server headers.
        BuildError: make failed.
    """
    installation.require_headers()

    def fill(folder: Path) -> None:
        lay_out(folder, documents=False)
        make(folder, installation)

    folder = kept("pgxs", installation, (ROOT / "extension", PGXS), fill)
    return Build(
        library=folder / "pg_background.so",
        controls=tuple(folder / f"{name}.control" for name in EXTENSIONS),
        scripts=tuple(path for name in EXTENSIONS for path in sorted(folder.glob(f"{name}--*.sql"))),
    )


def make(folder: Path, installation: Installation, *arguments: str) -> str:
    """Run make in the folder of a release, and return what it and the compiler said.

    Raises:
        BuildError: it failed.
    """
    done = subprocess.run(
        ["make", "-C", folder, f"PG_CONFIG={installation.pg_config}", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        raise BuildError(f"make failed for PostgreSQL {installation.version}:\n{done.stdout.rstrip()}")
    return done.stdout
