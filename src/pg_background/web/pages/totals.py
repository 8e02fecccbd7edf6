"""What jobs have cost since the server's start, by database and role, and who takes how much now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...watching import SourceError
from ...watching.server_source import AsyncConnection
from .. import asking
from ..links import query_of
from ..site import Visit
from ..surface import Surface

#: The sums of a row, with how they are written; an older catalogue has not all of them.
_COLUMNS: Mapping[str, tuple[str, str]] = {
    "launched": ("Launched", "n"),
    "completed": ("Done", "n"),
    "failed": ("Failed", "n"),
    "canceled": ("Canceled", "n"),
    "timed_out": ("Timed out", "n"),
    "lost": ("Lost", "n"),
    "run_mean": ("Run, mean", "ms"),
    "queue_mean": ("Wait, mean", "ms"),
    "execution_ms": ("Run", "ms"),
    "cpu_ms": ("CPU", "ms"),
    "shared_blks_read": ("Blocks read", "n"),
    "temp_blks_written": ("Temp blocks", "n"),
    "wal_bytes": ("WAL", "B"),
}

_GROUPS = {"": ("database", "role"), "role": ("role",), "database": ("database",)}


async def totals(visit: Visit) -> dict[str, Any]:
    """Return the table that the address asks for."""
    gateway = visit.gateway
    seen = await gateway.watcher.latest()
    if not seen.surface.has("pg_background_totals"):
        raise SourceError("this role may not see the totals")

    async def question(
        connection: AsyncConnection, surface: Surface
    ) -> tuple[list[asking.Row], list[asking.Row]]:
        return await asking.totals(connection, surface), await asking.usage(connection, surface)

    rows, usage = await gateway.cached("totals", 2, lambda: gateway.ask(question))
    by = visit.query.get("by", "") if visit.query.get("by", "") in _GROUPS else ""
    made = _grouped(rows, _GROUPS[by])
    columns = {name: how for name, how in _COLUMNS.items() if any(row.get(name) is not None for row in made)}
    sort = visit.query.get("sort", "launched")
    sort = sort if sort in columns else "launched"
    made.sort(key=lambda row: -(row.get(sort) or 0))
    return {
        "now": seen.now,
        "zone": seen.surface.time_zone,
        "trouble": gateway.watcher.trouble,
        "by": by,
        "group": _GROUPS[by],
        "columns": columns,
        "rows": made,
        "sum": _sum(rows),
        "sort": sort,
        "since": max((row["since"] for row in rows), default=None),
        "usage": sorted(usage, key=lambda row: (-ord(row["kind"][0]), row["name"] or "")),
        "query": lambda **changes: query_of(**({"by": by, "sort": sort} | changes)),
    }


def _grouped(rows: Iterable[asking.Row], names: tuple[str, ...]) -> list[dict[str, Any]]:
    groups: dict[tuple[Any, ...], list[asking.Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in names), []).append(row)
    return [dict(zip(names, key, strict=True)) | _sum(found) for key, found in groups.items()]


def _sum(rows: Iterable[asking.Row]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for row in rows:
        for name, amount in row.items():
            if name not in ("database", "role", "since") and amount is not None:
                made[name] = made.get(name, 0) + amount
    ended = sum(made.get(name, 0) for name in ("completed", "failed", "canceled", "timed_out", "lost"))
    if ended:
        made["run_mean"] = made["execution_ms"] / ended
        made["queue_mean"] = made["queue_ms"] / ended
    if "cpu_user_ms" in made:
        made["cpu_ms"] = made["cpu_user_ms"] + made["cpu_system_ms"]
    return made
