"""Handles as agents have them."""

from __future__ import annotations

import re

from ..client.model import Handle
from .errors import Refused

_HANDLE = re.compile(r"(-?\d{1,10}):(\d{1,19})")


def text_of(handle: Handle) -> str:
    """Return a handle as the tools give it, and as the command line does."""
    return f"{handle.pid}:{handle.cookie}"


def parse(text: str) -> Handle:
    """Return the handle that a text is.

    Raises:
        Refused: it is none.
    """
    found = _HANDLE.fullmatch(text.strip())
    if found is None or not (
        -(2**31) <= (pid := int(found[1])) < 2**31 and 0 < (cookie := int(found[2])) < 2**63
    ):
        raise Refused(
            f"{text[:100]!r} is not a handle",
            "Handles are like 12345:678901234567890, as start_job and list_jobs give them.",
        )
    return Handle(pid, cookie)
