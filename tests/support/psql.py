"""PostgreSQL's own psql, to compare with: the newest, as older ones draw some tables otherwise."""

from __future__ import annotations

import os
import shutil
import subprocess

from pg_background.server import Installation, embedded


def program(installation: Installation) -> str:
    """Return one that runs: the embedded PostgreSQL's, the server's own, or else the one in PATH."""
    own = (str(folder / "psql") for folder in (embedded.pg_config().parent, installation.bindir))
    for found in (*own, shutil.which("psql")):
        if found and os.access(found, os.X_OK):
            done = subprocess.run([found, "--version"], capture_output=True, check=False)
            if done.returncode == 0:
                return found
    raise AssertionError("there is no psql that runs")


def psql(installation: Installation, dsn: str, sql: str, *options: str) -> str:
    """Return what it prints."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return subprocess.run(
        [program(installation), "--no-psqlrc", "-d", dsn, *options, "-c", sql],
        env={**environment, "PGCLIENTENCODING": "UTF8"},
        capture_output=True,
        check=True,
    ).stdout.decode("utf-8", "surrogateescape")
