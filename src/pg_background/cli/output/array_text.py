"""Arrays as PostgreSQL writes them, taken apart without a look at what the elements mean."""

from __future__ import annotations

import re

_DELIMITERS = {
    mark: re.compile(
        rf'(?P<open>\{{)|(?P<close>\}})|{mark}|"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^{{}}{mark}"]+)', re.S
    )
    for mark in ",;"
}


def elements(text: str, delimiter: str = ",") -> list[object]:
    """Return the elements' texts, None for NULL, in lists for each dimension."""
    # Bounds that do not begin at 1 stand before the elements: [0:1]={7,8}.
    start = text.index("{")
    outermost: list[object] = []
    open_lists = [outermost]
    for found in _DELIMITERS[delimiter].finditer(text, start):
        kind = found.lastgroup
        if kind == "open":
            inner: list[object] = []
            open_lists[-1].append(inner)
            open_lists.append(inner)
        elif kind == "close":
            open_lists.pop()
        elif kind == "quoted":
            open_lists[-1].append(re.sub(r"\\(.)", r"\1", found["quoted"], flags=re.S))
        elif kind == "plain":
            plain = found["plain"]
            open_lists[-1].append(None if plain == "NULL" else plain)
    (whole,) = outermost
    assert isinstance(whole, list)
    return whole
