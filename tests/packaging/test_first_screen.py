"""What README.md begins with, typed as it stands on a Debian that has Python alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmarks import readme
from benchmarks.install_ways import PYTHON
from benchmarks.installing import downloaded
from pg_background.server import Installation
from tools import clean_root, wheels
from tools.clean_root import CleanRoot

# It brings a PostgreSQL 18.
pytestmark = [pytest.mark.slow, pytest.mark.pg("== 18"), pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def wheel(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The one with libraries, for the server that it brings."""
    libraries = tmp_path_factory.mktemp("libraries")
    platform = wheels.collect([installation], libraries)
    return wheels.make_wheel(tmp_path_factory.mktemp("dist"), libraries, platform)


@pytest.fixture
def root(tmp_path: Path, wheel: Path) -> CleanRoot:
    """A Debian with Python, and the wheel in the folder that the commands name."""
    try:
        root = clean_root.make(tmp_path / "root")
    except clean_root.NotHereError as error:
        pytest.skip(str(error))
    root.script(PYTHON)
    dist = root.path / "root" / "dist"
    dist.mkdir()
    shutil.copy(wheel, dist)
    return root


def test_at_the_shell(root: CleanRoot) -> None:
    said = root.script(f"cd /root\n{readme.at_the_shell()}")
    assert "\n     42\n" in said
    assert "nightly" in said
    assert said.rstrip().endswith("stopped")


def test_in_python(root: CleanRoot) -> None:
    said = root.script(f"cd /root\n{readme.in_python()}")
    assert said.splitlines()[-1] == "[(42,)]"


def test_it_needs_no_compiler(root: CleanRoot) -> None:
    assert root.script("command -v cc gcc make || true").strip() == ""


def test_what_apt_and_pip_fetched() -> None:
    assert downloaded("Need to get 1,234 kB of archives.\nNeed to get 0 B/98.5 kB of archives.\n") == 1234e3
    assert downloaded("  Downloading psycopg-3.2-py3-none-any.whl (200 kB)\n") == 200e3
    assert downloaded("Downloading a.whl (4.5 MB)\n  Downloading b.whl.metadata (512 bytes)\n") == 4.5e6 + 512
