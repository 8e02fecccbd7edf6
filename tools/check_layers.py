"""Check that no part of the server side calls upwards: `python -m tools.check_layers`.

The root of the extension includes its parts by folder, those that others build on first. A part may call what
its own folder and the folders before it define, so that a folder can be understood without those after it.
Where a later part has to be called, it sets a pointer or a callback.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

SOURCES = Path(__file__).parents[1] / "extension" / "src"
ROOT_FILE = "pg_background.pyx"
MOST_PARTS = 12

INCLUDE = re.compile(r'^include "pg_background/(\w+)/(\w+)\.pyx"', re.MULTILINE)
FUNCTION = re.compile(r"^cdef [^\n(=]*?\b(\w+)\([^)]*\)\s*(?:noexcept|except)", re.MULTILINE)
NOT_CODE = re.compile(r'"""(?:.|\n)*?"""|b?"(?:\\.|[^"\\\n])*"|#[^\n]*')


@dataclass(frozen=True)
class Part:
    """A file of the extension."""

    folder: str
    name: str
    #: without strings and comments, in as many lines
    code: str

    @property
    def path(self) -> str:
        """Below the folder of the sources."""
        return f"pg_background/{self.folder}/{self.name}.pyx"


def code_of(text: str) -> str:
    """Blank what is no code, and keep the lines where they are."""
    return NOT_CODE.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)


def read_parts(sources: Path) -> list[Part]:
    """Return the parts in the order in which the root file includes them."""
    return [
        Part(folder, name, code_of((sources / "pg_background" / folder / f"{name}.pyx").read_text()))
        for folder, name in INCLUDE.findall((sources / ROOT_FILE).read_text())
    ]


def definitions(parts: list[Part]) -> dict[str, Part]:
    """Return where each function is defined."""
    return {name: part for part in parts for name in FUNCTION.findall(part.code)}


def upward_calls(part: Part, defined: Mapping[str, Part], place: Mapping[str, int]) -> Iterator[str]:
    """Yield each use of a function of a later folder."""
    for number, line in enumerate(part.code.splitlines(), 1):
        for name in re.findall(r"\b[a-z_]\w*\b", line):
            target = defined.get(name)
            if target is not None and place[target.folder] > place[part.folder]:
                yield f"{part.path}:{number}: {name} is of a later folder, in {target.path}"


def errors_in(sources: Path) -> Iterator[str]:
    """Yield what is wrong with the order of the parts."""
    parts = read_parts(sources)
    folders = list(dict.fromkeys(part.folder for part in parts))
    place = {folder: number for number, folder in enumerate(folders)}
    runs = [folder for folder, _ in groupby(part.folder for part in parts)]
    for folder in folders:
        if runs.count(folder) > 1:
            yield f"{ROOT_FILE}: the parts of {folder} are not side by side"
    for folder in folders:
        count = sum(part.folder == folder for part in parts)
        if count > MOST_PARTS:
            yield f"pg_background/{folder}: {count} parts are more than {MOST_PARTS}: split the folder"
    listed = {part.path for part in parts}
    for path in sorted((sources / "pg_background").rglob("*.pyx")):
        if path.relative_to(sources).as_posix() not in listed:
            yield f"{path.relative_to(sources)}: not included by {ROOT_FILE}"
    defined = definitions(parts)
    for part in parts:
        yield from upward_calls(part, defined, place)


def main() -> int:
    """Print what is wrong; 1 if anything is."""
    argparse.ArgumentParser(description=__doc__.split("\n", 1)[0]).parse_args()
    errors = list(errors_in(SOURCES))
    for error in errors:
        print(error)
    if not errors:
        parts = read_parts(SOURCES)
        count = len({part.folder for part in parts})
        functions = len(definitions(parts))
        print(f"{functions} functions in {len(parts)} parts and {count} folders: 0 upward calls")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
