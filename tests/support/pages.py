"""What the pages of documentation show: blocks of code, and what they are to print."""

from __future__ import annotations

import re
from pathlib import Path

from .server import Server

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def blocks(text: str, language: str) -> list[str]:
    """Return the code blocks of a language, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def run_sql(script: str, server: Server, dbname: str) -> None:
    """Run SQL in psql.

    Raises:
        AssertionError: it prints something else than its lines `-- → …` say.
    """
    promised = re.findall(r"^-- → (.*)$", script, re.MULTILINE)
    # An empty line is what a void function prints.
    printed = [line for line in server.psql(script, dbname).splitlines() if line]
    assert printed == promised
