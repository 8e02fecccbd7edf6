"""Numbers on the command line. Typer's own ranges would take half of the help's width."""

from __future__ import annotations

#: What PostgreSQL's int4 holds of milliseconds, in seconds.
LONGEST = 2_147_483


def seconds(word: str) -> float:
    """Return a time limit.

    Raises:
        ValueError: it is none.
    """
    value = _number(word)
    if not 0 <= value <= LONGEST:
        raise ValueError(f"{word} is not a time between 0 and {LONGEST} seconds")
    return value


def seconds_of_grace(word: str) -> float:
    """Return a grace period, of which the server takes an hour at most.

    Raises:
        ValueError: it is none.
    """
    value = _number(word)
    if not 0 <= value <= 3600:
        raise ValueError(f"{word} is not a time between 0 and 3600 seconds")
    return value


def seconds_between(word: str) -> float:
    """Return a time between two looks.

    Raises:
        ValueError: it is none, or so short that looking would be all that is done.
    """
    value = _number(word)
    if not 0.1 <= value <= 3600:
        raise ValueError(f"{word} is not a time between 0.1 and 3600 seconds")
    return value


def port_number(word: str) -> int:
    """Return a TCP port.

    Raises:
        ValueError: it is none.
    """
    if not word.isdecimal() or not 1 <= int(word) <= 65535:
        raise ValueError(f"{word} is not a port, which is a number from 1 to 65535")
    return int(word)


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise ValueError(f"{word!r} is not a number") from None
