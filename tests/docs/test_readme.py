"""What README.md says is so: its examples run, its names exist, its defaults are the defaults."""

from __future__ import annotations

import re

import pytest

from ..support.described_settings import actual, described
from ..support.fix_db import Connection
from ..support.pages import ROOT, blocks, run_sql
from ..support.server import Server

README = (ROOT / "README.md").read_text()


def test_sql(server: Server, db: str) -> None:
    run_sql("\n".join(blocks(README, "sql")), server, db)


@pytest.mark.parametrize("code", blocks(README, "python"))
def test_python(code: str, server: Server, db: str) -> None:
    names: dict[str, object] = {"dsn": server.dsn(db)}
    exec(code, names)
    assert names["rows"] == [(42,)]


def test_names(conn: Connection) -> None:
    made = {
        name
        for (name,) in conn.execute(
            "SELECT proname FROM pg_proc WHERE proname LIKE 'pg_background%' "
            "UNION SELECT relname FROM pg_class WHERE relname LIKE 'pg_background%'"
        )
    }
    assert set(re.findall(r"\bpg_background_\w+", README)) <= made


def test_settings(conn: Connection) -> None:
    assert described(README).items() <= actual(conn).items()


def test_length() -> None:
    assert len(README.splitlines()) < 200
