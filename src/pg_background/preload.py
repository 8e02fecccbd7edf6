"""The setting `shared_preload_libraries`: what is in it, and what it is to be with pg_background."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

SETTING = "shared_preload_libraries"

LIBRARY = "pg_background"

#: It refuses to start after a library that has hooks, as ours has.
FIRST = "citus"

#: As the server splits it: names between commas, those in double quotes as they are.
_ITEM = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^,"][^,]*?))\s*(?:,|$)')

#: Written without quotes in SQL. A word alone may be one of SQL's own: few libraries are called so.
_PLAIN = re.compile(rf"[a-z]+(?:_[a-z0-9]+)+|{FIRST}")


def split(value: str) -> list[str]:
    """Return the libraries that a value names, as it names them."""
    found = [quoted.replace('""', '"') or plain for quoted, plain in _ITEM.findall(value)]
    return [name for name in found if name]


def names(libraries: Iterable[str], library: str) -> bool:
    """Tell whether a library is among them, be it with its folder or ending."""
    return any(_plain(name) == library for name in libraries)


def merged(libraries: Iterable[str]) -> list[str]:
    """Return what is to be loaded: what is there, in its order, and ours; before all others Citus."""
    kept: dict[str, str] = {}
    for name in (*libraries, LIBRARY):
        # By another name it is the same library: it is there already, and stays as it was called.
        kept.setdefault(_plain(name) if _plain(name) in (FIRST, LIBRARY) else name, name)
    return sorted(kept.values(), key=lambda name: _plain(name) != FIRST)


def remedy(libraries: Iterable[str], *, by_command_line: bool = False) -> str:
    """Return what sets it.

    Args:
        by_command_line: it is set there now, which no configuration overrides.
    """
    if by_command_line:
        return f"-c {shlex.quote(f'{SETTING}={as_value(libraries)}')} on the server's command line"
    return as_sql(libraries)


def as_sql(libraries: Iterable[str]) -> str:
    """Return the statement that sets it: each name is a value of its own there."""
    return f"ALTER SYSTEM SET {SETTING} = {', '.join(_literal(name) for name in libraries)}"


def as_line(libraries: Iterable[str]) -> str:
    """Return the line of postgresql.conf that sets it."""
    doubled = as_value(libraries).replace("\\", "\\\\").replace("'", "''")
    return f"{SETTING} = '{doubled}'"


def as_value(libraries: Iterable[str]) -> str:
    """Return all names in one value, as the server splits it."""
    return ", ".join(_item(name) for name in libraries)


def _plain(name: str) -> str:
    return name.rpartition("/")[2].removesuffix(".so")


def _literal(name: str) -> str:
    if _PLAIN.fullmatch(name):
        return name
    doubled = name.replace("'", "''")
    return f"'{doubled}'"


def _item(name: str) -> str:
    if re.fullmatch(r'[^\s,"](?:[^,"]*[^\s,"])?', name):
        return name
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
