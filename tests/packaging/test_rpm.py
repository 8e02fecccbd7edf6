"""An rpm for the server under test: built, judged by rpmlint, installed, used, and taken away again."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pg_background.server import Build, Installation
from pg_background.server.building import EXTENSIONS
from tests.support.fix_server import FreshServer
from tests.support.programs import program
from tools import rpm

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def package(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package."""
    for name, debian in rpm.PROGRAMS.items():
        program(name, package=debian)
    return rpm.make(installation, tmp_path_factory.mktemp("rpm"))


def asked(package: Path, what: str) -> list[str]:
    """What rpm knows of it."""
    done = subprocess.run(["rpm", "-qp", what, package], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_rpmlint_says_nothing(package: Path) -> None:
    rpm.check(package)


def test_contents(package: Path, installation: Installation) -> None:
    files = asked(package, "--list")
    assert str(installation.pkglibdir / "pg_background.so") in files
    for name in EXTENSIONS:
        assert str(installation.sharedir / "extension" / f"{name}.control") in files
        assert str(installation.sharedir / "extension" / f"{name}--3.0.sql") in files
    assert [name for name in files if "bitcode" in name or "build-id" in name] == []
    needs = asked(package, "--requires")
    assert f"postgresql{installation.major}-server" in needs
    assert [name for name in needs if "python" in name] == []


def test_a_job_and_nothing_left(
    package: Path, installation: Installation, fresh_server: FreshServer, open_tmp_path: Path
) -> None:
    """What it installs serves a server; what takes it away leaves nothing."""
    root = open_tmp_path / "rpm-root"
    root.mkdir()
    # Its own list of what is installed; the server there did not come as an rpm.
    inside = ["rpm", "--root", str(root), "--dbpath", "/rpmdb"]
    subprocess.run([*inside, "--nodeps", "--install", package], check=True)
    shared = root / str(installation.sharedir / "extension").lstrip("/")
    build = Build(
        library=root / str(installation.pkglibdir / "pg_background.so").lstrip("/"),
        controls=tuple(sorted(shared.glob("*.control"))),
        scripts=tuple(sorted(shared.glob("*.sql"))),
    )
    with fresh_server(extension=build).connect() as session:
        got = session.execute(
            "SELECT * FROM pg_background_run_query('SELECT 6 * 7') AS (answer int)"
        ).fetchall()
    assert got == [(42,)]
    name = asked(package, "--queryformat=%{NAME}")[0]
    subprocess.run([*inside, "--erase", name], check=True)
    left = [path for path in root.rglob("*") if path.is_file() and "rpmdb" not in path.parts]
    assert left == []
