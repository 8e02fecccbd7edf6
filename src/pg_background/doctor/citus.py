"""Does Citus get what it needs beside jobs, and jobs what they need of Citus?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .finding import Finding, ok, warn
from .limits import total_workers
from .server_info import ServerInfo

POOL = "citus.max_adaptive_executor_pool_size"
SHARED_POOL = "citus.max_shared_pool_size"
_PER_NODE = "citus.max_background_task_executors_per_node"


def moves(server: ServerInfo) -> Finding | None:
    """Can a shard be moved while it is written to? Citus copies it by logical replication."""
    if not server.has_citus:
        return None
    level = server.settings["wal_level"].value
    if level != "logical":
        return warn(
            "shard moves",
            f"wal_level = {level}: while a shard is moved or split nobody can write to it",
            "wal_level = logical and a restart",
        )
    at_once = server.amount(_PER_NODE) if _PER_NODE in server.settings else 1
    free = {
        "max_replication_slots": server.used_slots,
        "max_wal_senders": server.used_senders,
        "max_logical_replication_workers": 0,
    }
    short = [name for name, used in free.items() if server.amount(name) - used < at_once]
    if short:
        said = ", ".join(f"{name} = {server.amount(name)} ({free[name]} in use)" for name in short)
        more = ", ".join(f"{name} = {free[name] + at_once}" for name in short)
        return warn("shard moves", f"too few for {at_once} at once: {said}", f"{more} and a restart")
    return ok("shard moves", f"{at_once} at once, by logical replication")


def connections(server: ServerInfo) -> Finding | None:
    """Can all jobs run statements over many shards at once?"""
    if not (server.has_citus and server.preloaded and POOL in server.settings):
        return None
    jobs, pool = total_workers(server), server.amount(POOL)
    wanted, room = connections_to_a_node(server), room_for_connections(server)
    text = f"{jobs} jobs at once may open {pool} ({POOL}) each to a node, {wanted} together"
    if wanted <= room:
        return ok("connections", f"{text}, and there are {room}")
    return warn(
        "connections",
        f"{text}, and there are {room} (max_connections)",
        f"{POOL} = {max(room // jobs, 1)}, or pg_background.max_total_workers = {max(room // pool, 1)}, "
        f"or {SHARED_POOL} = {room}",
    )


def connections_to_a_node(server: ServerInfo) -> int:
    """Return how many connections the jobs of a server may open to one node, at most."""
    wanted = total_workers(server) * server.amount(POOL)
    shared = server.amount(SHARED_POOL) if SHARED_POOL in server.settings else 0
    # Not above 0: as many as max_connections, or any number.
    return min(wanted, shared) if shared > 0 else wanted


def room_for_connections(server: ServerInfo) -> int:
    """Return how many sessions a server takes of those who are no superusers."""
    reserved = ("superuser_reserved_connections", "reserved_connections")
    kept = sum(server.amount(name) for name in reserved if name in server.settings)
    return max(server.amount("max_connections") - kept, 0)


CITUS: Sequence[Callable[[ServerInfo], Finding | None]] = (moves, connections)
