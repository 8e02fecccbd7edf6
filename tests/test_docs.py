"""What docs/client.md shows is what happens."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re

import pytest

from .pages import DOCS, blocks
from .server import Server

BLOCKS = blocks((DOCS / "client.md").read_text(), "python")


def run(code: str, names: dict[str, object]) -> None:
    """Run a block, which may await outside of a function, as in a notebook."""
    compiled = compile(code, "client.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if compiled.co_flags & inspect.CO_COROUTINE:
        asyncio.run(eval(compiled, names))
    else:
        exec(compiled, names)


def test_client(server: Server, db: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In their order, as later ones use what earlier ones have made."""
    assert BLOCKS
    names: dict[str, object] = {"dsn": server.dsn(db)}
    for code in BLOCKS:
        run(code, names)
        captured = capsys.readouterr()
        assert captured.out.splitlines() == re.findall(r"# → (.*)$", code, re.MULTILINE)
        # No bar is drawn where nobody sees it.
        assert captured.err == ""
