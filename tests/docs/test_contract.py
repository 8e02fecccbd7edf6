"""Every promise has a test, and everything that can be called is promised."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.check_contract import PAGE, PAGES, ROOT, TESTS, Promise, check, errors_of, promises

from ..support.calls import query
from ..support.fix_db import Connection

HEAD = "# Page\n\n| promise | proved by |\n|---|---|\n"

#: Parts of what is promised under another name.
OTHERWISE_NAMED = {
    "pid",
    "worker_pid",
    "change_privileges",
    "all_jobs",
    "all_totals",
    "all_usage",
    "all_histograms",
    "all_resources",
    "all_waits",
    "job_waits",
}


@pytest.fixture
def tests(tmp_path: Path) -> Path:
    (tmp_path / "test_one.py").write_text("def test_it() -> None: ...\n\ndef helper() -> None: ...\n")
    return tmp_path


def found(tests: Path, *rows: str) -> list[str]:
    """Check a page of these rows."""
    page = tests / "page.md"
    page.write_text(HEAD + "".join(f"{row}\n" for row in rows))
    return check(page, tests)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_page(page: Path) -> None:
    assert check(page) == []


def test_tables_of_something_else_are_none_of_it(tests: Path) -> None:
    assert (
        found(tests, "| right | `one::it` |", "", "| actor | trusted with |", "|---|---|", "| a | b |") == []
    )


def test_names_outside_of_tables_in_security_md() -> None:
    """They are tests too."""
    text = (ROOT / "SECURITY.md").read_text()
    names = ", ".join(f"`{name}`" for name in re.findall(r"`(\w+::\w+)`", text))
    assert list(errors_of(Promise(1, "all", names), TESTS)) == []


def test_rows_that_are_right(tests: Path) -> None:
    assert (
        found(tests, "| a promise | `one::it` |", "| another | pending |", "| x | `one::it`, `one::it` |")
        == []
    )


@pytest.mark.parametrize(
    ("row", "error"),
    [
        ("| a promise | |", '"a promise" has no test'),
        ("| a promise |", '"a promise" has no test'),
        ("| a promise | soon |", '"soon" is neither a test in backquotes nor "pending"'),
        ("| a promise | `one::it`, pending |", '"pending" is neither a test in backquotes nor "pending"'),
        ("| a promise | `one::other` |", "`one::other`: test_one.py has no test_other"),
        ("| a promise | `one::helper` |", "`one::helper`: test_one.py has no test_helper"),
        ("| a promise | `two::it` |", "`two::it`: there is no test_two.py"),
        ("| a promise | `one::it`, `one` |", "`one`: test_one.py has no test_"),
    ],
)
def test_rows_that_are_wrong(tests: Path, row: str, error: str) -> None:
    assert found(tests, "| right | `one::it` |", row) == [f"page.md:6: {error}"]


def test_a_page_without_rows(tests: Path) -> None:
    assert found(tests) == ["page.md has no promises"]


def test_everything_that_can_be_called_is_promised(conn: Connection) -> None:
    said = set(re.findall(r"\w+", " ".join(promise.text for promise in promises(PAGE.read_text()))))
    names = query(
        conn,
        "SELECT proname FROM pg_proc WHERE proname ~ '^pg_background_'"
        " UNION SELECT relname FROM pg_class WHERE relname ~ '^pg_background_' AND relkind = 'v'",
    )
    short = {name.removeprefix("pg_background_").removesuffix("_v2") for (name,) in names}
    assert {name for name in short if not {name, f"pg_background_{name}"} & said} <= OTHERWISE_NAMED
