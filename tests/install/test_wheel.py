"""The wheel with compiled libraries, in an environment of its own: no compiler, no Cython, no Meson."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from pg_background.server import Build, Cluster, Installation, Runtime, prepare
from pg_background.server.building import EXTENSIONS
from pg_background.server.temporary import FAST_SETTINGS
from tools import wheels

# One major version is enough: `test_prebuilt.py` tells on all which server gets which library.
pytestmark = [pytest.mark.slow, pytest.mark.pg("== 18")]

COMPILERS = re.compile(
    r"(.*-)?(cc|c\+\+|gcc|g\+\+|clang|c[89]9|cpp|ld|as|tcc)([-.].*)?|make|cython.*|meson|ninja"
)


class Environment:
    """A virtual environment with the wheel in it, and a PATH that has no compiler."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.folder = folder
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
        subprocess.run(
            [
                *(sys.executable, "-m", "pip", "--python", folder / "venv" / "bin" / "python"),
                *("install", "--quiet", "--no-compile", "--disable-pip-version-check", f"{wheel}[server]"),
            ],
            check=True,
        )
        programs = folder / "programs"
        programs.mkdir()
        for directory in os.environ["PATH"].split(os.pathsep):
            for path in Path(directory).glob("*"):
                new = programs / path.name
                if not COMPILERS.fullmatch(path.name) and not os.path.lexists(new):
                    new.symlink_to(path)
        self.variables: Mapping[str, str] = {
            "PATH": f"{folder}/venv/bin:{programs}",
            "HOME": str(folder),
            "PG_BACKGROUND_CACHE": str(folder / "cache"),
        }

    def run(self, *words: str | Path) -> str:
        """Run a program of it and return what it printed."""
        program, *rest = words
        done = subprocess.run(
            [self.folder / "venv" / "bin" / program, *rest],
            env=self.variables,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def wheel(installation: Installation, open_tmp_path: Path) -> Path:
    """The wheel with the library of one major version."""
    folder = open_tmp_path / "wheel"
    platform = wheels.collect([installation], folder / "libraries")
    return wheels.make_wheel(folder, folder / "libraries", platform)


@pytest.fixture(scope="module")
def environment(wheel: Path, open_tmp_path: Path) -> Environment:
    """Where it is installed."""
    folder = open_tmp_path / "environment"
    folder.mkdir()
    return Environment(folder, wheel)


def test_contents(wheel: Path) -> None:
    assert re.fullmatch(r"pg_background-\S+-py3-none-manylinux_2_\d+_\w+\.whl", wheel.name)
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = (archive.read(name).decode() for name in names if name.endswith("/WHEEL"))
    assert "Root-Is-Purelib: false" in metadata
    assert "pg_background/_server/lib/18/pg_background.so" in names
    for extension in EXTENSIONS:
        assert f"pg_background/_server/share/extension/{extension}.control" in names
    assert "pg_background/_extension/meson.build" in names


def test_a_job(environment: Environment) -> None:
    data = environment.folder / "data"
    environment.run("pg-background", "server", "start", "--data", data)
    try:
        dsn = environment.run("pg-background", "server", "dsn", "--data", data).strip()
        assert "42" in environment.run("pg-background", "run", "SELECT 6 * 7", "--dbname", dsn)
    finally:
        environment.run("pg-background", "server", "stop", "--data", data)
    assert not (environment.folder / "cache" / "build").exists()


def test_where_it_lies(environment: Environment, installation: Installation, extension: Build) -> None:
    """A server that is led into the environment, with nothing copied."""
    said = environment.run("pg-background", "install", "--pg-config", installation.pg_config, "--in-place")
    settings = dict(re.findall(r"^(\w+) = '(.*)'$", said, flags=re.MULTILINE))
    assert all(str(environment.folder) in value for value in settings.values())
    cluster = Cluster(environment.folder / "in_place")
    # Programs that the server's user can reach, also where this folder is in root's home.
    reachable = prepare(installation, extension, cluster.os_user, store=environment.folder / "runtime")
    cluster.provide(Runtime(reachable.installation, settings))
    cluster.init(sync=False)
    cluster.start(settings=FAST_SETTINGS)
    try:
        cluster.create_extension()
        assert "42" in environment.run("pg-background", "run", "SELECT 42", "--dbname", cluster.dsn())
    finally:
        cluster.stop("immediate")
