"""What the page asks for, in transactions that have pg_catalog alone as their search_path."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.rows import class_row, dict_row

from ..client.functions import call, in_schema
from ..client.model import Handle, Inspection, JobInfo
from ..client.statements import identifier
from ..watching import SourceError
from ..watching.server_source import AsyncConnection
from .samples import TOTALS, Measured
from .surface import Surface

if TYPE_CHECKING:
    from typing import LiteralString

Row = dict[str, Any]

#: By name: a later version may have more columns.
_JOB_COLUMNS = sql.SQL(", ").join(sql.Identifier(field.name) for field in dataclasses.fields(JobInfo))

_USAGE = """
SELECT kind, jobs, max_jobs, workers, max_workers, queued, memory_bytes, max_memory_bytes, result_bytes,
       max_result_bytes
FROM {schema}.pg_background_usage
WHERE kind = 'server' OR kind = 'role' AND name = session_user
ORDER BY kind DESC LIMIT 1
"""

_HISTOGRAMS = """
SELECT metric, le, sum(jobs)::bigint
FROM {schema}.pg_background_histograms
GROUP BY metric, le ORDER BY metric, le
"""

_JOB_BY_HANDLE = "pid = %(pid)s AND cookie = %(cookie)s"

#: What holds a job up: processes, and the jobs that they run, if they do.
_BLOCKERS = """
SELECT b.pid, a.usename, a.application_name, a.state, a.query,
       j.pid AS job_pid, j.cookie AS job_cookie, j.label AS job_label
FROM unnest(%s::int[]) AS b(pid)
LEFT JOIN pg_stat_activity AS a ON a.pid = b.pid
LEFT JOIN {schema}.pg_background_jobs AS j ON j.worker_pid = b.pid
ORDER BY b.pid
"""

_SETTINGS = """
SELECT name, setting, unit, source, pending_restart, short_desc, context, boot_val
FROM pg_settings
WHERE name LIKE 'pg\\_background.%%' OR name = ANY(%s)
ORDER BY name NOT LIKE 'pg\\_background.%%', name
"""


def text_of(text: LiteralString, surface: Surface) -> sql.Composed:
    """Return SQL where `{schema}` is the extension's."""
    return in_schema(text, identifier(surface.schema))


async def rows(connection: AsyncConnection, query: sql.Composed, parameters: Any = None) -> list[Row]:
    """Return the rows as dicts."""
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(query, parameters)
    return await cursor.fetchall()


async def jobs_now(connection: AsyncConnection, surface: Surface) -> tuple[list[JobInfo], datetime]:
    """Return the jobs of the server that the role may see, and the time there.

    Raises:
        SourceError: it may see none.
    """
    if not surface.has("pg_background_jobs"):
        raise SourceError(
            f"the role {surface.role} may not see jobs: "
            "a superuser grants it pgbackground_role, or pg_monitor"
        )
    query = sql.SQL("SELECT {} FROM {}.pg_background_jobs").format(
        _JOB_COLUMNS, sql.Identifier(surface.schema)
    )
    cursor = connection.cursor(row_factory=class_row(JobInfo))
    jobs = await (await cursor.execute(query)).fetchall()
    row = await (await connection.execute("SELECT clock_timestamp()")).fetchone()
    assert row is not None
    return jobs, row[0]


async def measured(connection: AsyncConnection, surface: Surface) -> Measured:
    """Return the counters, as far as this catalogue has them and the role may see them."""
    made = Measured()
    if surface.has("pg_background_totals"):
        columns = [name for name in TOTALS if surface.has("pg_background_totals", name)]
        query = sql.SQL("SELECT {} FROM {}.pg_background_totals").format(
            sql.SQL(", ").join(
                sql.SQL("coalesce(sum({}), 0)::float8 AS {}").format(
                    sql.Identifier(name), sql.Identifier(name)
                )
                for name in columns
            ),
            sql.Identifier(surface.schema),
        )
        (made.totals,) = await rows(connection, query)
    if surface.has("pg_background_usage"):
        found = await rows(connection, text_of(_USAGE, surface))
        made.usage = found[0] if found else {}
    if surface.has("pg_background_histograms"):
        cursor = await connection.execute(text_of(_HISTOGRAMS, surface))
        for metric, le, jobs in await cursor.fetchall():
            made.histograms.setdefault(metric, []).append((le, jobs))
    return made


