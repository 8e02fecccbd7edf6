"""The servers that the page is about."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from psycopg.conninfo import conninfo_to_dict, make_conninfo

#: Of a server's name, which is a part of addresses.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")

#: Seconds after which a server that does not let one in is taken for lost.
_CONNECT_TIMEOUT = 10


@dataclass(frozen=True)
class Target:
    """A server, and the database on it through which its jobs are seen."""

    #: letters, digits, `_`, `.` and `-`: what it is called on the page and in addresses
    name: str
    #: as libpq takes it; its user and password are those of the one who runs the page, not of who looks at it
    conninfo: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is no name for a server: use letters, digits, '_', '.' and '-'")

    @property
    def place(self) -> str:
        """Database, host and port, for people."""
        parts = conninfo_to_dict(self.conninfo)
        where = ":".join(str(part) for part in (parts.get("host"), parts.get("port")) if part)
        database = str(parts.get("dbname") or "")
        return " on ".join(part for part in (database, where) if part) or "the server of libpq's variables"

    def conninfo_of(self, role: str | None = None, password: str | None = None, database: str = "") -> str:
        """Return how to connect as a role, or without one as whoever runs the page."""
        given = conninfo_to_dict(self.conninfo)
        changed: dict[str, object] = {"fallback_application_name": "pg-background web"}
        if "connect_timeout" not in given:
            changed["connect_timeout"] = _CONNECT_TIMEOUT
        if role is not None:
            changed.update(user=role, password=password)
        if database:
            changed["dbname"] = database
        return make_conninfo(self.conninfo, **changed)  # type: ignore[arg-type]


def targets_of(servers: str | Mapping[str, str] | Sequence[Target]) -> dict[str, Target]:
    """Return the servers by their names.

    Args:
        servers: a connection string, several by name, or targets.

    Raises:
        ValueError: there are none, or a name is none or is there twice.
    """
    if isinstance(servers, str):
        found = [Target("server", servers)]
    elif isinstance(servers, Mapping):
        found = [Target(name, conninfo) for name, conninfo in servers.items()]
    else:
        found = list(servers)
    by_name = {target.name: target for target in found}
    if not found or len(by_name) < len(found):
        raise ValueError("name at least one server, and each of them once")
    return by_name
