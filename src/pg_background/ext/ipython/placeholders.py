"""`:name` and `%(name)s` in a cell's SQL, as psycopg's placeholders."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

#: What has to be passed over comes first. A colon after another one or after a word is a cast or a slice.
_PARTS = re.compile(
    r"""
    --[^\n]*
    | /\*.*?\*/
    | (?<!\w)[eE]'(?:[^'\\]|\\.|'')*'
    | '(?:[^']|'')*'
    | "(?:[^"]|"")*"
    | (?<!\w)\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$
    | (?<![\w:]):(?P<name>[^\W\d]\w*)
    | (?<!%)%\((?P<psycopg_name>[^\W\d]\w*)\)s(?!\w)
    """,
    re.VERBOSE | re.DOTALL,
)


def bound(query: str, variables: Mapping[str, Any]) -> tuple[str, dict[str, Any] | None]:
    """Return the query for psycopg, and the values of the variables that it names; None if it names none.

    Raises:
        LookupError: there is no such variable; the error's argument says so.
    """
    values: dict[str, Any] = {}
    parts: list[str] = []
    end = 0
    for found in _PARTS.finditer(query):
        name = found["name"] or found["psycopg_name"]
        if name is None:
            continue
        if name not in variables:
            raise LookupError(f"{found[0]} is no variable that is set{_not_meant(found)}")
        values[name] = variables[name]
        parts += [_without_placeholders(query[end : found.start()]), f"%({name})s"]
        end = found.end()
    if not values:
        return query, None
    return "".join(parts) + _without_placeholders(query[end:]), values


def _not_meant(found: re.Match[str]) -> str:
    """Return what to do if it was not meant as a variable: SQL has colons of its own, as in a slice."""
    return "; if the colon is SQL's own, write a blank after it" if found["name"] else ""


def _without_placeholders(text: str) -> str:
    return text.replace("%", "%%")
