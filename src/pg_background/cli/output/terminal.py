"""Text on a terminal: what of it could steer the terminal is shown instead of sent, and how wide it is."""

from __future__ import annotations

import re
import sys
from unicodedata import category, east_asian_width

#: All that terminals obey, but for the ends of lines and tabs.
_STEERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
#: What turns the direction of text, so that it reads as something else.
_TURNS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    r"""Show control characters as psql does: `\x1B`, `\u009B`; and those that turn the direction of text."""
    if text.isascii() and text.isprintable():
        return text
    return _TURNS.sub(_code, _STEERS.sub(_code, text))


def without_controls(text: str) -> str:
    """Show control characters, as psql does in its tables."""
    return _STEERS.sub(_code, text)


def _code(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\x{number:02X}" if number < 0x80 else f"\\u{number:04X}"


def width_of(text: str) -> int:
    """Return how many places of a terminal's line it takes."""
    if text.isascii():
        return len(text)
    return sum(_width(character) for character in text)


def _width(character: str) -> int:
    if category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if east_asian_width(character) in ("W", "F") else 1


def is_terminal(stream: object) -> bool:
    """Tell whether somebody looks at it."""
    asks = getattr(stream, "isatty", None)
    try:
        return bool(asks is not None and asks())
    except ValueError:
        # It is closed.
        return False


def screen_size() -> tuple[int, int] | None:
    """Return columns and lines of the terminal that stdout is; None if it is none."""
    if not is_terminal(sys.stdout):
        return None
    from shutil import get_terminal_size

    size = get_terminal_size()
    return size.columns, size.lines
