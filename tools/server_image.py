"""Build the image of a server, Debian with its PostgreSQL and our package: `python -m tools.server_image`."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from . import clean_root, deb, images
from .needs import require
from .release_tree import ROOT, version

FILES = ROOT / "packaging" / "images"
PROGRAMS = {**deb.PROGRAMS, **images.PROGRAMS, **clean_root.PROGRAMS}

#: What each release of Debian has.
MAJORS = {"bookworm": 15, "trixie": 17}

# No data are made by the packages: the image makes them when it is started.
_INSTALL = """
mkdir -p /etc/postgresql-common
echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
apt-get -qq update
apt-get -qq -y --no-install-recommends install /tmp/*.deb
rm -rf /tmp/*.deb /var/lib/apt/lists/* /var/cache/apt/* /var/log/* /var/lib/postgresql/*
"""


def package_for(major: int, folder: Path) -> Path:
    """Build the Debian packages in an empty folder, and return the one for this major version."""
    return deb.of_major(major, deb.make(folder))


def context(package: Path, folder: Path) -> None:
    """Put into a folder what goes into the image: a root with the package installed in it, as an archive."""
    root = clean_root.make(folder / "root")
    shutil.copyfile(package, root.path / "tmp" / package.name)
    root.script(_INSTALL)
    clean_root.forget_machine(root)
    # An archive, which keeps owners: what is copied file by file becomes root's.
    subprocess.run(
        ["tar", "-C", root.path, "--one-file-system", "--numeric-owner", "-cf", folder / "root.tar", "."],
        check=True,
    )
    shutil.rmtree(root.path)
    shutil.copy2(FILES / "start-postgresql", folder / "start-postgresql")


def make(package: Path, major: int, target: Path) -> None:
    """Build the image, and write it as a folder in OCI's layout."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        context(package, folder)
        images.write(
            folder, FILES / "Containerfile.server", target, f"{version()[0]}-server-{major}", MAJOR=str(major)
        )


def main() -> None:
    """Build it into dist/images, and print what was built."""
    require(PROGRAMS)
    try:
        major = MAJORS[clean_root.codename()]
        target = ROOT / "dist" / "images" / f"pg_background-{version()[0]}-server-{major}"
        with tempfile.TemporaryDirectory() as folder:
            make(package_for(major, Path(folder)), major, target)
    except KeyError as error:
        sys.exit(f"error: it is not known which PostgreSQL {error} has")
    except clean_root.NotHereError as error:
        sys.exit(f"error: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"error: {error.cmd[0]} failed")
    print(target)


if __name__ == "__main__":
    main()
