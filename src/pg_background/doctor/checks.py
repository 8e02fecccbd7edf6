"""Is pg_background there, and for the right roles? No check asks the server; each judges what is known."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from ..versions import numbers_of
from .citus import CITUS
from .finding import Finding, fail, identifier, ok, warn
from .libraries import INSTALL, LIBRARIES
from .limits import LIMITS
from .place import CREATE, PLACE
from .server_info import USER_ROLE, ServerInfo, is_ours

#: The major versions that the extension is tested on.
SUPPORTED = range(14, 19)

#: In minor versions before these, dynamic shared memory that has been full once can't be had again, but for
#: small pieces, though it is free. Found by filling job memory on 14.5 and 14.9, 15.3 and 15.4.
GIVES_MEMORY_BACK = {14: 9, 15: 4}


def examine(server: ServerInfo) -> list[Finding]:
    """Judge a server: one finding for each check that applies to it."""
    return [finding for check in CHECKS if (finding := check(server)) is not None]


def version(server: ServerInfo) -> Finding:
    """Is it a version of PostgreSQL that is supported?"""
    text = f"PostgreSQL {server.version}"
    if server.major < SUPPORTED[0]:
        return fail("server", f"{text} is too old", f"upgrade to {SUPPORTED[0]} or newer")
    if server.major > SUPPORTED[-1]:
        return warn(
            "server",
            f"{text} is newer than this program, which knows {SUPPORTED[0]} to {SUPPORTED[-1]}",
            "pip install --upgrade pg_background",
        )
    minor = re.match(r"\d+\.(\d+)", server.version)
    needed = GIVES_MEMORY_BACK.get(server.major, 0)
    if minor and int(minor[1]) < needed:
        return warn(
            "server",
            f"{text} loses job memory for good once it has been full: then launches fail until a restart",
            f"upgrade to {server.major}.{needed} or newer",
        )
    return ok("server", text)


def extension(server: ServerInfo) -> Finding:
    """Is the extension in this database, and up to date?"""
    found = server.extension
    where = f'in database "{server.database}"'
    if found is None:
        if server.available is None:
            return fail("extension", "its files are not installed", INSTALL)
        return fail("extension", f"not {where}", CREATE)
    text = f"version {found.version} {where}"
    if not is_ours(found.version):
        install = "" if is_ours(server.available or "0") else f"{INSTALL}, restart the server, then "
        return fail(
            "extension",
            f"{text} is the extension in C",
            f"{install}ALTER EXTENSION pg_background UPDATE",
        )
    if server.available is None:
        return warn("extension", f"{text}, but its files are gone", f"{INSTALL}, or drop the extension")
    library = server.library_version
    if library is not None and numbers_of(library) < numbers_of(found.version):
        return fail(
            "extension",
            f"{text} needs a newer library than that of {library}, which the server runs",
            f"restart the server, after {INSTALL} if the library is not there",
        )
    if numbers_of(server.available) > numbers_of(found.version):
        update = "ALTER EXTENSION pg_background UPDATE"
        if library is not None and numbers_of(library) < numbers_of(server.available):
            update = f"restart the server, then {update}"
            text += ", the library of " + library
        return warn("extension", f"{text}, and the files of {server.available}", update)
    return ok("extension", text)


def keeper(server: ServerInfo) -> Finding | None:
    """Does the process live that expires results and starts workers ahead of need?"""
    if not server.preloaded or server.keeper is None:
        return None
    if server.keeper:
        return ok("keeper", "alive")
    return fail(
        "keeper",
        "its process is not there",
        "it comes back after a second: if not, see the server's log, and whether max_worker_processes leaves "
        "it a slot",
    )


def grants(server: ServerInfo) -> Finding | None:
    """Is the extension out of reach of those whom nobody let in?"""
    if server.extension is None:
        return None
    public = server.extension.public
    if public:
        more = f" and {len(public) - 3} more" if len(public) > 3 else ""
        return fail(
            "grants",
            f"PUBLIC may use {', '.join(public[:3])}{more}",
            "REVOKE ALL on each of them FROM PUBLIC, and grant it to roles",
        )
    if server.user_role_logs_in is None:
        return warn(
            "grants",
            f"there is no role {USER_ROLE}: only superusers launch jobs",
            f"CREATE ROLE {USER_ROLE} NOLOGIN, and grant it EXECUTE on the functions",
        )
    schema = identifier(server.extension.schema)
    if not server.extension.user_role_may_enter:
        return warn(
            "grants",
            f"{USER_ROLE} may not use the schema {schema}, nor may its members",
            f"GRANT USAGE ON SCHEMA {schema} TO {USER_ROLE}",
        )
    if not server.extension.user_role_may_launch:
        return warn(
            "grants",
            f"{USER_ROLE} may not launch jobs, nor may its members",
            f"grant {USER_ROLE} EXECUTE on the functions",
        )
    if server.user_role_logs_in:
        return warn(
            "grants",
            f"{USER_ROLE} may log in, though it is meant as a group",
            f"ALTER ROLE {USER_ROLE} NOLOGIN",
        )
    return ok("grants", f"nothing for PUBLIC, the functions for {USER_ROLE}")


def role(server: ServerInfo) -> Finding | None:
    """May this role use it?"""
    if server.extension is None:
        return None
    name, schema = identifier(server.role), identifier(server.extension.schema)
    if not server.extension.may_enter:
        return fail(
            "role", f"{name} may not use the schema {schema}", f"GRANT USAGE ON SCHEMA {schema} TO {name}"
        )
    if not server.extension.may_launch:
        return fail("role", f"{name} may not launch jobs", f"GRANT {USER_ROLE} TO {name}")
    return ok("role", f"{name} may launch jobs")


def trial(server: ServerInfo) -> Finding | None:
    """Does a job run?"""
    if server.trial is None:
        return None
    if server.trial.error:
        return fail(
            "trial job",
            f"SELECT 1 failed in the background: {server.trial.error}",
            server.trial.hint.rstrip(".") or "what the other lines say, then the server's log",
        )
    return ok("trial job", "SELECT 1 ran in the background")


CHECKS: Sequence[Callable[[ServerInfo], Finding | None]] = (
    version,
    *LIBRARIES,
    extension,
    keeper,
    grants,
    *PLACE,
    role,
    trial,
    *LIMITS,
    *CITUS,
)
