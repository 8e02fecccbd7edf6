"""The command line, run as a user runs it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.testing import CliRunner

from pg_background.cli import app
from pg_background.server import Cluster, Installation
from pg_background.server.postmaster import Postmaster

from .fix_client import Place

_numbers = count(1)


class Finished(NamedTuple):
    """A command that has ended."""

    code: int
    output: str
    errors: str


class Cli:
    """Runs `pg-background`."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.program = Path(sys.executable).with_name("pg-background")
        self._environment = environment
        self._started: list[subprocess.Popen[str]] = []

    def __call__(self, *words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run it with these arguments, and environment variables beside the test's."""
        with self.start(*words, terminal=None, **environment) as process:
            output, errors = process.communicate()
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def inside(self, *words: str | Path, stdin: str | bytes = "", **environment: str) -> Finished:
        """Run it likewise in this process, which is much faster; not for what `main` and signals do."""
        runner = CliRunner(env={**self._environment, **environment})
        # Variables of libpq must not come from whoever runs the tests.
        with pytest.MonkeyPatch.context() as patch:
            for name in os.environ:
                if name.startswith("PG") and name not in environment:
                    patch.delenv(name)
            result = runner.invoke(app, [str(word) for word in words], input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Finished(result.exit_code, result.stdout, result.stderr)

    def start(
        self, *words: str | Path, terminal: int | None = None, **environment: str
    ) -> subprocess.Popen[str]:
        """Start it likewise, and leave it running.

        Args:
            terminal: file descriptor that it is to have for input, output and errors.
        """
        process = subprocess.Popen(
            [self.program, *map(str, words)],
            env={**self._environment, **environment},
            stdin=terminal or subprocess.DEVNULL,
            stdout=terminal or subprocess.PIPE,
            stderr=terminal or subprocess.PIPE,
            text=True,
            # As in a terminal, even if the tests run in the background of a shell, which ignores it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self._started.append(process)
        return process

    def end(self) -> None:
        """End what a failed test has left running."""
        for process in self._started:
            if process.poll() is None:
                with process:
                    process.kill()


@pytest.fixture
def cli(installation: Installation, cache: Path) -> Iterator[Cli]:
    """Runs the command line on the session's PostgreSQL, with builds and copies of the tests' own."""
    made = Cli(
        {
            **{name: value for name, value in os.environ.items() if not name.startswith("PG")},
            "PG_BACKGROUND_CACHE": str(cache),
            "PG_BACKGROUND_PG_CONFIG": str(installation.pg_config),
            # Wide, so that help and messages are not wrapped where a test looks.
            "COLUMNS": "200",
        }
    )
    yield made
    made.end()


@pytest.fixture
def data(open_tmp_path: Path) -> Iterator[Path]:
    """Where a data directory can be made; a server on it is stopped at the test's end."""
    path = open_tmp_path / f"own-{next(_numbers)}"
    yield path
    if Postmaster.of(path):
        Cluster(path).stop("immediate")


class OnPlace:
    """Runs `pg-background` on the server of the tests, in a schema of the test's own."""

    def __init__(self, cli: Cli, dsn: str) -> None:
        self._cli = cli
        self._dsn = dsn

    def __call__(self, *words: str | Path, stdin: str | bytes = "", **environment: str) -> Finished:
        """Run it inside of this process."""
        return self._cli.inside(*words, stdin=stdin, **{"PG_BACKGROUND_DSN": self._dsn, **environment})

    def start(
        self, *words: str | Path, terminal: int | None = None, **environment: str
    ) -> subprocess.Popen[str]:
        """Start it as a process."""
        return self._cli.start(*words, terminal=terminal, **{"PG_BACKGROUND_DSN": self._dsn, **environment})

    @property
    def program(self) -> list[str | Path]:
        """The program, to be started otherwise."""
        return [self._cli.program]

    def on_terminal(
        self, *words: str | Path, size: tuple[int, int] = (80, 24), **environment: str
    ) -> Finished:
        """Run it on a terminal of so many columns and lines; all that it prints is its output."""
        leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        environment = {"TERM": "xterm", "COLUMNS": "", "LINES": "", **environment}
        process = self.start(*words, terminal=follower, **environment)
        os.close(follower)
        seen = bytearray()
        with contextlib.suppress(OSError):
            # Its end is an error on Linux.
            while piece := os.read(leader, 65536):
                seen += piece
        os.close(leader)
        return Finished(process.wait(60), seen.decode(errors="replace").replace("\r\n", "\n"), "")

    def handle(self, *words: str) -> str:
        """Run it, and return the handle that it prints."""
        done = self(*words)
        assert done.code == 0, done.errors
        assert re.fullmatch(r"-?\d+:\d+\n", done.output)
        return done.output.strip()


@pytest.fixture
def bg(cli: Cli, place: Place) -> OnPlace:
    """Runs the command line there."""
    return OnPlace(cli, place.dsn())
