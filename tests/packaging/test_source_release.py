"""The archives of a source release: what is in them, and that they are the same whenever they are made."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from pg_background.server.building import EXTENSIONS
from tools import source_release
from tools.release_tree import PGXS

# They are about no server.
pytestmark = [pytest.mark.slow, pytest.mark.pg("== 18")]


def names(archive: Path) -> set[PurePosixPath]:
    """The files in one, without the folder that all are in."""
    with tarfile.open(archive) as tar:
        members = [PurePosixPath(member.name) for member in tar if member.isfile()]
    (top,) = {path.parts[0] for path in members}
    assert archive.name == f"{top}.tar.gz"
    return {path.relative_to(top) for path in members}


def test_contents(archives: tuple[Path, Path]) -> None:
    inside = {str(path) for path in names(archives[0])}
    assert {
        *("Makefile", "META.json", "LICENSE", "README.md", "INSTALL.md", "exports.map", "pg_background.c"),
        *(f"{name}.control" for name in EXTENSIONS),
        *(f"{name}--3.0.sql" for name in EXTENSIONS),
        *("pg_background--1.8--3.0.sql", "pg_background--2.0--3.0.sql"),
        *("c_source.py", "src/pg_background.pyx", "src/shim.h", "src/shim/versions.h"),
        "src/pg_background/load/module.pyx",
        *("docs/install.md", "docs/reference/README.md"),
    } <= inside
    assert {path for path in inside if path.endswith((".so", ".o", ".pyc"))} == set()
    for test in (PGXS / "test" / "sql").glob("*.sql"):
        assert {f"test/sql/{test.name}", f"test/expected/{test.stem}.out"} <= inside


def test_both_have_the_same(archives: tuple[Path, Path]) -> None:
    tar, zipped = archives
    with zipfile.ZipFile(zipped) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    with tarfile.open(tar) as unpacked:
        for member in unpacked:
            if (file := unpacked.extractfile(member)) is not None:
                assert content.pop(member.name) == file.read()
    assert content == {}


def test_same_to_the_bit(
    archives: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever makes it, wherever and when."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(source_release.date()))
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    monkeypatch.setenv("LC_ALL", "C")
    subprocess.run(
        [
            "sh",
            "-c",
            'umask 077 && exec "$0" "$@"',
            sys.executable,
            "-m",
            "tools.source_release",
            "--into",
            tmp_path,
        ],
        cwd=PGXS.parents[1],
        check=True,
    )
    for archive in archives:
        assert (tmp_path / archive.name).read_bytes() == archive.read_bytes()


def test_links_of_the_readme(archives: tuple[Path, Path]) -> None:
    inside = names(archives[0])
    readme = (PGXS.parents[1] / "README.md").read_text()
    links = {target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", readme)}
    assert [link for link in links if "://" not in link and PurePosixPath(link) not in inside] == []
