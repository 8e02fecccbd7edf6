"""Do several servers fit together? What concerns each alone is examined there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .citus import POOL, connections_to_a_node, room_for_connections
from .finding import Finding, ok, warn
from .server_info import ServerInfo


def examine_cluster(servers: Mapping[str, ServerInfo]) -> list[Finding]:
    """Judge servers together, of which the names are given: one finding for each check that applies."""
    findings = [check(servers) for check in (versions, extensions, connections)]
    return [finding for finding in findings if finding is not None]


def versions(servers: Mapping[str, ServerInfo]) -> Finding | None:
    """Are they of the same version?"""
    found = {name: f"PostgreSQL {server.version}" for name, server in servers.items()}
    return _alike("versions", found, "upgrade those that are older")


def extensions(servers: Mapping[str, ServerInfo]) -> Finding | None:
    """Do they have the same extensions, in the same versions?"""
    found = {}
    for name, server in servers.items():
        own = {} if server.extension is None else {"pg_background": server.extension.version}
        all_of_it = {**own, **server.cluster_extensions}
        found[name] = ", ".join(f"{what} {version}" for what, version in sorted(all_of_it.items())) or "none"
    return _alike("extensions", found, "CREATE EXTENSION, or ALTER EXTENSION … UPDATE, where they are older")


def connections(servers: Mapping[str, ServerInfo]) -> Finding | None:
    """Can jobs of all nodes of Citus run statements over many shards at once?"""
    senders = [
        server
        for server in servers.values()
        if server.has_citus and server.preloaded and POOL in server.settings
    ]
    if not senders:
        return None
    wanted = sum(map(connections_to_a_node, senders))
    least, room = min(
        ((name, room_for_connections(server)) for name, server in servers.items()), key=lambda pair: pair[1]
    )
    text = f"the jobs of all nodes may open {wanted} to each, and {least} takes {room}"
    if wanted <= room:
        return ok("connections", text)
    return warn(
        "connections",
        f"{text} (max_connections)",
        f"on each node citus.max_shared_pool_size = {max(room // len(senders), 1)}, or a smaller {POOL} or "
        "pg_background.max_total_workers",
    )


def _alike(check: str, found: Mapping[str, str], fix: str) -> Finding | None:
    if len(found) < 2:
        return None
    names: dict[str, list[str]] = {}
    for name, what in found.items():
        names.setdefault(what, []).append(name)
    if len(names) == 1:
        return ok(check, f"{next(iter(names))} on all {len(found)} that answer")
    return warn(check, "; ".join(f"{what} on {_listed(which)}" for what, which in names.items()), fix)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
