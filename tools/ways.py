"""The ways in which a server gets the extension, for the tests to be run against what each brings.

A package is built by its own tool and unpacked, not installed: `BUILD=deb` leaves the machine as it is.
"""

from __future__ import annotations

import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pg_background.server import Build, Installation, InstallationError, build
from pg_background.server.building import EXTENSIONS
from pg_background.server.installation import FIRST_WITH_EXTENSION_PATH

from . import clean_root, deb, deb_servers, images, pgxs, rpm, server_image, wheels
from .kept import kept
from .needs import require
from .release_tree import ROOT

#: What packages are made of, and by. The Python in a wheel is not what the server loads.
_SOURCES = tuple(
    ROOT / name for name in ("extension", "packaging", "tools", "pyproject.toml", "src/pg_background/server")
)


@dataclass(frozen=True)
class Package:
    """How one kind of package comes to the files that a server needs."""

    #: builds one for a server, in an empty folder
    make: Callable[[Installation, Path], Path]
    #: puts what is in it into an empty folder
    unpack: Callable[[Path, Path], None]
    #: that it is made with, and the package of Debian's that each is in
    programs: Mapping[str, str] = field(default_factory=dict)


def _wheel(installation: Installation, folder: Path) -> Path:
    platform = wheels.collect([installation], folder / "libraries")
    return wheels.make_wheel(folder, folder / "libraries", platform)


def _unzip(package: Path, folder: Path) -> None:
    with zipfile.ZipFile(package) as archive:
        # The sources are in it too.
        compiled = [name for name in archive.namelist() if name.startswith("pg_background/_server/")]
        archive.extractall(folder, compiled)


def _deb(installation: Installation, folder: Path) -> Path:
    return deb.of_major(installation.major, deb.make(folder, [installation]))


def _undeb(package: Path, folder: Path) -> None:
    subprocess.run(["dpkg", "-x", package, folder], check=True)


def _unrpm(package: Path, folder: Path) -> None:
    with tempfile.TemporaryFile() as packed:
        subprocess.run(["rpm2archive", "-"], stdin=package.open("rb"), stdout=packed, check=True)
        packed.seek(0)
        with tarfile.open(fileobj=packed) as archive:
            archive.extractall(folder, filter="tar")


def _unpack_ours(image: Path, folder: Path) -> None:
    images.unpack(image, folder, lambda member: "pg_background" in member.name and member.isfile())


def _volume(installation: Installation, folder: Path) -> Path:
    if installation.major < FIRST_WITH_EXTENSION_PATH:
        raise InstallationError(
            f"PostgreSQL {installation.version} can't be led to a volume with the extension",
            hint=f"from {FIRST_WITH_EXTENSION_PATH} on it can be; BUILD=server-image is for Debian's own",
        )
    images.make(pgxs.build(installation), installation.major, folder / "image")
    return folder / "image"


def _server_image(installation: Installation, folder: Path) -> Path:
    packages = folder / "packages"
    packages.mkdir()
    try:
        if not deb_servers.is_own(installation) or _own_major() != installation.major:
            raise InstallationError(
                f"the image of a server has Debian's own PostgreSQL, not that of {installation.pg_config}"
            )
        server_image.make(_deb(installation, packages), installation.major, folder / "image")
    except clean_root.NotHereError as error:
        raise InstallationError(f"no image of a server can be made here: {error}") from None
    return folder / "image"


def _own_major() -> int | None:
    return server_image.MAJORS.get(clean_root.codename())


#: By what `make test BUILD=…` calls them.
PACKAGES: Mapping[str, Package] = {
    "wheel": Package(_wheel, _unzip),
    "deb": Package(_deb, _undeb, deb.PROGRAMS),
    "rpm": Package(rpm.make, _unrpm, rpm.PROGRAMS),
    "image": Package(_volume, images.unpack, images.PROGRAMS),
    "server-image": Package(_server_image, _unpack_ours, server_image.PROGRAMS),
}


@dataclass(frozen=True)
class Way:
    """A way that was gone."""

    build: Build
    #: what the files came in, if in anything
    package: Path | None = None


def go(name: str, installation: Installation) -> Way:
    """Build the extension for a server in one of `NAMES`, unless that was done with the same inputs.

    Raises:
        ServerError: it can't be built for that server, or not in this way.
        SystemExit: a program is missing, or failed.
    """
    if name not in PACKAGES:
        return Way({"meson": build, "pgxs": pgxs.build}[name](installation))
    package = PACKAGES[name]
    require(dict(package.programs))

    def fill(folder: Path) -> None:
        work, unpacked = folder / "work", folder / "unpacked"
        work.mkdir(parents=True)
        unpacked.mkdir()
        made = package.make(installation, work)
        package.unpack(made, unpacked)
        made.rename(folder / made.name)
        (folder / ".package").write_text(made.name)
        shutil.rmtree(work)

    folder = kept(f"{name}-", installation, _SOURCES, fill)
    return Way(_files(folder / "unpacked"), folder / (folder / ".package").read_text())


#: For one who works on it, and all that are for others.
NAMES = ("meson", "pgxs", *PACKAGES)


def _files(folder: Path) -> Build:
    (library,) = folder.rglob("pg_background.so")
    return Build(
        library=library,
        controls=tuple(path for name in EXTENSIONS for path in folder.rglob(f"{name}.control")),
        scripts=tuple(path for name in EXTENSIONS for path in sorted(folder.rglob(f"{name}--*.sql"))),
    )
