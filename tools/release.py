"""What a release is called, what is said of it, and its place on GitHub.

`python -m tools.release check v3.0.0` fails if this checkout is not what the tag says.
`publish v3.0.0 FILE …` makes the release on GitHub, with what the changelog says of it, and `pages FOLDER`
gets the documentation of all releases from there. Both need GitHub's `gh`; the rest is Python alone.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]

#: 3.0.0, 3.1.0rc1; nothing that is in development
_RELEASED = re.compile(r"\d+\.\d+\.\d+((?:a|b|rc)\d+)?")

#: The folder of one release, packed, as it is kept with each.
PAGES = "pg_background-{version}-docs.tar.gz"


class ReleaseError(Exception):
    """This can't be released; the message says why."""


def version() -> str:
    """Return what pyproject.toml says."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def check(tag: str, number: str, changelog: str) -> None:
    """Compare a tag with the package's version, and look for what the changelog says of it.

    Raises:
        ReleaseError: they are not of one release.
    """
    if not _RELEASED.fullmatch(number):
        raise ReleaseError(f"pyproject.toml has version {number}, which is in development")
    if tag != f"v{number}":
        raise ReleaseError(f"the tag is {tag}, and pyproject.toml has version {number}")
    notes(number, changelog)


def notes(number: str, changelog: str) -> str:
    """Return what the changelog says of a version.

    Raises:
        ReleaseError: nothing, or the section has no date.
    """
    heading = rf"^## \[{re.escape(number)}\] \W \d{{4}}-\d\d-\d\d$"
    found = re.search(rf"{heading}\n(.*?)(?=^## |\Z)", changelog, flags=re.MULTILINE | re.DOTALL)
    if found is None or not found[1].strip():
        raise ReleaseError(f'CHANGELOG.md has no section "## [{number}]" with its date and with text')
    return found[1].strip() + "\n"


def publish(tag: str, text: str, files: Sequence[Path]) -> None:
    """Make the release of a tag that is on GitHub, with files."""
    before = ["--prerelease"] if re.search(r"(?:a|b|rc)\d+$", tag) else []
    with tempfile.NamedTemporaryFile("w", suffix=".md") as said:
        said.write(text)
        said.flush()
        _gh(
            *("release", "create", tag, "--verify-tag", "--title", f"pg_background {tag[1:]}"),
            *("--notes-file", said.name, *before, *map(str, files)),
        )


def fetch_pages(into: Path) -> None:
    """Unpack the documentation of each release into a folder, each in one of its own."""
    tags = _gh(
        *("api", "--paginate", "repos/{owner}/{repo}/releases?per_page=100"),
        *("--jq", ".[] | select(.draft | not) | .tag_name"),
    ).split()
    into.mkdir(parents=True, exist_ok=True)
    for tag in tags:
        name = PAGES.format(version=tag.removeprefix("v"))
        with tempfile.TemporaryDirectory() as folder:
            _gh("release", "download", tag, "--pattern", name, "--dir", folder)
            with tarfile.open(Path(folder) / name) as archive:
                archive.extractall(into, filter="data")


def _gh(*arguments: str) -> str:
    done = subprocess.run(["gh", *arguments], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise ReleaseError(f"gh {arguments[0]} {arguments[1]} failed")
    return done.stdout


def main() -> None:
    """Do one of these."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    what = parser.add_subparsers(dest="what", required=True)
    for name in ("check", "publish"):
        what.add_parser(name).add_argument("tag")
    what.choices["publish"].add_argument("files", nargs="+", type=Path)
    what.add_parser("pages").add_argument("folder", type=Path)
    arguments = parser.parse_args()
    changelog = (ROOT / "CHANGELOG.md").read_text()
    try:
        match arguments.what:
            case "pages":
                fetch_pages(arguments.folder)
            case "check":
                check(arguments.tag, version(), changelog)
            case "publish":
                check(arguments.tag, version(), changelog)
                publish(arguments.tag, notes(version(), changelog), arguments.files)
    except ReleaseError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
