"""`make test BUILD=…`: the servers have what that package brings, and nothing that was built otherwise."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import subprocess
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pg_background.server import Build, Installation
from tests.support.server import Server
from tools import images, ways

#: For a file of a package, by its name alone, what the package says that its content has as a checksum.
Listed = dict[str, str]


def in_wheel(package: Path) -> Listed:
    with zipfile.ZipFile(package) as archive:
        (record,) = (name for name in archive.namelist() if name.endswith(".dist-info/RECORD"))
        rows = list(csv.reader(io.StringIO(archive.read(record).decode())))
    return {
        Path(name).name: base64.urlsafe_b64decode(said.removeprefix("sha256=") + "=").hex()
        for name, said, _ in rows
        if name.startswith("pg_background/_server/")
    }


def in_deb(package: Path) -> Listed:
    done = subprocess.run(["dpkg-deb", "--info", package, "md5sums"], stdout=subprocess.PIPE, check=True)
    return {Path(name).name: said for said, name in map(str.split, done.stdout.decode().splitlines())}


def in_rpm(package: Path) -> Listed:
    done = subprocess.run(["rpm", "-qp", "--dump", package], stdout=subprocess.PIPE, check=True)
    return {Path(line.split()[0]).name: line.split()[3] for line in done.stdout.decode().splitlines()}


def in_image(package: Path) -> Listed:
    found = {}
    for layer in images.layers(package):
        # The image names its parts by their checksums, and has none of single files.
        assert hashlib.sha256(layer.read_bytes()).hexdigest() == layer.name
        with tarfile.open(layer) as archive:
            for member in archive:
                if "pg_background" in member.name and (content := archive.extractfile(member)):
                    found[Path(member.name).name] = hashlib.sha256(content.read()).hexdigest()
    return found


LISTED: Mapping[str, tuple[str, Callable[[Path], Listed]]] = {
    "wheel": ("sha256", in_wheel),
    "deb": ("md5", in_deb),
    "rpm": ("sha256", in_rpm),
    "image": ("sha256", in_image),
    "server-image": ("sha256", in_image),
}


def libraries(pid: int) -> set[Path]:
    """Those of the extension that a process has loaded."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return {Path(line.split(maxsplit=5)[5]) for line in lines if line.endswith("/pg_background.so")}


def test_every_package_is_looked_into() -> None:
    assert set(LISTED) == set(ways.PACKAGES)


def test_the_server_runs_this_build(server: Server, extension: Build) -> None:
    (loaded,) = libraries(server.pid)
    assert loaded.read_bytes() == extension.library.read_bytes()
    with server.connect() as conn:
        assert libraries(conn.info.backend_pid) == {loaded}
    offered = server.execute(
        "SELECT array_agg(name || '--' || version) FROM pg_available_extension_versions"
        " WHERE name LIKE 'pg\\_background%'"
    )
    assert {path.stem for path in extension.scripts if path.stem.count("--") == 1} <= set(offered)


def test_it_is_what_the_package_has(
    request: pytest.FixtureRequest, server: Server, installation: Installation, extension: Build
) -> None:
    """By the checksums that the package itself has of its files."""
    way = request.config.getoption("--build")
    if way not in ways.PACKAGES:
        pytest.skip("the servers do not have a package's files: BUILD=deb, …")
    package = ways.go(way, installation).package
    assert package is not None
    kind, listed = LISTED[way]
    said = listed(package)
    (loaded,) = libraries(server.pid)
    for path in (loaded, *extension.files):
        assert said[path.name] == hashlib.new(kind, path.read_bytes()).hexdigest(), path
    assert len(extension.files) == len({name for name in said if name.endswith((".so", ".sql", ".control"))})
