"""What the tutorial, the pages on audit logs and index builds, and the explanations show is what happens."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..support.calls import query
from ..support.fix_db import Connect
from ..support.fix_server import FreshServer
from ..support.jobs import has_ended, launch
from ..support.pages import DOCS, blocks, run_sql
from ..support.server import Server
from ..support.waiting import wait_until
from .test_docs import blocks_of, printed_by, run
from .test_docs_command_line import run_examples
from .test_docs_guides import sql_of


def test_tutorial(server: Server, db: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From one end to the other, each part on what those before it have made."""
    page = (DOCS / "tutorial.md").read_text()
    run_sql(sql_of("tutorial.md"), server, db)
    run_examples(page, server.dsn(db), tmp_path)
    for code in blocks_of("tutorial.md"):
        run(code, {"dsn": server.dsn(db)})
        assert capsys.readouterr().out.splitlines() == printed_by(code)


@pytest.mark.in_public
def test_audit(fresh_server: FreshServer) -> None:
    """On a server of its own, as it makes roles."""
    run_sql(sql_of("audit.md"), fresh_server(), "postgres")


def test_index_builds(server: Server, db: str, capsys: pytest.CaptureFixture[str]) -> None:
    run_sql(sql_of("index-builds.md"), server, db)
    for code in blocks_of("index-builds.md"):
        run(code, {"dsn": server.dsn(db)})
        assert capsys.readouterr().out.splitlines() == printed_by(code)


def test_how_far_an_index_build_is(connect: Connect) -> None:
    (look,) = (
        block for block in blocks((DOCS / "index-builds.md").read_text(), "sql") if "progress_msg" in block
    )
    with connect() as conn, connect() as writer:
        query(conn, "CREATE TABLE orders AS SELECT generate_series(1, 10) AS id")
        query(writer, "BEGIN; INSERT INTO orders VALUES (0)")
        build = launch(conn, "CREATE INDEX CONCURRENTLY ON orders (id)", label="index")

        def is_told() -> bool:
            rows = [row for row in query(conn, look) if row[0] == "index"]
            return [row[2:] for row in rows] == [
                ("CREATE INDEX: waiting for other sessions", [writer.info.backend_pid])
            ]

        wait_until(is_told, what="the phase of the build, and whom it waits for")
        query(writer, "COMMIT")
        # A wait in SQL would have a snapshot, for which the build would wait.
        wait_until(lambda: has_ended(conn, build), what="the end of the build")


@pytest.mark.in_public
@pytest.mark.parametrize("page", sorted(path.name for path in (DOCS / "explanation").glob("*.md")))
def test_explanations(page: str, fresh_server: FreshServer) -> None:
    """On servers of their own, as they make roles and look at all that there is."""
    if script := "\n".join(blocks((DOCS / "explanation" / page).read_text(), "sql")):
        run_sql(script, fresh_server(), "postgres")
