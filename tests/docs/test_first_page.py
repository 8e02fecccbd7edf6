"""What the first page of the site shows at a glance is what happens."""

from __future__ import annotations

import pytest

from ..support.pages import DOCS, blocks, run_sql
from ..support.server import Server
from .test_docs import printed_by

_PAGE = (DOCS / "index.md").read_text()

_ORDERS = """
CREATE TABLE orders AS
  SELECT region, amount FROM (VALUES ('north', 10), ('south', 12), ('north', 20)) AS o (region, amount);
"""


def test_its_code(server: Server, db: str, capsys: pytest.CaptureFixture[str]) -> None:
    (script,) = blocks(_PAGE, "sql")
    run_sql(_ORDERS + script, server, db)
    (code,) = blocks(_PAGE, "python")
    exec(code, {"dsn": server.dsn(db)})
    assert capsys.readouterr().out.splitlines() == printed_by(code)
