"""Each example, run as its user does: it prints what it says, and leaves nothing behind."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from psycopg.conninfo import make_conninfo

from ..support.server import Server

ROOT = Path(__file__).parents[2]

#: Those that are not an idea of their own.
HELPERS = {"__init__", "demo", "scratch"}

EXAMPLES = sorted(path for path in ROOT.glob("examples/*.py") if path.stem not in HELPERS)

#: What their page links to.
LISTED = re.findall(r"^\| \[\w+\]\((\w+)\.py\)", (ROOT / "examples/README.md").read_text(), re.MULTILINE)

SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'example%'"


def test_all_are_listed() -> None:
    assert sorted(LISTED) == sorted([*(path.stem for path in EXAMPLES), "demo"])


def test_options_of_the_dsn(server: Server, db: str) -> None:
    """They hold in an example, and its schema comes in front of their search_path."""
    program = """
        import psycopg
        from examples.scratch import run

        def main(dsn):
            with psycopg.connect(dsn) as connection:
                print(*connection.execute("SHOW work_mem").fetchone())
                print(*connection.execute("SHOW search_path").fetchone())

        run(main)
    """
    dsn = make_conninfo(server.dsn(db), options='-c work_mem=7MB -c search_path="$user",\\ public')
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), dsn],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.fullmatch(r'7MB\nexample_\d+,"\$user", public\n', done.stdout)


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
