"""Build a PostgreSQL that checks its own assertions, from Debian's source package.

A failed assertion ends the server with `TRAP:` in its log, which fails the test that caused it.
Run as `python -m tools.assert_build` it prints the path of the pg_config; the first time takes minutes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

from pg_background.server import Installation, InstallationError, ServerError
from pg_background.server.places import cache_directory

from .sources import complete, empty_folder_for, make_once, run

#: Where Debian keeps the sources of its releases; the signatures are checked with the machine's own keys.
MIRROR = "http://deb.debian.org/debian"

#: The release that has each major version. From 17 on the sources need bison and flex as well.
RELEASES = {15: "bookworm"}

#: What the tests need beside the server.
CONTRIB = ("auto_explain", "dblink", "pg_stat_statements")

CONFIGURE = (
    "--enable-cassert",
    "--enable-debug",
    # Nothing that the tests need, and so nothing that has to be installed first.
    "--without-readline",
    "--without-zlib",
    "--without-icu",
    # -O1 -g: a stack in a core file can be read, and the tests stay quick.
    "CFLAGS=-O1 -g",
)


@dataclass(frozen=True)
class AssertBuild:
    """A server built from source with assertions; see `tools.sources.Source`."""

    #: PostgreSQL's sources, instead of Debian's package of them
    tarball: Path | None = None

    def get(self, major: int) -> Installation:
        """Return it, building it if need be: a few minutes.

        Raises:
            ServerError: the sources can't be had, or don't compile.
        """
        folder = cache_directory() / "servers" / f"postgresql-{major}-assert"
        make_once(folder, lambda new: self._build(major, new))
        found = complete(folder / "bin" / "pg_config", major)
        if "--enable-cassert" not in run([str(found.pg_config), "--configure"]):
            raise InstallationError(f'the server in "{folder}" was built without assertions')
        return found

    def _build(self, major: int, folder: Path) -> None:
        for tool in ("make", "cc", "perl"):
            if shutil.which(tool) is None:
                raise InstallationError(f"there is no {tool} to build PostgreSQL with")
        work = empty_folder_for(folder)
        with tarfile.open(self.tarball or _debian_tarball(major, work)) as archive:
            archive.extractall(work)
        (source,) = (path.parent for path in work.glob("*/configure"))
        # Installed to where it will run from: make install writes the paths into the programs.
        run(["./configure", "--quiet", f"--prefix={folder}", *CONFIGURE], cwd=source)
        jobs = f"-j{os.cpu_count() or 1}"
        stage = work / "stage"
        # Below another make PostgreSQL's makefiles take it for granted that theirs has made the headers.
        alone = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
        for part in (".", *(f"contrib/{name}" for name in CONTRIB)):
            run(["make", "--silent", "-C", part, jobs], environment=alone, cwd=source)
            run(
                ["make", "--silent", "-C", part, "install", f"DESTDIR={stage}"], environment=alone, cwd=source
            )
        # In one step: a build that was interrupted leaves no half of a server.
        (stage / folder.relative_to("/")).rename(folder)
        shutil.rmtree(work)


def _debian_tarball(major: int, work: Path) -> Path:
    """Download the source package with an apt of its own, which changes nothing on the machine."""
    if shutil.which("apt-get") is None:
        raise InstallationError("there is no apt-get to get Debian's sources with")
    if (release := RELEASES.get(major)) is None:
        raise InstallationError(f"no Debian release is known to have PostgreSQL {major}")
    apt = work / "apt"
    download = work / "download"
    for new in (apt / "state" / "lists" / "partial", apt / "cache" / "archives" / "partial", download):
        new.mkdir(parents=True)
    # The main archive only: it keeps every version, the archive of security updates does not.
    (apt / "sources.list").write_text(f"deb-src {MIRROR} {release} main\n")
    options = [
        *("-o", f"Dir::Etc::SourceList={apt}/sources.list"),
        *("-o", "Dir::Etc::SourceParts=-"),
        *("-o", f"Dir::State={apt}/state"),
        *("-o", f"Dir::Cache={apt}/cache"),
        # These folders belong to whoever runs this, and apt would download as a user of its own.
        *("-o", f"APT::Sandbox::User={'root' if os.geteuid() == 0 else ''}"),
        # Package managers with a window keep indexes of their own, which this must not refresh.
        *("-o", "APT::Update::Post-Invoke-Success=", "-o", "APT::Update::Post-Invoke="),
    ]
    run(["apt-get", "-qq", *options, "update"])
    run(
        ["apt-get", "-qq", *options, "--download-only", "source", f"postgresql-{major}/{release}"],
        cwd=download,
    )
    found = [path for path in download.iterdir() if ".orig.tar." in path.name and path.suffix != ".asc"]
    if len(found) != 1:
        raise InstallationError(f"Debian's source package has {len(found)} tarballs, not one")
    return found[0]


def main() -> None:
    """Build, and print where the pg_config is."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("major", type=int, nargs="?", default=15, help="major version [%(default)s]")
    parser.add_argument("--tarball", type=Path, help="PostgreSQL's sources, instead of Debian's")
    arguments = parser.parse_args()
    try:
        print(AssertBuild(arguments.tarball).get(arguments.major).pg_config)
    except ServerError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
