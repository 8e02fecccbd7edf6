"""What a server was sent, out of its log, and the extension's functions and views in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

#: A line of a session's own, in a database: what was sent follows, with a tab before each further line.
_STATEMENT = r"^\S+ \S+ \S+ \[\d+\] \w+@{} LOG:  (?:statement|execute [^:]*): (.*(?:\n\t.*)*)"

#: What has an extension's name, but for settings and what is in quotes, as names of cursors are.
_NAME = re.compile(
    r'(?P<schema>"(?:[^"]|"")*"|\w+)?(?P<dot>\.)?(?<!["\w])(?P<name>pg_background_\w+)\s*(?P<call>\()?'
)


class Use(NamedTuple):
    """A function or view in a statement."""

    schema: str | None
    name: str
    #: of a call, what each argument is cast to; None for one that is not
    types: tuple[str | None, ...] | None


def statements(log: str, database: str) -> list[str]:
    """Return what sessions on a database sent."""
    found = re.findall(_STATEMENT.format(re.escape(database)), log, re.MULTILINE)
    return [statement.replace("\n\t", "\n") for statement in found]


def uses(statement: str) -> Iterator[Use]:
    """Yield the extension's functions and views that a statement names."""
    code = re.sub(r"'(?:[^']|'')*'", "''", statement)
    for found in _NAME.finditer(code):
        schema = found["schema"] if found["dot"] else None
        types = tuple(map(_cast_to, _arguments(code[found.end() :]))) if found["call"] else None
        yield Use(schema, found["name"], types)


def _arguments(code: str) -> Iterator[str]:
    """Yield the arguments of a call, whose opening parenthesis is just before."""
    depth, start = 0, 0
    for n, letter in enumerate(code):
        if letter == "," and depth == 0:
            yield code[start:n]
            start = n + 1
        if letter == ")" and depth == 0:
            if code[start:n].strip():
                yield code[start:n]
            return
        depth += (letter in "([") - (letter in ")]")
    raise AssertionError(f"the call has no end: {code}")


def _cast_to(argument: str) -> str | None:
    found = re.fullmatch(r".*::pg_catalog\.(\w+(?:\[\])?)\s*", argument, re.DOTALL)
    return found[1] if found else None
