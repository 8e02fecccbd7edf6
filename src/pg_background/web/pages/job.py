"""All of one job."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from ... import display
from ...client.model import Handle, Inspection, JobError, JobInfo
from ...watching.server_source import AsyncConnection
from .. import asking
from ..job_keys import handle_of, job_of
from ..site import Gone, Visit
from ..surface import Surface

#: Wide enough that no part of a line of time is lost, in units of its drawing.
_WIDTH = 1000


@dataclass(frozen=True)
class Details:
    """What is asked for one job alone."""

    inspection: Inspection
    resources: asking.Row | None
    waits: list[tuple[str, int]]
    blockers: list[asking.Row]


async def job(visit: Visit) -> dict[str, Any]:
    """Return the job that the address names.

    Raises:
        Gone: the server does not keep it any more.
    """
    gateway = visit.gateway
    key = str(visit.request.path_params["key"])
    seen = await gateway.watcher.latest()
    found = job_of(key, seen.jobs)
    if found is None:
        raise Gone("The server does not keep this job any more, or never knew it.")
    handle = handle_of(key)
    is_live = display.is_live(found)

    async def question(connection: AsyncConnection, surface: Surface) -> Details:
        blockers = await asking.blockers(connection, surface, found.blocked_by or [] if is_live else [])
        if handle is None:
            return Details(Inspection(None, None), None, [], blockers)
        return Details(
            await asking.inspection(connection, surface, handle),
            await asking.resources(connection, surface, handle),
            await asking.waits(connection, surface, handle),
            blockers,
        )

    details = await gateway.cached(
        ("job", key, found.state, tuple(found.blocked_by or ())),
        1 if is_live else 30,
        lambda: gateway.ask(question),
    )
    return {
        "title": found.label or f"Job {found.pid}",
        "key": key,
        "job": found,
        "is_live": is_live,
        "now": seen.now,
        "zone": seen.surface.time_zone,
        "trouble": gateway.watcher.trouble,
        "sql": details.inspection.sql,
        "error": error_fields(found, details.inspection.error),
        "blockers": details.blockers,
        "waits": shares(details.waits),
        "resources": [] if is_live else resource_fields(details.resources),
        "has_resources": seen.surface.has("pg_background_resources"),
        "timeline": timeline(found.queued_at, found.started_at, found.finished_at, seen.now),
        "may": allowed(found, handle, details.inspection),
    }


def allowed(job: JobInfo, handle: Handle | None, inspection: Inspection) -> list[str]:
    """Return what buttons there are, as far as one can tell; the server has the last word."""
    if handle is None:
        return []
    actions = ["cancel", "terminate"] if display.is_live(job) else []
    if inspection.sql is not None:
        actions += ["detach", "again"]
    return actions


def error_fields(job: JobInfo, error: JobError | None) -> dict[str, str]:
    """Return the fields of the job's error that have something in them."""
    if display.is_live(job) or job.state == "stopped":
        return {}
    known = asdict(error or JobError(job.sqlstate, job.error_message))
    return {
        name.removesuffix("_name"): value
        for name, value in known.items()
        if value and name not in ("message",)
    } | ({"message": known["message"]} if known["message"] else {})


def shares(waits: list[tuple[str, int]]) -> list[tuple[str, int, float]]:
    """Return what was waited for, the samples and their share in percent."""
    total = sum(samples for _, samples in waits)
    return [(name, samples, 100 * samples / total) for name, samples in waits if total]


def resource_fields(row: asking.Row | None) -> list[tuple[str, str, Any]]:
    """Return what a job took: what it is, how it is written, and how much."""
    if row is None or row.get("cpu_user_ms") is None:
        return []
    return [
        ("CPU, user", "ms", row["cpu_user_ms"]),
        ("CPU, system", "ms", row["cpu_system_ms"]),
        ("Blocks found in memory", "n", row["shared_blks_hit"]),
        ("Blocks read", "n", row["shared_blks_read"]),
        ("Blocks changed", "n", row["shared_blks_dirtied"]),
        ("Blocks written", "n", row["shared_blks_written"]),
        ("Temporary blocks read", "n", row["temp_blks_read"]),
        ("Temporary blocks written", "n", row["temp_blks_written"]),
        ("Time of reads", "ms", row["blk_read_ms"]),
        ("Time of writes", "ms", row["blk_write_ms"]),
        ("WAL", "B", row["wal_bytes"]),
        ("WAL records", "n", row["wal_records"]),
        ("WAL page images", "n", row["wal_fpi"]),
    ]


def timeline(
    queued: datetime | None, started: datetime | None, finished: datetime | None, now: datetime
) -> dict[str, Any] | None:
    """Return how long it waited and ran, and what of a line of time each is."""
    if queued is None:
        return None
    end = max(finished or now, queued)
    began = min(max(started or end, queued), end)
    whole = (end - queued).total_seconds()
    split = round(_WIDTH * ((began - queued).total_seconds() / whole if whole else 0))
    return {
        "width": _WIDTH,
        "split": split,
        "waited": (began - queued).total_seconds(),
        "ran": None if started is None else (end - began).total_seconds(),
        "whole": whole,
    }
