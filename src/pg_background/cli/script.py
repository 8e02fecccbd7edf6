"""Where a script stopped of which each statement is a transaction, and what it has left behind."""

from __future__ import annotations

import re
from typing import Any

#: What the server adds to the context of an error, after that of a job which the statement itself has run.
_PLACE = re.compile(r"^statement (\d+) of (\d+)$", re.MULTILINE)

_VERBS = {"canceled": "was canceled", "timed_out": "ran out of time"}


def what_is_committed(error: object, state: str) -> str:
    """Say it of a script that has not run to its end.

    Args:
        error: that it ended with.
        state: that it ended in.
    """
    diag: Any = getattr(error, "diag", None)
    places = _PLACE.findall((diag and diag.context) or "")
    if not places:
        # Where it stopped between two statements, or its process died, the server doesn't tell.
        return "statements that had ended before are committed"
    number, count = map(int, places[-1])
    told = [f"statement {number} of {count} {_VERBS.get(state, 'failed')}"]
    told.append(f"{_several(1, number - 1)} committed" if number > 1 else "nothing is committed")
    if number < count:
        told.append(f"{_several(number + 1, count, were=True)} not run")
    return "; ".join(told)


def _several(first: int, last: int, *, were: bool = False) -> str:
    if first == last:
        return f"statement {first} {'was' if were else 'is'}"
    joined = "and" if last == first + 1 else "to"
    return f"statements {first} {joined} {last} {'were' if were else 'are'}"
