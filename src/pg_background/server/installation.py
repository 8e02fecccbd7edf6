"""A PostgreSQL installation, as its pg_config describes it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .errors import InstallationError

#: The oldest major version that the extension supports.
OLDEST_MAJOR = 14

#: The newest that it is tested on; `shim/versions.h` has it too.
NEWEST_MAJOR = 19

#: The first major version that can be led to an extension outside of its own folders.
FIRST_WITH_EXTENSION_PATH = 18


@dataclass(frozen=True, kw_only=True)
class Installation:
    """Where one PostgreSQL keeps its parts."""

    #: as pg_config says it, without the product name: `18.6`, `15.20 (Debian 15.20-0+deb12u1)`
    version: str
    #: 14, 15, …
    major: int
    #: pg_config itself; not necessarily in `bindir`
    pg_config: Path
    bindir: Path
    #: has `extension/`
    sharedir: Path
    #: `$libdir`
    pkglibdir: Path
    includedir_server: Path

    @classmethod
    def from_pg_config(cls, pg_config: str | Path) -> Installation:
        """Ask a pg_config.

        Args:
            pg_config: a path, or a name to look up in PATH.

        Raises:
            InstallationError: it can't be run, is not a pg_config, or is of an unsupported version.
        """
        # A shell leaves the ~ of --pg-config=~/… as it is.
        named = os.path.expanduser(pg_config)  # noqa: PTH111 (it keeps `./` and does not fail)
        found = shutil.which(named)
        if found is None:
            raise _no_program(named)
        path = Path(found).absolute()
        version = _ask(path, "--version").removeprefix("PostgreSQL ")
        match = re.match(r"\d+", version)
        if match is None:
            raise InstallationError(
                f'"{path}" is not a pg_config', hint=f"it answered: {version.partition(chr(10))[0]}"
            )
        major = int(match[0])
        if major < OLDEST_MAJOR:
            raise InstallationError(
                f"PostgreSQL {version} is too old",
                hint=f"pg_background needs PostgreSQL {OLDEST_MAJOR} or newer",
            )
        if major > NEWEST_MAJOR:
            raise InstallationError(
                f"PostgreSQL {version} is newer than this release of pg_background",
                hint=f"it supports {OLDEST_MAJOR} to {NEWEST_MAJOR}: look for a newer one",
            )
        return cls(
            version=version,
            major=major,
            pg_config=path,
            bindir=Path(_ask(path, "--bindir")),
            sharedir=Path(_ask(path, "--sharedir")),
            pkglibdir=Path(_ask(path, "--pkglibdir")),
            includedir_server=Path(_ask(path, "--includedir-server")),
        )

    def program(self, name: str) -> Path:
        """Return the path of one of the server's programs.

        Raises:
            InstallationError: this installation lacks it (libpq's own pg_config knows no server).
        """
        path = self.bindir / name
        if not path.exists():
            raise InstallationError(
                f'PostgreSQL {self.version} in "{self.bindir}" has no {name}',
                hint=f"install the server: on Debian and Ubuntu, apt install postgresql-{self.major}",
            )
        return path

    def configured(self, setting: str, data: Path) -> str | None:
        """Return what the configuration files of a server say, whether it runs or not.

        Args:
            setting: its name.
            data: the server's data directory, or the folder of its postgresql.conf.

        Returns:
            None if they can't be read, or are not in order.
        """
        try:
            done = subprocess.run(
                [self.program("postgres"), "-C", setting, "-D", data],
                capture_output=True,
                encoding="utf-8",
                errors="surrogateescape",
                check=False,
            )
        except OSError:
            return None
        return done.stdout.removesuffix("\n") if done.returncode == 0 else None

    def configure_options(self) -> str:
        """Return how the server was configured before it was built; "" if it does not say."""
        try:
            return _ask(self.pg_config, "--configure")
        except InstallationError:
            return ""

    def has_headers(self) -> bool:
        """Tell whether an extension can be compiled against this installation."""
        return (self.includedir_server / "postgres.h").exists()

    def require_headers(self) -> None:
        """Check that an extension can be compiled against this installation.

        Raises:
            InstallationError: the server headers are missing; the hint names their package.
        """
        if not self.has_headers():
            raise InstallationError(
                f"PostgreSQL {self.version} has no server headers: "
                f'"{self.includedir_server / "postgres.h"}" is missing',
                hint=f"on Debian and Ubuntu: apt install postgresql-server-dev-{self.major}; "
                f"on Fedora: dnf install postgresql{self.major}-devel",
            )


def _no_program(named: str) -> InstallationError:
    hint = "give the path of the server's pg_config, such as /usr/lib/postgresql/18/bin/pg_config"
    path = Path(named)
    if not named or not path.is_dir():
        return InstallationError(f'no program "{named}"', hint=hint)
    inside = next((name for name in ("pg_config", "bin/pg_config") if (path / name).exists()), None)
    return InstallationError(
        f'"{named}" is a folder, not a pg_config', hint=f"name {path / inside}" if inside else hint
    )


def _ask(pg_config: Path, option: str) -> str:
    try:
        done = subprocess.run(
            [pg_config, option],
            capture_output=True,
            # Names of folders may be in any encoding.
            encoding="utf-8",
            errors="surrogateescape",
            check=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise InstallationError(
            f'"{pg_config} {option}" failed', hint="is it the pg_config of a PostgreSQL server?"
        ) from error
    return done.stdout.strip()
