"""Build Debian packages of the source release: `python -m tools.deb`.

One for each PostgreSQL whose headers are installed as Debian's packages. `DEBFULLNAME` and `DEBEMAIL` say who
answers for them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
from email.utils import formatdate
from pathlib import Path

from . import source_release
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
    """Put the release and what makes packages of it into a folder; return where it is built."""
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
    subprocess.run(["pg_buildext", "updatecontrol"], cwd=tree, check=True)
    return tree


def make(folder: Path) -> list[Path]:
    """Build in that folder, which has to be empty; return the packages."""
    # The server that the packages are tried on runs as another user.
    folder.chmod(0o755)
    tree = unpack(folder)
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(source_release.date())}
    # A checkout of Python's is in none of it.
    for name in ("PYTHONPATH", "VIRTUAL_ENV", "MAKEFLAGS", "MFLAGS", "MAKELEVEL"):
        environment.pop(name, None)
    subprocess.run(["dpkg-buildpackage", "-us", "-uc"], cwd=tree, env=environment, check=True)
    return sorted(folder.glob("*.deb"))


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
    argparse.ArgumentParser(description=__doc__, allow_abbrev=False).parse_args()
    require(PROGRAMS)
    folder = ROOT / "build" / "deb"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    dist = ROOT / "dist" / "deb"
    dist.mkdir(parents=True, exist_ok=True)
    try:
        packages = make(folder)
        check(folder)
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"error: {error.cmd[0]} failed") from None
    for package in packages:
        shutil.copyfile(package, dist / package.name)
        print(f"{dist / package.name}: {package.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