async def totals(connection: AsyncConnection, surface: Surface) -> list[Row]:
    """Return the totals by database and role."""
    return await rows(connection, text_of("SELECT * FROM {schema}.pg_background_totals", surface))


async def usage(connection: AsyncConnection, surface: Surface) -> list[Row]:
    """Return who takes how much of what all share."""
    if not surface.has("pg_background_usage"):
        return []
    return await rows(connection, text_of("SELECT * FROM {schema}.pg_background_usage", surface))


async def registry(connection: AsyncConnection, surface: Surface) -> Row | None:
    """Return what the shared memory holds, if the role may ask."""
    if not surface.may_see_registry:
        return None
    return (await rows(connection, text_of(f"SELECT * FROM {call('pg_background_registry')}", surface)))[0]


async def settings(connection: AsyncConnection, names: Sequence[str]) -> list[Row]:
    """Return the extension's settings, and these of the server's."""
    return await rows(connection, sql.Composed([sql.SQL(_SETTINGS)]), [list(names)])


async def inspection(connection: AsyncConnection, surface: Surface, handle: Handle) -> Inspection:
    """Return a job's whole SQL and error; nothing of it if it is gone, or for a role that may not see it."""
    text = (
        f"SELECT {call('pg_background_full_sql', 'h.pid', 'h.cookie')}, e.sqlstate, e.message, e.detail,"
        " e.hint, e.context, e.schema_name, e.table_name, e.column_name, e.constraint_name"
        " FROM (VALUES (%s::int4, %s::int8)) AS h(pid, cookie)"
        f" CROSS JOIN LATERAL {call('pg_background_error_info', 'h.pid', 'h.cookie')} AS e"
    )
    try:
        # In a transaction of its own: the other questions of the page go on.
        async with connection.transaction():
            row = await (await connection.execute(text_of(text, surface), handle)).fetchone()
    except (
        psycopg.errors.InsufficientPrivilege,
        psycopg.errors.UndefinedObject,
        psycopg.errors.ObjectNotInPrerequisiteState,
    ):
        return Inspection(None, None)
    assert row is not None
    return Inspection.of(row)


async def resources(connection: AsyncConnection, surface: Surface, handle: Handle) -> Row | None:
    """Return what a job took, once it has ended."""
    if not surface.has("pg_background_resources"):
        return None
    text: LiteralString = "SELECT * FROM {schema}.pg_background_resources WHERE " + _JOB_BY_HANDLE
    found = await rows(connection, text_of(text, surface), handle._asdict())
    return found[0] if found else None


async def waits(connection: AsyncConnection, surface: Surface, handle: Handle) -> list[tuple[str, int]]:
    """Return what a job waited for, and in how many samples, most first."""
    if not surface.has("pg_background_waits"):
        return []
    text: LiteralString = (
        "SELECT coalesce(wait_event_type || ': ' || wait_event, 'CPU'), samples"
        " FROM {schema}.pg_background_waits WHERE " + _JOB_BY_HANDLE + " ORDER BY samples DESC, 1"
    )
    cursor = await connection.execute(text_of(text, surface), handle._asdict())
    return [(name, samples) for name, samples in await cursor.fetchall()]


async def blockers(connection: AsyncConnection, surface: Surface, pids: Sequence[int]) -> list[Row]:
    """Return the processes, with what the role may see of them."""
    if not pids:
        return []
    return await rows(connection, text_of(_BLOCKERS, surface), [list(pids)])
