"""docs/cluster.md and docs/reference/cluster.md show what happens."""

from __future__ import annotations

import re

import pytest

from ..docs.test_docs import blocks_of, printed_by, run
from ..support.fix_cluster import Nodes
from ..support.fix_db import Connection
from ..support.pages import DOCS, blocks, run_sql
from ..support.reference import objects

PAGE = (DOCS / "reference" / "cluster.md").read_text()


def test_the_guide(plain_nodes: Nodes, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {"dsns": plain_nodes.by_name()}
    for code in blocks_of("cluster.md"):
        run(code, names)
        assert capsys.readouterr().out.splitlines() == printed_by(code)


@pytest.mark.contrib("dblink")
def test_the_references_examples(nodes: Nodes) -> None:
    examples = "\n".join(blocks(PAGE, "sql"))
    run_sql(f"SET search_path = elsewhere, public;\n{examples}", nodes[0], nodes.database)


def test_the_references_signatures(conn: Connection) -> None:
    conn.execute("CREATE EXTENSION pg_background_cluster")
    made = {
        signature
        for name, signatures in objects(conn, "pg_background_cluster").items()
        for signature in signatures
        if not any(re.search(rf"\b{name}\b", line) for line in PAGE.split("## Internal functions")[1:])
        and not name.startswith("cluster_node_")
    }
    said = {
        line for block in blocks(PAGE, "text") for line in re.sub(r"\n\s+", " ", block).strip().splitlines()
    }
    assert said == made
