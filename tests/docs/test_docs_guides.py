"""What the pages for people show is what happens; the messages that they explain are those of the sources."""

from __future__ import annotations

import re

import pytest

from ..support.pages import DOCS, ROOT, blocks, run_sql
from ..support.server import Server
from .test_docs import blocks_of, printed_by, run

#: What a block needs beside the extension says its first line.
_NEEDS = re.compile(r"-- (dblink|pg_cron)\n")

SCHEDULE = re.compile(r"cron\.schedule\('[^']+', '[^']+', \$\$(.*?)\$\$\)", re.DOTALL)


def sql_of(page: str, needs: str | None = None) -> str:
    """Return the SQL of a page, in one script as later blocks use what earlier ones have made."""
    found = []
    for block in blocks((DOCS / page).read_text(), "sql"):
        needed = _NEEDS.match(block)
        if (needed and needed[1]) == needs:
            found.append(block)
    assert found
    return "\n".join(found)


@pytest.mark.parametrize("page", ["which-call.md", "troubleshooting.md", "combinations.md"])
def test_sql_and_python(page: str, server: Server, db: str, capsys: pytest.CaptureFixture[str]) -> None:
    run_sql(sql_of(page), server, db)
    names: dict[str, object] = {"dsn": server.dsn(db)}
    for code in blocks_of(page):
        run(code, names)
        assert capsys.readouterr().out.splitlines() == printed_by(code)


@pytest.mark.contrib("dblink")
def test_beside_dblink(server: Server, db: str) -> None:
    run_sql(sql_of("comparison.md", "dblink"), server, db)


def test_a_schedule(server: Server, db: str) -> None:
    """What pg_cron would run, in a session as it has."""
    (first, *_) = blocks((DOCS / "combinations.md").read_text(), "sql")
    server.psql(first, db)
    found = SCHEDULE.search(sql_of("combinations.md", "pg_cron"))
    assert found is not None
    handle = server.psql(found[1], db).strip()
    assert re.fullmatch(r"\(-?\d+,\d+\)", handle)
    server.psql(f"SELECT pg_background_wait('{handle}'::pg_background_handle)", db)
    assert server.psql("SELECT count(*) FROM visits", db).strip() == "29"
    # One that still runs is not run a second time.
    server.psql("SELECT pg_background_launch('SELECT pg_sleep(3600)', 0, 'purge visits')", db)
    assert server.psql(found[1], db).strip() == ""
    server.psql(
        "SELECT pg_background_cancel(pid, cookie) FROM pg_background_jobs WHERE label = 'purge visits'", db
    )


def test_messages_are_those_of_the_sources() -> None:
    table = (DOCS / "troubleshooting.md").read_text().split("## What a message means")[1].split("\n## ")[0]
    messages = re.findall(r"^\| `(.*?)` \|", table, re.MULTILINE)
    assert len(messages) > 10
    sources = "\n".join(
        path.read_text()
        for folder, kind in (
            ("extension/src/pg_background", "*.pyx"),
            ("extension/sql", "pg_background--3.0.sql"),
            ("src/pg_background/client", "*.py"),
        )
        for path in (ROOT / folder).rglob(kind)
    )
    for message in messages:
        # PostgreSQL's own.
        if not message.startswith(("permission denied for function …", "could not find function")):
            for part in message.split("…"):
                assert part.strip(' "') in sources, message


def test_the_list_of_pages_is_whole() -> None:
    listed = set(re.findall(r"\]\(((?:explanation/)?[a-z-]+\.md)\)", (DOCS / "README.md").read_text()))
    pages = {
        str(path.relative_to(DOCS)) for folder in ("", "explanation") for path in (DOCS / folder).glob("*.md")
    }
    # index.md is the first page of the site, as README.md is that of the folder.
    assert listed == pages - {"README.md", "index.md"}
