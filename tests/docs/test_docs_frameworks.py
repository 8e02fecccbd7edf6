"""What docs/frameworks.md shows is what happens: each section is run as its readers would."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlencode

import pytest
from psycopg.conninfo import conninfo_to_dict

from pg_background.server import Installation
from pg_background.server.places import CACHE_VARIABLE

from ..support.fix_db import Connection
from ..support.migrations import upgrade
from ..support.pages import DOCS, blocks
from ..support.server import Server
from ..support.waiting import wait_until_sql

_titled = re.split(r"^## (.*)$", (DOCS / "frameworks.md").read_text(), flags=re.MULTILINE)
SECTIONS = dict(zip(_titled[1::2], _titled[2::2], strict=True))


def code_of(section: str) -> str:
    """Return the one program of a section."""
    (code,) = blocks(SECTIONS[section], "python")
    return code


@pytest.fixture
def dsn(server: Server, db: str) -> str:
    """The test's own database, as a URI."""
    parts = conninfo_to_dict(server.dsn(db))
    return f"postgresql:///{parts.pop('dbname')}?{urlencode(parts)}"


def test_each_section_is_run_here() -> None:
    assert list(SECTIONS) == ["SQLAlchemy", "Django", "Alembic", "pytest"]


@pytest.mark.parametrize("section", ["SQLAlchemy", "Django"])
def test_programs(section: str, dsn: str, tmp_path: Path) -> None:
    """In processes of their own, as Django has one set of settings in each."""
    code = code_of(section)
    program = tmp_path / "program.py"
    program.write_text(code)
    done = subprocess.run(
        [sys.executable, "-W", "error", program],
        env={**os.environ, "DSN": dsn},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.stderr == ""
    promised = re.findall(r"# → (.*)$", code, re.MULTILINE)
    assert promised
    assert done.stdout.splitlines() == promised


def test_migration(dsn: str, tmp_path: Path, conn: Connection) -> None:
    upgrade(tmp_path, code_of("Alembic"), dsn.replace("postgresql:", "postgresql+psycopg:"))
    valid = (
        "SELECT array_agg(indexrelid::regclass::text ORDER BY relname)"
        " FROM pg_index JOIN pg_class AS c ON c.oid = indexrelid WHERE indisvalid"
    )
    wait_until_sql(
        conn,
        f"{valid} AND indrelid = 'orders'::regclass",
        expected=["orders_by_id", "orders_by_region"],
    )


def test_fixtures(
    pytester: pytest.Pytester, installation: Installation, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PG_BACKGROUND_PG_CONFIG", str(installation.pg_config))
    monkeypatch.setenv(CACHE_VARIABLE, str(cache))
    pytester.makepyfile(code_of("pytest"))
    pytester.runpytest_subprocess().assert_outcomes(passed=2)
