"""Each example, run as its user does: it prints what it says, and leaves nothing behind."""

from __future__ import annotations

import ast
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from .server import Server

ROOT = Path(__file__).parents[1]

#: Those that are not an idea of their own.
HELPERS = {"__init__", "demo", "scratch"}

EXAMPLES = sorted(path for path in ROOT.glob("examples/*.py") if path.stem not in HELPERS)

SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'example%'"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example(example: Path, server: Server, db: str) -> None:
    documentation = ast.get_docstring(ast.parse(example.read_text()))
    assert documentation
    promised = textwrap.dedent(documentation.split("Prints:\n\n")[1]).strip()
    done = subprocess.run(
        [sys.executable, "-m", f"examples.{example.stem}", server.dsn(db)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, promised, "")
    with server.connect(db) as conn:
        assert conn.execute(SCHEMAS).fetchall() == []
