"""docs/reference has every function, view, type and setting, as it is, with an example that is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ..support.calls import query
from ..support.described_settings import actual, amount, described
from ..support.fix_db import Connection
from ..support.fix_server import FreshServer
from ..support.pages import DOCS, ROOT, run_sql
from ..support.reference import PAGES, internal, objects, sections
from ..support.server import Server

#: Its examples stop launches, and drop a role that all databases share.
OF_ITS_OWN = "administration.md"

SETTINGS = (DOCS / "reference" / "settings.md").read_text()


def test_every_object_has_one_heading(server: Server, conn: Connection) -> None:
    """A function and a view of the same name have one each."""
    said = sorted(
        (name, signature)
        for section in sections(server.major)
        for signature in section.signatures
        for name in re.findall(r"^(?:CALL |VIEW |TYPE )?(\w+)", signature)
    )
    made = sorted(
        (name, signature)
        for name, signatures in objects(conn).items()
        for signature in signatures
        if name not in internal()
    )
    assert said == made


def test_headings_name_what_their_signatures_declare(server: Server) -> None:
    for section in sections(server.major):
        declared = {re.sub(r"^(CALL|VIEW|TYPE) ", "", line) for line in section.signatures}
        assert {re.split(r"\W", line)[0] for line in declared} == set(section.names), section.title


def test_internal_functions_exist(conn: Connection) -> None:
    assert internal()
    assert internal() <= set(objects(conn))


def test_every_heading_has_an_example(server: Server) -> None:
    """One that calls it and shows what comes of it, or has come of it."""
    for section in sections(server.major):
        if not section.signatures[0].startswith("TYPE "):
            called = [line for line in section.example.splitlines() if not line.startswith("--")]
            assert re.search(rf"\b{section.names[0]}\b", "\n".join(called)), section.title
            assert "\n-- → " in section.example, section.title


def test_every_heading_has_its_errors(server: Server) -> None:
    """Each with a SQLSTATE, or a sentence that there are none of its own."""
    for section in sections(server.major):
        if not section.signatures[0].startswith(("TYPE ", "VIEW ")):
            errors = re.search(r"^Errors: (.*?)\n\n", section.text, re.MULTILINE | re.DOTALL)
            assert errors, section.title
            assert re.search(r"`[0-9A-Z]{5}`|none of its own|\]\(README\.md#", errors[1]), section.title


@pytest.mark.parametrize("page", sorted({section.page for section in sections(18)} - {OF_ITS_OWN}))
def test_examples(page: str, server: Server, db: str) -> None:
    """Each section's on its own, in a session of its own."""
    for section in sections(server.major):
        if section.page == page:
            run_sql(section.example, server, db)


def test_pages_without_examples_of_functions() -> None:
    """The index has none; settings have their own test, and so has the other extension."""
    pages = {section.page for section in sections(18)}
    assert {page.name for page in PAGES} - pages == {"README.md", "settings.md", "cluster.md"}


def test_examples_of_administration(fresh_server: FreshServer) -> None:
    server = fresh_server()
    for section in sections(server.major):
        if section.page == OF_ITS_OWN:
            run_sql(section.example, server, "postgres")


def test_settings(conn: Connection) -> None:
    assert described(SETTINGS) == actual(conn)


def test_ranges_of_settings(conn: Connection) -> None:
    said = {
        f"pg_background.{name}": (amount(least), amount(most))
        for name, least, most in re.findall(
            r"^## pg_background\.(\w+)\n+Range: (-?\w+) to (\w+)\.", SETTINGS, re.MULTILINE
        )
    }
    are = {
        name: (amount(least, unit or ""), amount(most, unit or ""))
        for name, least, most, unit in query(
            conn,
            "SELECT name, min_val, max_val, unit FROM pg_settings"
            " WHERE name LIKE 'pg_background.%' AND vartype = 'integer'",
        )
    }
    assert said == are


def test_example_of_settings(server: Server, db: str) -> None:
    assert "```sql" in SETTINGS
    run_sql("".join(re.findall(r"^```sql\n(.*?)^```$", SETTINGS, re.MULTILINE | re.DOTALL)), server, db)


@pytest.mark.parametrize(
    "page",
    [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "extension").rglob("*.md")],
    ids=lambda p: str(p.relative_to(ROOT)),
)
def test_links(page: Path) -> None:
    """Those to files lead somewhere, and to headings that are there."""
    for target, heading in re.findall(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]*))?\)", page.read_text()):
        path = page.parent / target if target else page
        assert path.exists(), target
        if heading:
            titles = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
            assert heading in {re.sub(r"[^\w\- ]", "", t.lower()).replace(" ", "-") for t in titles}, heading


def test_the_index_has_every_page() -> None:
    index = (DOCS / "README.md").read_text()
    pages = {page.name for page in DOCS.glob("*.md")} - {"README.md", "index.md"}
    assert pages <= set(re.findall(r"\]\(([^)]*)\)", index))
    contents = (DOCS / "reference" / "README.md").read_text()
    assert {page.name for page in PAGES} - {"README.md"} <= set(re.findall(r"\]\(([^)]*)\)", contents))
