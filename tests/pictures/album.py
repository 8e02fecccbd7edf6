"""Where pictures are kept, and what is theirs to be alike on every machine."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path

from rich.console import Console
from rich.text import Text

#: A folder: pictures are kept there. Without it they are made and thrown away.
VARIABLE = "PG_BACKGROUND_PICTURES"

#: What Rich's and Textual's drawings fetch from elsewhere; a page that is read without a network can't.
_FETCHED = re.compile(r"@font-face\s*\{.*?\}", re.DOTALL)
_FONTS = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"


def keep(name: str, content: bytes) -> None:
    """Keep a picture, if that is wanted."""
    folder = os.environ.get(VARIABLE)
    if folder:
        (Path(folder) / name).write_bytes(content)


def keep_drawing(name: str, svg: str) -> None:
    """Keep what Rich or Textual has drawn, without what it would fetch."""
    drawn = _FETCHED.sub("", svg)
    drawn = re.sub(r"font-family:\s*[^;}]*Fira Code[^;}]*", f"font-family: {_FONTS}", drawn)
    assert "url(http" not in drawn
    assert 'url("http' not in drawn
    keep(name, drawn.encode())


def drawn(command: str, printed: str, *, columns: int) -> str:
    """Draw a terminal on which a command was typed, and has printed this, with its colours."""
    console = Console(
        record=True, width=columns, file=io.StringIO(), force_terminal=True, legacy_windows=False
    )
    console.print(Text.from_ansi(f"\x1b[32m$\x1b[0m {command}\n{printed}"), overflow="crop", no_wrap=True)
    return console.export_svg(title="", unique_id="terminal")
