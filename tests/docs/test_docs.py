"""What the guides show is what happens."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re

import pytest

from ..support.fix_notebook import Notebook
from ..support.pages import DOCS, blocks
from ..support.server import Server


def blocks_of(name: str) -> list[str]:
    """Return the Python of a page."""
    found = blocks((DOCS / name).read_text(), "python")
    assert found
    return found


def printed_by(code: str) -> list[str]:
    """Return what a block says that it prints."""
    return re.findall(r"# → (.*)$", code, re.MULTILINE)


def run(code: str, names: dict[str, object]) -> None:
    """Run a block, which may await outside of a function, as in a notebook."""
    compiled = compile(code, "page", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if compiled.co_flags & inspect.CO_COROUTINE:
        asyncio.run(eval(compiled, names))
    else:
        exec(compiled, names)


def test_client(server: Server, db: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In their order, as later ones use what earlier ones have made."""
    names: dict[str, object] = {"dsn": server.dsn(db)}
    for code in blocks_of("client.md"):
        run(code, names)
        captured = capsys.readouterr()
        assert captured.out.splitlines() == printed_by(code)
        # No bar is drawn where nobody sees it.
        assert captured.err == ""


def test_backfill(server: Server, db: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In their order, as later ones go on with what earlier ones have begun."""
    names: dict[str, object] = {"dsn": server.dsn(db)}
    for code in blocks_of("backfill.md"):
        run(code, names)
        captured = capsys.readouterr()
        assert captured.out.splitlines() == printed_by(code)
        assert captured.err == ""


def test_tracing(server: Server, db: str, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = blocks_of("tracing.md")
    run(code, {"dsn": server.dsn(db)})
    assert capsys.readouterr().out.splitlines() == printed_by(code)


def test_notebooks(notebook: Notebook, capsys: pytest.CaptureFixture[str]) -> None:
    """In a real shell, in which the magics are."""
    notebook.run("%unload_ext pg_background")
    for code in blocks_of("notebooks.md"):
        notebook.run(code)
        printed = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("Out[")]
        assert printed == printed_by(code)
