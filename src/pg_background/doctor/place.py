"""Can what others make be called in place of the extension?

A call takes the function that fits best: one that somebody made beside ours may fit better, and runs with the
rights of the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .finding import Finding, identifier, ok, warn
from .server_info import USER_ROLE, ServerInfo

#: A schema that nobody creates in but who made it.
SCHEMA = "background"

#: Those who use it, and those who watch it.
_ADMIT = f"GRANT USAGE ON SCHEMA {SCHEMA} TO {USER_ROLE}, pg_monitor"

#: To be run by a superuser, who owns what it makes.
CREATE = f"CREATE SCHEMA {SCHEMA}; CREATE EXTENSION pg_background SCHEMA {SCHEMA}; {_ADMIT}"

_MOVE = f"as a superuser CREATE SCHEMA {SCHEMA}; ALTER EXTENSION pg_background SET SCHEMA {SCHEMA}; {_ADMIT}"

#: So many of a list are named.
_MOST = 3


def schema(server: ServerInfo) -> Finding | None:
    """May only superusers create in the extension's schema?"""
    if server.extension is None:
        return None
    owner, others = server.extension.schema_owner, server.extension.creators
    name = identifier(server.extension.schema)
    if owner is None and not others:
        return ok("schema", f"only superusers may create in {name}")
    who = [f"{owner}, its owner"] if owner else []
    remedies = [f"REVOKE CREATE ON SCHEMA {name} FROM {', '.join(others)}"] if others else []
    remedies += [f"ALTER SCHEMA {name} OWNER TO a superuser"] if owner else []
    return warn(
        "schema",
        f"{_listed([*others, *who])} may create in {name} functions that calls take for the extension's",
        # What is in public belongs there.
        _MOVE if name == "public" else "; ".join(remedies),
    )


def lookalikes(server: ServerInfo) -> Finding | None:
    """Has nothing else the name of a function, type or view of the extension?"""
    if server.extension is None:
        return None
    found = server.extension.lookalikes
    if not found:
        return ok("look-alikes", "none in its schema and in the search_path")
    return warn(
        "look-alikes",
        f"calls may take these for the extension's: {_listed(found)}",
        "find out who made them and what they did, then drop or rename them",
    )


PLACE: Sequence[Callable[[ServerInfo], Finding | None]] = (schema, lookalikes)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return f"{', '.join(names[:_MOST])}{more}"
