"""Check that what docs/contract.md and SECURITY.md promise has tests: `python -m tools.check_contract`."""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "contract.md"
PAGES = (PAGE, ROOT / "SECURITY.md")
TESTS = ROOT / "tests"

#: What stands for the tests of a promise that is still to be kept.
PENDING = "pending"


@dataclass(frozen=True)
class Promise:
    """A row of the page."""

    line: int
    text: str
    #: as written: names of tests, or `PENDING`
    proof: str


def promises(page: str) -> Iterator[Promise]:
    """Yield the rows of all tables that say what proves them."""
    is_head, has_proofs = True, False
    for number, line in enumerate(page.splitlines(), 1):
        if not line.startswith("|"):
            is_head = True
            continue
        cells = [cell.strip() for cell in line.split("|")]
        if is_head:
            is_head, has_proofs = False, cells[2:-1] == ["proved by"]
        elif has_proofs and not set(line) <= set("|-: "):
            yield Promise(number, cells[1], " ".join(cells[2:-1]))


def errors_of(promise: Promise, tests: Path) -> Iterator[str]:
    """Yield what is wrong with a row."""
    if promise.proof == PENDING:
        return
    names = re.findall(r"`([^`]*)`", promise.proof)
    rest = re.sub(r"`[^`]*`", "", promise.proof).strip(" ,")
    if rest:
        yield f'"{rest}" is neither a test in backquotes nor "{PENDING}"'
    elif not names:
        yield f'"{promise.text}" has no test'
    for name in names:
        part, _, test = name.partition("::")
        path = next(tests.rglob(f"test_{part}.py"), None)
        if path is None:
            yield f"`{name}`: there is no test_{part}.py"
        elif f"test_{test}" not in tests_in(path):
            yield f"`{name}`: {path.name} has no test_{test}"


@cache
def tests_in(path: Path) -> frozenset[str]:
    """Return the names of the test functions of a file."""
    nodes = ast.parse(path.read_text()).body
    return frozenset(node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def check(page: Path = PAGE, tests: Path = TESTS) -> list[str]:
    """Return what is wrong, each with its place in the page."""
    rows = list(promises(page.read_text()))
    wrong = [f"{page.name}:{row.line}: {error}" for row in rows for error in errors_of(row, tests)]
    return wrong or ([] if rows else [f"{page.name} has no promises"])


def main() -> None:
    """Say what is wrong, or how many promises are kept."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.parse_args()
    if wrong := [error for page in PAGES for error in check(page)]:
        sys.exit("\n".join(wrong))
    rows = [row for page in PAGES for row in promises(page.read_text())]
    pending = sum(row.proof == PENDING for row in rows)
    print(f"{len(rows) - pending} promises have their tests, {pending} are pending")


if __name__ == "__main__":
    main()
