"""The command line, run as a user runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path

import pytest

from pg_background.server import Cluster, Installation
from pg_background.server.postmaster import Postmaster

_numbers = count(1)


class Cli:
    """Runs `pg-background`."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._program = Path(sys.executable).with_name("pg-background")
        self._environment = environment

    def __call__(self, *words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run it with these arguments, and environment variables beside the test's."""
        with self.start(*words, **environment) as process:
            output, errors = process.communicate()
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def start(self, *words: str | Path, **environment: str) -> subprocess.Popen[str]:
        """Start it likewise, and leave it running."""
        return subprocess.Popen(
            [self._program, *map(str, words)],
            env={**self._environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # As in a terminal, even if the tests run in the background of a shell, which ignores it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )


@pytest.fixture
def cli(installation: Installation, cache: Path) -> Cli:
    """Runs the command line on the session's PostgreSQL, with builds and copies of the tests' own."""
    return Cli(
        {
            **{name: value for name, value in os.environ.items() if not name.startswith("PG")},
            "PG_BACKGROUND_CACHE": str(cache),
            "PG_BACKGROUND_PG_CONFIG": str(installation.pg_config),
            # Wide, so that help and messages are not wrapped where a test looks.
            "COLUMNS": "200",
        }
    )


@pytest.fixture
def data(open_tmp_path: Path) -> Iterator[Path]:
    """Where a data directory can be made; a server on it is stopped at the test's end."""
    path = open_tmp_path / f"own-{next(_numbers)}"
    yield path
    if Postmaster.of(path):
        Cluster(path).stop("immediate")
