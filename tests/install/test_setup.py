"""`make` sets up what a target needs, and no more; generated pages are up to date."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tools import man_page

ROOT = Path(__file__).parents[2]


def commands(target: str) -> str:
    """Return what `make` would do where nothing has been done yet."""
    return subprocess.run(
        ["make", "--dry-run", "--always-make", target], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize("target", ["build", "demo"])
def test_server_and_demo_need_their_extras_only(target: str) -> None:
    assert "'.[server,build,web]'" in commands(target)
    assert "[dev]" not in commands(target)


@pytest.mark.parametrize("target", ["test", "lint", "bench-quick"])
def test_tests_and_linters_come_when_they_are_asked_for(target: str) -> None:
    assert "'.[dev]'" in commands(target)


def test_pip_says_what_it_does() -> None:
    assert "--quiet" not in commands("test")


def test_demo_needs_what_it_sets_up() -> None:
    """Nothing of what comes with the tests is loaded by the demo, nor by the build before it."""
    code = (
        "import sys, examples.demo, tools.build\n"
        "print(*{name.partition('.')[0] for name in sys.modules if name})"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {
        "pytest",
        "hypothesis",
        "polars",
        "pandas",
        "pyarrow",
        "django",
        "textual",
        "sqlalchemy",
    } & set(done.stdout.split())


def test_manual_page() -> None:
    text = man_page.page()
    assert man_page.PAGE.read_text() == text
    for words in (
        r".B \-c, \-\-command SQL",
        ".B PG_BACKGROUND_DSN",
        r"pg\-background server psql",
        ".B 141",
    ):
        assert words in text
