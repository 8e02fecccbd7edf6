"""META.json, by the rules of PGXN's specification 1.0.0: PGXN refuses a release that breaks one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tools import release_tree
from tools.release_tree import ROOT, metadata

REQUIRED = {"name", "version", "abstract", "maintainer", "license", "provides", "meta-spec"}
OPTIONAL = {"description", "generated_by", "tags", "no_index", "prereqs", "release_status", "resources"}
PHASES = {"configure", "build", "test", "runtime", "develop"}
RELATIONS = {"requires", "recommends", "suggests", "conflicts"}

SEMANTIC_VERSION = re.compile(r"(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)(?:-[A-Za-z][0-9A-Za-z-]*)?")
#: A name: no space, slash, backslash or control character.
TERM = re.compile(r"[^\s/\\\x00-\x1f\x7f]{2,}")


@pytest.fixture
def meta() -> dict[str, Any]:
    """What a release has."""
    found: dict[str, Any] = json.loads(metadata())
    return found


def test_keys(meta: dict[str, Any]) -> None:
    assert meta.keys() >= REQUIRED
    assert meta.keys() - REQUIRED - OPTIONAL == set()
    for key in ("name", "version", "abstract", "maintainer", "description", "generated_by"):
        assert isinstance(meta[key], str)
        assert meta[key]


def test_its_own_specification(meta: dict[str, Any]) -> None:
    assert meta["meta-spec"] == {"version": "1.0.0", "url": "https://pgxn.org/meta/spec.txt"}


def test_names_and_versions(meta: dict[str, Any]) -> None:
    for name, described in [(meta["name"], meta), *meta["provides"].items()]:
        assert TERM.fullmatch(name)
        assert SEMANTIC_VERSION.fullmatch(described["version"])
    for tag in meta["tags"]:
        assert re.fullmatch(r"[^/\\\x00-\x1f\x7f]{1,255}", tag)


def test_licence_and_status(meta: dict[str, Any]) -> None:
    assert meta["license"] == "postgresql"
    assert meta["release_status"] in ("stable", "testing", "unstable")
    assert ("-" in meta["version"]) == (meta["release_status"] != "stable")


def test_what_it_provides(meta: dict[str, Any]) -> None:
    """Both extensions, by their install scripts."""
    controls = {path.stem: path for path in ROOT.glob("extension/*.control")}
    assert meta["provides"].keys() == controls.keys()
    for name, described in meta["provides"].items():
        assert described.keys() <= {"file", "version", "abstract", "docfile"}
        control = controls[name].read_text()
        (version,) = re.findall(r"^default_version = '(.+)'$", control, flags=re.MULTILINE)
        assert described["file"] == f"{name}--{version}.sql"
        assert (ROOT / "extension" / "sql" / described["file"]).exists()
        assert (ROOT / described["docfile"]).exists()
        assert described["version"].startswith(f"{version}.")
        assert f"comment = '{described['abstract']}'" in control


def test_what_it_needs(meta: dict[str, Any]) -> None:
    assert meta["prereqs"].keys() <= PHASES
    for phase in meta["prereqs"].values():
        assert phase.keys() <= RELATIONS
        for needed in phase.values():
            for name, version in needed.items():
                assert TERM.fullmatch(name)
                assert SEMANTIC_VERSION.fullmatch(version)


@pytest.mark.parametrize(
    ("python", "pgxn", "status"),
    [
        ("3.0.0", "3.0.0", "stable"),
        ("3.1.0.dev0", "3.1.0-dev0", "unstable"),
        ("3.1.0a2", "3.1.0-a2", "unstable"),
        ("3.1.0rc1", "3.1.0-rc1", "testing"),
    ],
)
def test_version_of_the_package(
    python: str, pgxn: str, status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text(f'[project]\nversion = "{python}"\n')
    monkeypatch.setattr(release_tree, "ROOT", tmp_path)
    assert release_tree.version() == (pgxn, status)
    assert SEMANTIC_VERSION.fullmatch(pgxn)


def test_version_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").write_text('version = "3.0"\n')
    monkeypatch.setattr(release_tree, "ROOT", tmp_path)
    with pytest.raises(SystemExit, match="no version that can be released"):
        release_tree.version()
