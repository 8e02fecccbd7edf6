"""The jobs that have ended, as far as the server keeps a history: a list, and all of one of them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from ...watching.server_source import AsyncConnection
from .. import asking
from ..links import query_of
from ..site import Gone, Visit
from ..surface import Surface
from .job import resource_fields, shares, timeline

if TYPE_CHECKING:
    from typing import LiteralString

_STATES = ("stopped", "error", "canceled", "timed_out", "lost")

#: Seconds back from now.
_WITHIN = {"": None, "1h": 3600, "24h": 86400, "7d": 7 * 86400}

_SIZE = 50

_LIST: LiteralString = """
SELECT id, database, role, label, state, queued_at, started_at, finished_at, row_count, command_tag, sqlstate,
       error_message, sql_preview
FROM {schema}.pg_background_history
WHERE (%(before)s::bigint IS NULL OR id < %(before)s::bigint)
  AND (%(state)s::text = '' OR state = %(state)s::text)
  AND (%(role)s::text = '' OR role = %(role)s::name)
  AND (%(label)s::text = '' OR position(lower(%(label)s::text) IN lower(label)) > 0)
  AND (%(q)s::text = ''
       OR position(lower(%(q)s::text)
                   IN lower(concat_ws(' ', label, sql_preview, error_message, sqlstate))) > 0)
  AND (%(within)s::int IS NULL OR finished_at > now() - make_interval(secs => %(within)s::int))
ORDER BY id DESC
LIMIT %(size)s::int
"""

_LONGEST = 200


async def history(visit: Visit) -> dict[str, Any]:
    """Return the page that the address asks for; it begins below a row: all are equally quick."""
    gateway = visit.gateway
    seen = await gateway.watcher.latest()
    wanted = {
        name: visit.query.get(name, "")[:_LONGEST] for name in ("state", "role", "label", "q", "within")
    }
    if wanted["state"] not in _STATES:
        wanted["state"] = ""
    if wanted["within"] not in _WITHIN:
        wanted["within"] = ""
    before = visit.query.get("before", "")
    given = {
        **wanted,
        # The server's text has no such character.
        **{name: wanted[name].replace("\0", "") for name in ("role", "label", "q")},
        "within": _WITHIN[wanted["within"]],
        "before": int(before) if before.isascii() and before.isdigit() and len(before) < 19 else None,
        "size": _SIZE + 1,
    }

    async def question(connection: AsyncConnection, surface: Surface) -> tuple[list[asking.Row], str | None]:
        cursor = await connection.execute("SELECT current_setting('pg_background.history', true)")
        (setting,) = await cursor.fetchone() or (None,)
        return await asking.rows(connection, asking.text_of(_LIST, surface), given), setting

    has_history = seen.surface.has("pg_background_history")
    rows, setting = await gateway.ask(question) if has_history else ([], None)
    shown = rows[:_SIZE]
    return {
        "now": seen.now,
        "zone": seen.surface.time_zone,
        "trouble": gateway.watcher.trouble,
        "has_history": has_history,
        "is_on": setting == "on",
        "database": seen.surface.database,
        "rows": shown,
        "wanted": wanted,
        "states": _STATES,
        "within": _WITHIN,
        "first": query_of(**wanted) if given["before"] is not None else "",
        "more": query_of(**wanted, before=shown[-1]["id"]) if len(rows) > _SIZE else "",
    }


async def history_job(visit: Visit) -> dict[str, Any]:
    """Return all that is kept of one.

    Raises:
        Gone: it is not kept, or not for this role.
    """
    gateway = visit.gateway
    number = visit.request.path_params["id"]
    seen = await gateway.watcher.latest()
    if not seen.surface.has("pg_background_history") or not 0 <= number < 2**63:
        raise Gone("The server keeps no history.")
    text: LiteralString = "SELECT * FROM {schema}.pg_background_history WHERE id = %s"

    async def question(connection: AsyncConnection, surface: Surface) -> list[asking.Row]:
        return await asking.rows(connection, asking.text_of(text, surface), [number])

    found = await gateway.ask(question)
    if not found:
        raise Gone("The history does not have this job, or not any more.")
    (row,) = found
    finished: datetime = row["finished_at"]
    waits = sorted((row.get("waits") or {}).items(), key=lambda pair: -pair[1])
    return {
        "title": row["label"] or f"Job {number} of the history",
        "row": row,
        "now": seen.now,
        "zone": seen.surface.time_zone,
        "trouble": gateway.watcher.trouble,
        "timeline": timeline(row["queued_at"], row["started_at"], finished, finished or seen.now),
        "waits": shares([(name.replace(":", ": "), samples) for name, samples in waits]),
        "resources": resource_fields(row),
    }
