"""What is checked before a release and said of it; a stand-in for GitHub's `gh` writes down its calls."""

from __future__ import annotations

import json
import sys
import tarfile
from pathlib import Path

import pytest

from tools import docs, release, sbom
from tools.sources import write_script

# They are about no server.
pytestmark = pytest.mark.pg("== 18")

CHANGELOG = """\
# Changelog

## [Unreleased]

## [3.1.0] \N{EN DASH} 2027-01-31

### Added

- Something.

## [3.0.0] \N{EN DASH} 2026-12-01

The first one.

## [2.0.0] \N{EN DASH} soon
"""


def test_a_release_and_its_tag() -> None:
    release.check("v3.1.0", "3.1.0", CHANGELOG)
    release.check("v3.0.0rc1", "3.0.0rc1", CHANGELOG.replace("3.0.0", "3.0.0rc1"))


@pytest.mark.parametrize(
    ("tag", "number", "said"),
    [
        ("v3.1.0", "3.1.0.dev0", "in development"),
        ("v3.1.0.dev0", "3.1.0.dev0", "in development"),
        ("v3.1.0", "3.0.0", "the tag is v3.1.0, and pyproject.toml has version 3.0.0"),
        ("3.1.0", "3.1.0", "the tag is 3.1.0"),
        ("v3.2.0", "3.2.0", r'no section "## \[3.2.0\]"'),
        # without a date
        ("v2.0.0", "2.0.0", r'no section "## \[2.0.0\]"'),
        # the dot is none of a pattern
        ("v3.1.00", "3.1.00", "no section"),
    ],
)
def test_what_is_no_release(tag: str, number: str, said: str) -> None:
    with pytest.raises(release.ReleaseError, match=said):
        release.check(tag, number, CHANGELOG)


def test_an_empty_section_is_none() -> None:
    with pytest.raises(release.ReleaseError, match="with text"):
        release.notes("3.0.0", CHANGELOG.replace("The first one.\n", ""))


def test_notes_are_one_section() -> None:
    assert release.notes("3.1.0", CHANGELOG) == "### Added\n\n- Something.\n"
    assert release.notes("3.0.0", CHANGELOG) == "The first one.\n"


def test_this_checkout_has_a_version() -> None:
    assert release.version().startswith("3.")


@pytest.fixture
def gh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the stand-in writes its calls; it has two releases with documentation."""
    folder = tmp_path / "bin"
    folder.mkdir()
    kept = tmp_path / "kept"
    for version in ("3.0.0", "3.1.0"):
        page = tmp_path / version / "index.html"
        page.parent.mkdir()
        page.write_text(version)
        kept.mkdir(exist_ok=True)
        with tarfile.open(kept / release.PAGES.format(version=version), "w:gz") as archive:
            archive.add(page.parent, version)
    calls = tmp_path / "calls"
    write_script(
        folder / "gh",
        f"""\
#!{sys.executable}
import json, pathlib, shutil, sys
given = sys.argv[1:]
if "--notes-file" in given:
    given.append(pathlib.Path(given[given.index("--notes-file") + 1]).read_text())
with open({str(calls)!r}, "a") as written:
    print(json.dumps(given), file=written)
if given[0] == "api":
    print("v3.1.0\\nv3.0.0")
elif given[1] == "download":
    shutil.copy(pathlib.Path({str(kept)!r}) / given[4], given[6])
elif "v0.0.0" in given:
    sys.exit(1)
""",
    )
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return calls


def calls_in(path: Path) -> list[list[str]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_publish(gh: Path, tmp_path: Path) -> None:
    release.publish("v3.1.0", "Something.\n", [tmp_path / "a.whl", tmp_path / "b.deb"])
    (call,) = calls_in(gh)
    assert call[:6] == ["release", "create", "v3.1.0", "--verify-tag", "--title", "pg_background 3.1.0"]
    assert call[-3:] == [str(tmp_path / "a.whl"), str(tmp_path / "b.deb"), "Something.\n"]
    assert "--prerelease" not in call


def test_publish_before_a_release(gh: Path, tmp_path: Path) -> None:
    release.publish("v3.1.0rc1", "Something.\n", [tmp_path / "a.whl"])
    (call,) = calls_in(gh)
    assert "--prerelease" in call


def test_publishing_that_fails(gh: Path, tmp_path: Path) -> None:
    with pytest.raises(release.ReleaseError, match="gh release create failed"):
        release.publish("v0.0.0", "Something.\n", [tmp_path / "a.whl"])


def test_the_site_has_all_releases(gh: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    release.fetch_pages(site)
    assert {str(path.relative_to(site)) for path in site.rglob("*.html")} == {
        "3.0.0/index.html",
        "3.1.0/index.html",
    }
    for version in ("3.2.0.dev0", "3.10.0rc1"):
        (site / version).mkdir()
        (site / version / "index.html").touch()
    # By number, not by letter; who names no version gets the last one that is released.
    assert docs.list_releases(site) == ["3.10.0rc1", "3.2.0.dev0", "3.1.0", "3.0.0"]
    assert 'url=3.1.0/index.html"' in (site / "index.html").read_text()
    assert "3.10.0rc1" in (site / "versions.js").read_text()


def test_a_site_without_releases(tmp_path: Path) -> None:
    (tmp_path / "3.0.0.dev0").mkdir()
    (tmp_path / "3.0.0.dev0" / "index.html").touch()
    docs.list_releases(tmp_path)
    assert 'url=3.0.0.dev0/index.html"' in (tmp_path / "index.html").read_text()


def test_which_wheel_is_listed(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="0 wheels"):
        sbom.wheel_in(tmp_path)
    for name in ("any", "manylinux_2_17_x86_64"):
        (tmp_path / f"pg_background-3.0.0-py3-none-{name}.whl").touch()
    assert sbom.wheel_in(tmp_path).name == "pg_background-3.0.0-py3-none-any.whl"
    (tmp_path / "pg_background-3.1.0-py3-none-any.whl").touch()
    with pytest.raises(SystemExit, match="2 wheels"):
        sbom.wheel_in(tmp_path)
