"""Build the image of the extension for CloudNativePG's extension volumes: `python -m tools.images 18`.

It has no system and no server in it, but `/lib` and `/share/extension`, to which servers from 18 on are led.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pg_background.server import Build, ServerError
from pg_background.server.installation import FIRST_WITH_EXTENSION_PATH

from . import pgxs, servers, source_release
from .needs import require
from .release_tree import ROOT, version

FILES = ROOT / "packaging" / "images"
PROGRAMS = {"buildah": "buildah", "skopeo": "skopeo"}


def context(build: Build, folder: Path) -> None:
    """Put into a folder what goes into the image, as it is there."""
    shared = folder / "share" / "extension"
    shared.mkdir(parents=True)
    for path in (*build.controls, *build.scripts):
        shutil.copyfile(path, shared / path.name)
        (shared / path.name).chmod(0o644)
    library = folder / "lib" / build.library.name
    library.parent.mkdir()
    subprocess.run(["strip", "--strip-unneeded", "-o", library, build.library], check=True)
    library.chmod(0o755)
    shutil.copyfile(ROOT / "LICENSE", folder / "LICENSE")


def make(build: Build, major: int, target: Path) -> None:
    """Build the image, and write it as a folder in OCI's layout."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "context"
        context(build, folder)
        write(folder, FILES / "Containerfile.extension", target, f"{version()[0]}-{major}")


def write(context: Path, containerfile: Path, target: Path, tag: str, **arguments: str) -> None:
    """Build an image of a folder, and write it as a folder in OCI's layout."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Its own storage, and no other programs' file systems: so it needs no rights but to make files.
        buildah = [
            *("buildah", "--storage-driver", "vfs"),
            *("--root", str(folder / "storage"), "--runroot", str(folder / "run")),
        ]
        image = f"localhost/pg_background:{tag}"
        given = [part for item in arguments.items() for part in ("--build-arg", "=".join(item))]
        subprocess.run(
            [
                *(*buildah, "bud", "--quiet", "--isolation", "chroot", "--format", "oci"),
                *("--timestamp", str(source_release.date()), *given),
                *("--label", f"org.opencontainers.image.version={version()[0]}"),
                *("--label", "org.opencontainers.image.licenses=PostgreSQL"),
                *("--file", str(containerfile), "--tag", image, str(context)),
            ],
            stdout=subprocess.DEVNULL,
            check=True,
        )
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([*buildah, "push", "--quiet", image, f"oci:{target}:{tag}"], check=True)


def layers(image: Path) -> list[Path]:
    """Return the archives of which an image in OCI's layout is made, the lowest first."""

    def read(digest: str) -> Any:
        return json.loads((image / "blobs" / digest.replace(":", "/")).read_text())

    index = json.loads((image / "index.json").read_text())
    manifest = read(index["manifests"][0]["digest"])
    return [image / "blobs" / layer["digest"].replace(":", "/") for layer in manifest["layers"]]


def unpack(
    image: Path, folder: Path, is_wanted: Callable[[tarfile.TarInfo], bool] = lambda member: True
) -> None:
    """Do what a mount of an image in OCI's layout does, with those of its files that are wanted."""
    for layer in layers(image):
        with tarfile.open(layer) as archive:
            archive.extractall(folder, filter(is_wanted, archive), filter="tar")


def main() -> None:
    """Build it into dist/images, and print what was built."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("major", type=int, help="major version of PostgreSQL, 18 or newer")
    major = parser.parse_args().major
    if major < FIRST_WITH_EXTENSION_PATH:
        sys.exit(f"error: PostgreSQL {major} finds extensions in its own folders only")
    require(PROGRAMS)
    target = ROOT / "dist" / "images" / f"pg_background-{version()[0]}-{major}"
    try:
        make(pgxs.build(servers.find(major)), major, target)
    except ServerError as error:
        sys.exit(f"error: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"error: {error.cmd[0]} failed")
    print(target)


if __name__ == "__main__":
    main()
