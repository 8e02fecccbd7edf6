"""Values as people read them."""

from __future__ import annotations

from datetime import datetime, timedelta

from .. import display

#: A dash.
NOTHING = "\u2013"


def duration(seconds: float | None) -> str:
    """Return a time of seconds: `12 ms`, `0.4s`, `3m07s`; of none nothing."""
    if seconds is None:
        return ""
    if seconds == 0:
        return "0 s"
    if 0 < seconds < 0.0009995:
        return f"{seconds * 1e6:.0f} µs"
    if 0 < seconds < 0.0995:
        return f"{seconds * 1000:.2g} ms" if seconds < 0.0095 else f"{seconds * 1000:.0f} ms"
    return display.duration(timedelta(seconds=seconds))


def milliseconds(value: float | None) -> str:
    """Return a time of milliseconds likewise."""
    return duration(None if value is None else value / 1000)


def size(value: float | None) -> str:
    """Return bytes, as `37 kB`; of none a dash."""
    return NOTHING if value is None else display.size(int(value)) or "0 B"


def number(value: float | None) -> str:
    """Return a number with blanks between thousands; of none a dash."""
    if value is None:
        return NOTHING
    # Narrow ones, where no line breaks.
    return f"{value:,.0f}".replace(",", "\u202f")


def value(amount: float | None, unit: str) -> str:
    """Return a value of a chart with its unit."""
    if amount is None:
        return NOTHING
    if unit == "s":
        return duration(amount) or "0 s"
    if unit == "B/s":
        return f"{size(amount)}/s"
    text = f"{amount:.3g}" if amount < 1000 else number(amount)
    return f"{text}\u202f%" if unit == "%" else f"{text} {unit}".rstrip()


def clock(time: datetime | None) -> str:
    """Return a time of day with milliseconds and its date, for details; of none a dash."""
    return NOTHING if time is None else time.strftime("%Y-%m-%d %H:%M:%S.") + f"{time.microsecond // 1000:03}"


def moment(time: datetime | None, now: datetime) -> str:
    """Return a time, without the date if that is today's."""
    return display.moment(time, now)


def iso(time: datetime | None) -> str:
    """Return a time as HTML has it for machines."""
    return "" if time is None else time.isoformat()
