"""The statement of a backfill, with a place in it for the condition of a range."""

from __future__ import annotations

import re
from collections.abc import Callable

from .errors import BackfillError

#: With the alias of the table, if the statement has others whose columns have the same name.
_PLACE = re.compile(r"\{range(?::(?P<alias>\w+|\"(?:[^\"]|\"\")+\"))?\}")


class Template:
    """A statement in which `{range}`, or `{range:alias}`, stands for the rows of a range.

    All other braces are the statement's own.
    """

    def __init__(self, statement: str) -> None:
        """
        Raises:
            BackfillError: it has no such place.
        """
        if not _PLACE.search(statement):
            raise BackfillError(
                "the statement has no {range} in it: each job would change the whole table",
                hint="write it such as UPDATE t SET … WHERE {range}; "
                "with other tables in it {range:t}, where t is the table's name or alias there",
            )
        # What ends it would come between it and what is put around it.
        self.statement = statement.strip().rstrip(";").rstrip()

    def filled(self, condition: Callable[[str], str]) -> str:
        """Return the statement for a range.

        Args:
            condition: returns the condition, given what stands before the names of columns: `alias.` or ''.
        """
        return _PLACE.sub(
            lambda found: condition(f"{found['alias']}." if found["alias"] else ""), self.statement
        )
