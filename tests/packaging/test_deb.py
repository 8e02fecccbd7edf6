"""Debian packages: built, judged by lintian, installed in a clean Debian, used there and purged again."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import psycopg
import pytest

from pg_background.server import Build, TemporaryServer
from tests.support.programs import program
from tools import autopkgtest, clean_root, deb, servers

# Debian's own PostgreSQL is what they are for.
pytestmark = [pytest.mark.slow, pytest.mark.pg("== 15"), pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def folder(open_tmp_path: Path) -> Path:
    """Where they are built, and tested by a server that is not root's."""
    for name, package in deb.PROGRAMS.items():
        program(name, package=package)
    folder = open_tmp_path / "deb"
    folder.mkdir()
    deb.make(folder)
    return folder


@pytest.fixture(scope="module")
def other_packages(open_tmp_path: Path) -> Path:
    """Packages for servers that are not Debian's own."""
    for name, package in deb.PROGRAMS.items():
        program(name, package=package)
    if os.geteuid() != 0:
        pytest.skip("only root can put other servers where Debian's would be")
    folder = open_tmp_path / "deb-others"
    folder.mkdir()
    deb.make(folder, [servers.find(major) for major in (14, 16, 17, 18)])
    return folder


@pytest.fixture
def root(tmp_path: Path) -> clean_root.CleanRoot:
    """A clean Debian, which knows what its archive has."""
    try:
        made = clean_root.make(tmp_path / "root")
    except clean_root.NotHereError as error:
        pytest.skip(str(error))
    try:
        made.update()
    except AssertionError as error:
        pytest.skip(f"Debian's archive can't be reached: {error}")
    return made


def packages(folder: Path) -> list[Path]:
    """Without the symbols for a debugger."""
    return [path for path in folder.glob("*.deb") if "dbgsym" not in path.name]


def test_lintian_says_nothing(folder: Path) -> None:
    deb.check(folder)


def test_contents(folder: Path) -> None:
    for package in packages(folder):
        listed = subprocess.run(["dpkg", "-c", package], capture_output=True, text=True, check=True).stdout
        files = {line.split()[-1] for line in listed.splitlines() if not line.endswith("/")}
        assert {Path(name).suffix for name in files} == {".so", ".sql", ".control", ".gz", ""}
        assert [name for name in files if Path(name).name == "pg_background.so"] != []
        assert [name for name in files if "bitcode" in name] == []
        needs = subprocess.run(
            ["dpkg", "-f", package, "Depends"], capture_output=True, text=True, check=True
        ).stdout
        assert re.search(r"\bpostgresql-\d+\b", needs)
        assert "python" not in needs


def test_same_to_the_bit(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEB_BUILD_OPTIONS", "nocheck")
    again = {path.name: path for path in deb.make(tmp_path)}
    assert again
    for package in folder.glob("*.deb"):
        assert package.read_bytes() == again[package.name].read_bytes()


def test_autopkgtest(folder: Path, root: clean_root.CleanRoot) -> None:
    """The release's own tests, on the package as it is installed, as Debian runs them."""
    program("autopkgtest", package="autopkgtest")
    said = autopkgtest.run(folder, root)
    assert re.search(r"^installcheck +PASS$", said, flags=re.MULTILINE), said


@pytest.mark.parametrize("major", [14, 16, 17, 18])
def test_for_another_server(major: int, other_packages: Path, open_tmp_path: Path) -> None:
    """One that Debian does not have is built by the same rules, and serves that server."""
    package = deb.of_major(major, packages(other_packages))
    files = open_tmp_path / f"package-{major}"
    subprocess.run(["dpkg", "-x", package, files], check=True)
    extension = files / f"usr/share/postgresql/{major}/extension"
    build = Build(
        library=files / f"usr/lib/postgresql/{major}/lib/pg_background.so",
        controls=tuple(sorted(extension.glob("*.control"))),
        scripts=tuple(sorted(extension.glob("*.sql"))),
    )
    with (
        TemporaryServer(pg_config=servers.find(major).pg_config, extension=build) as server,
        psycopg.connect(server.dsn()) as conn,
    ):
        got = conn.execute("SELECT * FROM pg_background_run_query('SELECT 6 * 7') AS (answer int)").fetchall()
    assert got == [(42,)]


def test_lintian_says_nothing_of_those_for_other_servers(other_packages: Path) -> None:
    deb.check(other_packages)


def test_in_a_clean_root(folder: Path, root: clean_root.CleanRoot) -> None:
    """Installed by apt, with a job, and purged."""
    (package,) = packages(folder)
    shutil.copyfile(package, root.path / "tmp" / package.name)
    root.run("apt-get", "-qq", "-y", "--no-install-recommends", "install", "postgresql-15")
    before = root.files()
    root.run("apt-get", "-qq", "-y", "--no-install-recommends", "install", f"/tmp/{package.name}")
    said = root.script(
        "echo \"shared_preload_libraries = 'pg_background'\" >/etc/postgresql/15/main/conf.d/pgbg.conf\n"
        "pg_ctlcluster 15 main start\n"
        "su postgres -c \"psql -X -A -t -c 'CREATE EXTENSION pg_background_cluster CASCADE' -c "
        '\\"SELECT * FROM pg_background_run_query(\'SELECT 6 * 7\') AS (answer int)\\""\n'
    )
    assert said.splitlines()[-1] == "42"
    (root.path / "etc/postgresql/15/main/conf.d/pgbg.conf").unlink()
    root.run("apt-get", "-qq", "-y", "purge", package.name.partition("_")[0])
    assert [path for path in root.files() - before if "background" in path] == []
