"""The server itself: its settings with what doctor says of them, what is in use, and its drain."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import psycopg

from ...doctor import Finding, Grade, collect, examine
from ...watching import SourceError
from ...watching.server_source import AsyncConnection, told
from .. import asking
from ..site import Visit
from ..surface import Surface

#: Settings of the server's own that jobs depend on.
_OTHERS = (
    *("max_worker_processes", "shared_preload_libraries", "statement_timeout", "transaction_timeout"),
    *("lock_timeout", "temp_file_limit", "log_min_messages", "log_line_prefix", "track_io_timing"),
)

#: Seconds for which what doctor has found counts as new: it asks a lot.
_EXAMINED = 30

_ORDER = (Grade.FAIL, Grade.WARN, Grade.OK)


async def server(visit: Visit) -> dict[str, Any]:
    """Return all that there is to say."""
    gateway = visit.gateway
    seen = await gateway.watcher.latest()

    async def question(connection: AsyncConnection, surface: Surface) -> tuple[Any, ...]:
        row = await (await connection.execute("SELECT version(), pg_postmaster_start_time()")).fetchone()
        assert row is not None
        return (
            row,
            await asking.settings(connection, _OTHERS),
            await asking.registry(connection, surface),
        )

    (version, since), settings, registry = await gateway.cached("server", 2, lambda: gateway.ask(question))
    findings, trouble = await gateway.cached("doctor", _EXAMINED, lambda: _examined(gateway.conninfo))
    return {
        "now": seen.now,
        "zone": seen.surface.time_zone,
        "trouble": gateway.watcher.trouble,
        "version": version,
        "extension": seen.surface.version,
        "since": since,
        "place": gateway.target.place,
        "settings": [(row, _remarks(row["name"], findings)) for row in settings],
        "registry": registry,
        "findings": sorted(findings, key=lambda finding: _ORDER.index(finding.grade)),
        "doctor_trouble": trouble,
        "drain": visit.site.drains.last(visit.server),
    }


async def _examined(conninfo: str) -> tuple[list[Finding], str]:
    """Return what doctor finds, or why it finds nothing; it runs no job."""

    def examined() -> list[Finding]:
        with told(), psycopg.connect(conninfo, autocommit=True) as connection:
            return examine(collect(connection, trial=False))

    try:
        return await asyncio.to_thread(examined), ""
    except SourceError as error:
        return [], str(error)


def _remarks(name: str, findings: Sequence[Finding]) -> list[Finding]:
    """Return what is not in order and has to do with a setting."""
    return [
        finding
        for finding in findings
        if finding.grade is not Grade.OK and name in f"{finding.text} {finding.fix}"
    ]
