"""The statement of a backfill, with a place in it for the condition of a range."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from .errors import BackfillError

#: With the alias of the table, if the statement has others whose columns have the same name.
_PLACE = re.compile(r"\{range(?::(?P<alias>\w+|\"(?:[^\"]|\"\")+\"))?\}")

#: What has text of its own in it, in which a place would not be one: strings, names in quotes, comments.
_QUOTED = re.compile(
    r"""
      (?<![\w$])[eE]'(?:[^'\\]|\\.|'')*'
    | '(?:[^']|'')*'
    | "(?:[^"]|"")*"
    | (?<![\w$])\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$
    | --[^\n]*
    | (?P<comment>/\*)
    """,
    re.VERBOSE | re.DOTALL,
)

_COMMENT_EDGE = re.compile(r"/\*|\*/")

_BEGINNING = re.compile(r"[\s(]*(\w*)")
_KINDS = ("with", "select", "insert", "update", "delete", "merge", "values", "table")


class Template:
    """A statement in which `{range}`, or `{range:alias}`, stands for the rows of a range.

    All other braces are the statement's own, and so is what stands in strings, quoted names and comments.
    """

    def __init__(self, statement: str) -> None:
        """
        Raises:
            BackfillError: it has no such place, or is of a kind that can't be run range by range.
        """
        # What ends it would come between it and what is put around it.
        self.statement = statement.strip().rstrip(";").rstrip()
        if not any(_PLACE.search(text) for text, is_code in _pieces(self.statement) if is_code):
            raise BackfillError(
                "the statement has no {range} in it: each job would change the whole table",
                hint="write it such as UPDATE t SET … WHERE {range}; "
                "with other tables in it {range:t}, where t is the table's name or alias there",
            )
        code = "".join(text if is_code else " " for text, is_code in _pieces(self.statement))
        word = _BEGINNING.match(code)
        if word is None or word[1].lower() not in _KINDS:
            raise BackfillError(
                "the statement can't be run range by range",
                hint="it is to be one INSERT, UPDATE, DELETE, MERGE or SELECT",
            )

    def filled(self, condition: Callable[[str], str]) -> str:
        """Return the statement for a range.

        Args:
            condition: returns the condition, given what stands before the names of columns: `alias.` or ''.
        """

        def place(found: re.Match[str]) -> str:
            return condition(f"{found['alias']}." if found["alias"] else "")

        return "".join(
            _PLACE.sub(place, text) if is_code else text for text, is_code in _pieces(self.statement)
        )


def _pieces(statement: str) -> Iterator[tuple[str, bool]]:
    """Take a statement apart into what is code, and what is a string, a quoted name or a comment."""
    begin = at = 0
    while at < len(statement):
        if place := _PLACE.match(statement, at):
            # Its alias may be a name in quotes.
            at = place.end()
        elif quoted := _QUOTED.match(statement, at):
            end = _end_of_comment(statement, at) if quoted["comment"] else quoted.end()
            yield statement[begin:at], True
            yield statement[at:end], False
            begin = at = end
        else:
            at += 1
    yield statement[begin:], True


def _end_of_comment(statement: str, begin: int) -> int:
    """Return where a comment ends that may have others in it."""
    depth = 0
    for edge in _COMMENT_EDGE.finditer(statement, begin):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end()
    return len(statement)
