"""The queries of docs/monitoring.md run."""

from __future__ import annotations

import re
from pathlib import Path

from ..support.calls import query
from ..support.fix_db import Connection
from ..support.histories import row
from ..support.jobs import launch, wait

PAGE = Path(__file__).parents[2] / "docs" / "monitoring.md"


def test_queries(conn: Connection) -> None:
    conn.execute("SET pg_background.history = on")
    assert wait(conn, launch(conn, "SELECT 1", label="page"))
    row(conn, "page")
    found = re.findall(r"^SELECT label.*?;$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(found) == 2
    for sql in found:
        assert [shown[0] for shown in query(conn, sql)] == ["page"]
