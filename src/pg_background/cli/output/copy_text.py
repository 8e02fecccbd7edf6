"""Lines as COPY writes them, taken apart."""

from __future__ import annotations

import re

#: What COPY writes with a backslash.
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_MEANINGS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def cells(line: str) -> list[str | None]:
    """Return the values of a line, None for NULL."""
    if "\\" not in line:
        return line.split("\t")  # type: ignore[return-value]
    return [_unescaped(cell) for cell in line.split("\t")]


def _unescaped(cell: str) -> str | None:
    if cell == "\\N":
        return None
    return _ESCAPED.sub(lambda found: _MEANINGS.get(found[1], found[1]), cell)
