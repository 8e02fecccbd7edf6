"""What a page says of the settings, and what the server says of them, in comparable form."""

from __future__ import annotations

import re

from .fix_db import Connection

_CONTEXTS = {"user": "user", "superuser": "superuser", "reload": "sighup", "restart": "postmaster"}

_UNITS = {
    "": 1,
    "B": 1,
    "kB": 1024,
    "MB": 1024**2,
    "GB": 1024**3,
    "ms": 1,
    "s": 1000,
    "min": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
}


def amount(value: str, unit: str = "") -> int:
    """Return a setting's value in bytes or milliseconds: `32MB`, or `32768` of `kB`; an empty text is 0."""
    if value in ("", "none", "off"):
        return 0
    match = re.fullmatch(r"(-?\d+)(\w*)", value)
    assert match is not None
    return int(match[1]) * _UNITS[match[2]] * _UNITS[unit]


def described(page: str) -> dict[str, tuple[int, str]]:
    """Return the default and context of each setting in a page's table."""
    return {
        f"pg_background.{name}": (amount(default), _CONTEXTS[who])
        for name, default, who in re.findall(
            r"^\| `(\w+)` \| (\w+) \| (user|superuser|reload|restart) \|", page, re.MULTILINE
        )
    }


def actual(conn: Connection) -> dict[str, tuple[int, str]]:
    """Return the same of all settings that can be set."""
    return {
        name: (amount(default, unit or ""), context)
        for name, default, unit, context in conn.execute(
            "SELECT name, boot_val, unit, context FROM pg_settings"
            " WHERE name LIKE 'pg_background.%' AND context <> 'internal'"
        )
    }
