"""Building the extension: what it needs, what it leaves, and when it does nothing."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from pg_background.server import (
    Build,
    BuildError,
    Installation,
    InstallationError,
    build,
    building,
    toolchain,
)
from pg_background.server.building import default_folder, sources
from pg_background.server.installation import NEWEST_MAJOR, OLDEST_MAJOR


def test_the_library_needs_no_python(extension: Build) -> None:
    symbols = subprocess.run(
        ["nm", "-D", "--undefined-only", extension.library], capture_output=True, text=True, check=True
    ).stdout
    assert "palloc" in symbols
    assert [line for line in symbols.splitlines() if line.split()[-1].startswith(("Py", "_Py"))] == []


def test_the_build_fails_for_a_library_that_needs_python(tmp_path: Path) -> None:
    """Or that it cannot look into."""
    python = next(Path(psycopg.__file__).parents[1].glob("psycopg_binary/pq*.so"))
    for library, said in {python: "needs symbols of CPython", tmp_path / "none.so": "No such file"}.items():
        done = subprocess.run(
            ["sh", sources() / "check_no_python.sh", library, tmp_path / "found"],
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        assert done.returncode != 0
        assert said in done.stderr


def test_same_inputs_are_not_built_again(installation: Installation) -> None:
    library = build(installation).library
    before = library.stat().st_mtime_ns
    assert build(installation).library.stat().st_mtime_ns == before
    assert library.parent == default_folder(installation)


def test_what_is_built_needs_no_tools(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    before = build(installation).digest()
    monkeypatch.setenv("PATH", "/no/such/folder")
    assert build(installation).digest() == before


def test_no_c_compiler(installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/no/such/folder")
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(BuildError, match=r"there is no C compiler\nhint: .*apt install gcc"):
        build(installation, folder=tmp_path / "build")


def test_no_python_headers(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda name: "/no/such/folder")
    with pytest.raises(
        BuildError, match=r'"/no/such/folder/Python.h" is missing\nhint: .*apt install python3-dev'
    ):
        build(installation, folder=tmp_path / "build")


def test_no_server_headers(installation: Installation, tmp_path: Path) -> None:
    bare = replace(installation, includedir_server=tmp_path)
    with pytest.raises(InstallationError, match=f"apt install postgresql-server-dev-{installation.major}"):
        build(bare, folder=tmp_path / "build")


def test_unknown_option_is_reported_with_the_output(installation: Installation, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"(?s)could not be built.*no_such_option"):
        build(installation, folder=tmp_path / "build", options={"no_such_option": "1"})


def test_build_folder_that_can_not_be_made(installation: Installation, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BuildError, match="can't write the build folder"):
        build(installation, folder=tmp_path / "file" / "build")


def test_no_room_for_a_build(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the tools say of it would send the reader after a broken compiler."""
    usage = shutil.disk_usage(tmp_path)._replace(free=4096)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(BuildError, match="hint: there is hardly any space left in"):
        build(installation, folder=tmp_path / "build", options={"no_such_option": "1"})

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(building, "_run_meson", fail)
    with pytest.raises(BuildError, match="No space left on device\nhint: free some space, or set PG_B"):
        build(installation, folder=tmp_path / "build")


def test_toolchain_runs_without_the_package(tmp_path: Path) -> None:
    script = tmp_path / "toolchain.py"
    script.write_text(Path(toolchain.__file__).read_text())
    complete = subprocess.run([sys.executable, "-I", script], capture_output=True, text=True, check=False)
    assert (complete.returncode, complete.stderr) == (0, "")
    without = subprocess.run(
        [sys.executable, "-I", script],
        env={"PATH": "/no/such/folder"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert without.returncode == 1
    assert without.stderr.startswith("error: there is no C compiler\nhint: ")


def pg_config_of(version: str, folder: Path) -> Path:
    """A pg_config that says so."""
    path = folder / "pg_config"
    path.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "PostgreSQL {version}" || echo /nowhere\n')
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(("version", "what"), [("13.22", "is too old"), ("20beta1", "is newer than")])
def test_unknown_major(version: str, what: str, tmp_path: Path) -> None:
    with pytest.raises(InstallationError, match=f"^PostgreSQL {version} {what}") as caught:
        Installation.from_pg_config(pg_config_of(version, tmp_path))
    assert re.search(r"14 or newer|14 to 19", caught.value.hint)


@pytest.mark.parametrize("version", [139999, 140000, 199999, 200000])
def test_versions_that_the_shim_takes(version: int, tmp_path: Path) -> None:
    """Another major version ends the build with a sentence, not with pages of the compiler's."""
    lines = (sources() / "src/shim/versions.h").read_text()
    guard = re.search(r"^#if [^\n]*\n#error[^\n]*\n#endif$", lines, flags=re.MULTILINE)
    assert guard is not None
    done = subprocess.run(
        ["cc", "-E", f"-DPG_VERSION_NUM={version}", "-"],
        input=guard[0],
        capture_output=True,
        text=True,
        check=False,
    )
    taken = OLDEST_MAJOR <= version // 10000 <= NEWEST_MAJOR
    assert (done.returncode == 0) == taken
    assert taken or "is for PostgreSQL 14 to 19" in done.stderr


def test_pg_config_of_something_else() -> None:
    with pytest.raises(InstallationError, match="is not a pg_config"):
        Installation.from_pg_config("/bin/echo")
    with pytest.raises(InstallationError, match="failed\nhint: "):
        Installation.from_pg_config("/bin/false")


def test_installation_without_a_server(installation: Installation, tmp_path: Path) -> None:
    with pytest.raises(InstallationError, match=f"has no initdb\nhint: .*postgresql-{installation.major}"):
        replace(installation, bindir=tmp_path).program("initdb")
