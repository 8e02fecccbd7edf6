"""What an agent may do, and how much of it at once."""

from __future__ import annotations

from dataclasses import dataclass

#: Clients of the protocol give up after 60 seconds: no call takes longer than this one waits.
LONGEST_WAIT = 50.0
USUAL_WAIT = 30.0

#: Characters of one value: more of it can be asked for by SQL.
VALUE_CHARS = 4000


#: Characters of a message, a detail and so on: jobs write what they like there.
_TEXT_CHARS = 2000


def shortened(text: str | None, most: int = _TEXT_CHARS) -> str | None:
    """Return a text, or the beginning of a long one."""
    return text if text is None or len(text) <= most else f"{text[:most]}…"


@dataclass(frozen=True)
class Limits:
    """What whoever starts the server allows."""

    #: otherwise jobs can only read, and no jobs of others are touched
    allow_writes: bool = False
    #: of a page
    max_rows: int = 200
    max_bytes: int = 64 * 1024
    #: of one result, on this side; the rest of it is dropped
    max_result_bytes: int = 64 * 1024 * 1024
    #: run time of each job in seconds, which an agent may shorten; None: what the server has
    timeout: float | None = None
