"""Are the libraries loaded that have to be, and in the right order?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .. import preload
from .finding import Finding, fail, ok, warn
from .server_info import ServerInfo

INSTALL = "pg-background install --pg-config PATH on the server's machine"


def library(server: ServerInfo) -> Finding:
    """Was the library loaded when the server started, and will it be at the next start?"""
    libraries = _configured(server)
    # A role that may not read the setting gets advice that reminds of what may be there.
    known = ["…"] if libraries is None else libraries
    is_configured = preload.names(known, preload.LIBRARY)
    if server.preloaded:
        if libraries is not None and not is_configured:
            return warn("library", "preloaded, but not at the next start", _remedy(server, known))
        return ok("library", "preloaded")
    setting = server.settings.get(preload.SETTING)
    if setting is not None and preload.names(preload.split(setting.value), preload.LIBRARY):
        return fail(
            "library",
            "another pg_background, the extension in C, is preloaded",
            f"{INSTALL}, then restart the server",
        )
    if is_configured or (server.preload is None and setting is not None and setting.pending_restart):
        return fail("library", "not preloaded; the configuration was changed", "restart the server")
    return fail("library", "not preloaded", f"{_remedy(server, known)}, then restart the server")


def citus(server: ServerInfo) -> Finding | None:
    """Does Citus come before all others, as it demands?"""
    libraries = _configured(server)
    if libraries is None or not preload.names(libraries, preload.FIRST):
        return None
    if preload.names(libraries[:1], preload.FIRST):
        return ok("citus", f"first in {preload.SETTING}")
    return fail(
        "citus",
        f"not first in {preload.SETTING}: the server will not start again",
        _remedy(server, libraries),
    )


LIBRARIES: Sequence[Callable[[ServerInfo], Finding | None]] = (library, citus)


def _configured(server: ServerInfo) -> list[str] | None:
    """Return what the next start will load, as far as it can be seen; None if it can't."""
    if server.preload is not None:
        return preload.split(server.preload.value)
    setting = server.settings.get(preload.SETTING)
    return None if setting is None else preload.split(setting.value)


def _remedy(server: ServerInfo, libraries: Sequence[str]) -> str:
    by_command_line = server.preload is not None and server.preload.by_command_line
    if libraries == ["…"]:
        return f"ALTER SYSTEM SET {preload.SETTING} = …, {preload.LIBRARY}"
    return preload.remedy(preload.merged(libraries), by_command_line=by_command_line)
