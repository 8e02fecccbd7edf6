"""Is pg_background there, and for the right roles? No check asks the server; each judges what is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .facts import USER_ROLE, Facts, is_ours
from .finding import Finding, fail, ok, warn
from .limits import LIMITS

#: The major versions that the extension is tested on.
SUPPORTED = range(14, 19)

_INSTALL = "pg-background install --pg-config PATH on the server's machine"


def examine(facts: Facts) -> list[Finding]:
    """Judge a server: one finding for each check that applies to it."""
    return [finding for check in CHECKS if (finding := check(facts)) is not None]


def version(facts: Facts) -> Finding:
    """Is it a version of PostgreSQL that is supported?"""
    text = f"PostgreSQL {facts.version}"
    if facts.major < SUPPORTED[0]:
        return fail("server", f"{text} is too old", f"upgrade to {SUPPORTED[0]} or newer")
    if facts.major > SUPPORTED[-1]:
        return warn(
            "server",
            f"{text} is newer than this program, which knows {SUPPORTED[0]} to {SUPPORTED[-1]}",
            "pip install --upgrade pg_background",
        )
    return ok("server", text)


def library(facts: Facts) -> Finding:
    """Was the library loaded when the server started?"""
    if facts.preloaded:
        return ok("library", "preloaded")
    setting = facts.settings.get("shared_preload_libraries")
    # A role that may not read the setting gets advice that reminds of what may be there.
    libraries = ["…"] if setting is None else _names(setting.value)
    if setting is not None and setting.pending_restart:
        return fail("library", "not preloaded; the configuration was changed", "restart the server")
    if "pg_background" in libraries:
        return fail(
            "library",
            "another pg_background, the extension in C, is preloaded",
            f"{_INSTALL}, then restart the server",
        )
    return fail(
        "library",
        "not preloaded",
        f"ALTER SYSTEM SET shared_preload_libraries = {', '.join([*libraries, 'pg_background'])}, "
        "then restart the server",
    )


def extension(facts: Facts) -> Finding:
    """Is the extension in this database, and up to date?"""
    found = facts.extension
    where = f'in database "{facts.database}"'
    if found is None:
        if facts.available is None:
            return fail("extension", "its files are not installed", _INSTALL)
        return fail("extension", f"not {where}", "CREATE EXTENSION pg_background")
    text = f"version {found.version} {where}"
    if not is_ours(found.version):
        install = "" if is_ours(facts.available or "0") else f"{_INSTALL}, restart the server, then "
        return fail(
            "extension",
            f"{text} is the extension in C",
            f"{install}ALTER EXTENSION pg_background UPDATE",
        )
    if facts.available not in (None, found.version):
        return warn(
            "extension",
            f"{text}, and the files of {facts.available}",
            "ALTER EXTENSION pg_background UPDATE, after a restart if they are new",
        )
    return ok("extension", text)


def keeper(facts: Facts) -> Finding | None:
    """Does the process live that expires results and starts workers ahead of need?"""
    if not facts.preloaded or facts.keeper is None:
        return None
    if facts.keeper:
        return ok("keeper", "alive")
    return fail(
        "keeper",
        "its process is not there",
        "it comes back after a second: if not, see the server's log, and whether max_worker_processes leaves "
        "it a slot",
    )


def grants(facts: Facts) -> Finding | None:
    """Is the extension out of reach of those whom nobody let in?"""
    if facts.extension is None:
        return None
    public = facts.extension.public
    if public:
        more = f" and {len(public) - 3} more" if len(public) > 3 else ""
        return fail(
            "grants",
            f"PUBLIC may use {', '.join(public[:3])}{more}",
            "REVOKE ALL on each of them FROM PUBLIC, and grant it to roles",
        )
    if facts.user_role_logs_in is None:
        return warn(
            "grants",
            f"there is no role {USER_ROLE}: only superusers launch jobs",
            f"CREATE ROLE {USER_ROLE} NOLOGIN, and grant it EXECUTE on the functions",
        )
    if not facts.user_role_may_launch:
        return warn(
            "grants",
            f"{USER_ROLE} may not launch jobs, nor may its members",
            f"grant {USER_ROLE} EXECUTE on the functions",
        )
    if facts.user_role_logs_in:
        return warn(
            "grants",
            f"{USER_ROLE}, which is there to be a member of, may log in",
            f"ALTER ROLE {USER_ROLE} NOLOGIN",
        )
    return ok("grants", f"nothing for PUBLIC, the functions for {USER_ROLE}")


def role(facts: Facts) -> Finding | None:
    """May this role use it?"""
    if facts.extension is None:
        return None
    if not facts.extension.may_enter:
        return fail(
            "role",
            f"{facts.role} may not use the schema {facts.extension.schema}",
            f"GRANT USAGE ON SCHEMA {facts.extension.schema} TO {facts.role}",
        )
    if not facts.extension.may_launch:
        return fail("role", f"{facts.role} may not launch jobs", f"GRANT {USER_ROLE} TO {facts.role}")
    return ok("role", f"{facts.role} may launch jobs")


def trial(facts: Facts) -> Finding | None:
    """Does a job run?"""
    if facts.trial is None:
        return None
    if facts.trial.error:
        return fail(
            "trial job",
            f"SELECT 1 failed in the background: {facts.trial.error}",
            facts.trial.hint.rstrip(".") or "what the other lines say, then the server's log",
        )
    return ok("trial job", "SELECT 1 ran in the background")


CHECKS: Sequence[Callable[[Facts], Finding | None]] = (
    version,
    library,
    extension,
    keeper,
    grants,
    role,
    trial,
    *LIMITS,
)


def _names(libraries: str) -> list[str]:
    return [name for part in libraries.split(",") if (name := part.strip().strip('"'))]
