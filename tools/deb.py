"""Build Debian packages of the source release: `python -m tools.deb`.

One for each PostgreSQL whose headers are installed as Debian's packages, or for those named, `python -m
tools.deb 14 16`: these are fetched, and the packages are for who has packages of them from elsewhere, as from
PostgreSQL's own archive. `DEBFULLNAME` and `DEBEMAIL` say who answers for them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
from collections.abc import Sequence
from email.utils import formatdate
from pathlib import Path

from pg_background.server import Installation, ServerError

from . import deb_servers, servers, source_release
from .needs import require
from .release_tree import ROOT, version

PROGRAMS = {
    "dpkg-buildpackage": "dpkg-dev",
    "dh": "debhelper",
    "pg_buildext": "postgresql-server-dev-all",
    "fakeroot": "fakeroot",
    "lintian": "lintian",
}

#: The project has published none.
NO_ADDRESS = "pg-background@localhost"


def debian_version() -> str:
    """Return the packages' version: a pre-release comes before its release, and ours before Debian's own."""
    return version()[0].replace("-", "~") + "-0upstream1"


def maintainer() -> str:
    """Return who answers for the packages."""
    name = os.environ.get("DEBFULLNAME", "pg_background in Python contributors")
    return f"{name} <{os.environ.get('DEBEMAIL', NO_ADDRESS)}>"


def changelog(when: int) -> str:
    """Return the packages' own: what a release brings is in its CHANGELOG.md."""
    return (
        f"pg-background ({debian_version()}) unstable; urgency=medium\n\n"
        f"  * Package of the release {version()[0]}.\n\n"
        f" -- {maintainer()}  {formatdate(when)}\n"
    )


def unpack(folder: Path) -> Path:
    """Put the release and what makes packages of it into a folder; return where they are built."""
    archive, _ = source_release.make(folder)
    upstream = debian_version().rpartition("-")[0]
    shutil.move(archive, folder / f"pg-background_{upstream}.orig.tar.gz")
    subprocess.run(["tar", "-xf", f"pg-background_{upstream}.orig.tar.gz"], cwd=folder, check=True)
    tree = folder / f"pg_background-{version()[0]}"
    debian = tree / "debian"
    shutil.copytree(ROOT / "packaging" / "debian", debian)
    control = debian / "control.in"
    control.write_text(control.read_text().replace("MAINTAINER", maintainer()))
    (debian / "changelog").write_text(changelog(source_release.date()))
    return tree


def make(folder: Path, installations: Sequence[Installation] = ()) -> list[Path]:
    """Build in that folder, which has to be empty; return the packages.

    Args:
        installations: of PostgreSQL, by default those that Debian has here. On these alone the packages are
            tried while they are built: others' programs are not where Debian's tools run a server.
    """
    # The server that the packages are tried on runs as another user.
    folder.chmod(0o755)
    tree = unpack(folder)
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(source_release.date())}
    # What a checkout's Python and Makefile say is for none of it: an empty PG_CONFIG would name no server.
    for name in ("PYTHONPATH", "VIRTUAL_ENV", "MAKEFLAGS", "MFLAGS", "MAKELEVEL", "PG_CONFIG"):
        environment.pop(name, None)
    inside: list[str] = []
    if installations:
        environment["PG_SUPPORTED_VERSIONS"] = "\n".join(str(found.major) for found in installations)
    if not all(map(deb_servers.is_own, installations)):
        inside = deb_servers.offering(installations, folder / "servers")
        environment["DEB_BUILD_OPTIONS"] = f"{environment.get('DEB_BUILD_OPTIONS', '')} nocheck"
    subprocess.run([*inside, "pg_buildext", "updatecontrol"], cwd=tree, env=environment, check=True)
    subprocess.run([*inside, "dpkg-buildpackage", "-us", "-uc"], cwd=tree, env=environment, check=True)
    return sorted(folder.glob("*.deb"))


def of_major(major: int, packages: list[Path]) -> Path:
    """Return which of the packages is for this PostgreSQL.

    Raises:
        SystemExit: none is.
    """
    found = [path for path in packages if path.name.startswith(f"postgresql-{major}-pg-background_")]
    if not found:
        raise SystemExit(f"error: no package was built for PostgreSQL {major}")
    return found[0]


def check(folder: Path) -> None:
    """Run lintian on source and packages; anything that it says is an error."""
    (changes,) = folder.glob("*.changes")
    accepted = (
        ["bogus-mail-host", "bogus-mail-host-in-debian-changelog"] if NO_ADDRESS in maintainer() else []
    )
    subprocess.run(
        [
            *("lintian", "--allow-root", "--info", "--fail-on", "error,warning,info,override"),
            *("--display-info", "--suppress-tags", ",".join(accepted)),
            changes,
        ],
        check=True,
    )


def main() -> None:
    """Build them into dist/deb, and print what was built."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("majors", nargs="*", type=int, help="versions of PostgreSQL, by default Debian's own")
    majors = parser.parse_args().majors
    require(PROGRAMS)
    folder = ROOT / "build" / "deb"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    dist = ROOT / "dist" / "deb"
    dist.mkdir(parents=True, exist_ok=True)
    try:
        packages = make(folder, [servers.find(major) for major in majors])
        check(folder)
    except ServerError as error:
        raise SystemExit(f"error: {error}") from None
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"error: {error.cmd[0]} failed") from None
    for package in packages:
        shutil.copyfile(package, dist / package.name)
        print(f"{dist / package.name}: {package.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
