"""Numbers on the command line. Typer's own ranges would take half of the help's width."""

from __future__ import annotations

import re

#: What PostgreSQL's int4 holds of milliseconds, in seconds.
LONGEST = 2_147_483


def seconds(word: str) -> float:
    """Return a time limit.

    Raises:
        ValueError: it is none.
    """
    return _seconds(word, 0, LONGEST)


def seconds_of_grace(word: str) -> float:
    """Return a grace period, of which the server takes an hour at most.

    Raises:
        ValueError: it is none.
    """
    return _seconds(word, 0, 3600)


def seconds_between(word: str) -> float:
    """Return a time between two polls.

    Raises:
        ValueError: it is none, or so short that polling would be all that is done.
    """
    return _seconds(word, 0.1, 3600)


def rate(word: str) -> float:
    """Return how many there may be in a second.

    Raises:
        ValueError: it is no number above 0.
    """
    value = _number(word)
    if not value > 0:
        raise ValueError(f"{word} is not above 0")
    return value


def byte_count(word: str) -> int:
    """Return a number of bytes, written as PostgreSQL does: 64MB.

    Raises:
        ValueError: it is none.
    """
    found = re.fullmatch(r"(\d+)\s*([kmgt]?)b?", word.strip(), re.IGNORECASE)
    if found is None:
        raise ValueError(f"{word!r} is not a number of bytes, such as 16MB")
    return int(found[1]) * int(1024 ** ("", "k", "m", "g", "t").index(found[2].lower()))


def port_number(word: str) -> int:
    """Return a TCP port.

    Raises:
        ValueError: it is none.
    """
    if not word.isdecimal() or not 1 <= int(word) <= 65535:
        raise ValueError(f"{word} is not a port, which is a number from 1 to 65535")
    return int(word)


def _seconds(word: str, least: float, most: float) -> float:
    value = _number(word)
    if not least <= value <= most:
        raise ValueError(f"{word} is not a time between {least} and {most} seconds")
    return value


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise ValueError(f"{word!r} is not a number") from None
