"""All that the server keeps of one job: its whole SQL, and every field of its error."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from psycopg import sql

from .client.functions import call, in_schema
from .client.statements import HANDLE

#: Where the extension is; no row where it is not.
SCHEMA = """
SELECT n.nspname FROM pg_catalog.pg_extension e
JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace
WHERE e.extname OPERATOR(pg_catalog.=) 'pg_background'
"""


@dataclass(frozen=True)
class JobError:
    """An error, as pg_background_error_info() tells it."""

    sqlstate: str | None = None
    message: str | None = None
    detail: str | None = None
    hint: str | None = None
    context: str | None = None
    schema_name: str | None = None
    table_name: str | None = None
    column_name: str | None = None
    constraint_name: str | None = None


@dataclass(frozen=True)
class Inspection:
    """What is kept of a job."""

    sql: str | None
    #: None for a job without one
    error: JobError | None


#: For a role that may look at the job, and at neither.
NOTHING = Inspection(None, None)


def query(schema: sql.Composable) -> sql.Composed:
    """Return the SQL that asks for it by pid and cookie, where the extension is in this schema."""
    names = sql.SQL(", ").join(sql.Identifier("e", field.name) for field in fields(JobError))
    return sql.SQL(" ").join(
        (
            in_schema(f"SELECT {call('pg_background_full_sql', 'h.pid', 'h.cookie')},", schema),
            names,
            in_schema(
                f"FROM {HANDLE} CROSS JOIN LATERAL"
                f" {call('pg_background_error_info', 'h.pid', 'h.cookie')} AS e",
                schema,
            ),
        )
    )


def inspection(row: tuple[Any, ...]) -> Inspection:
    """Return what the row says."""
    text, *error = row
    return Inspection(text, JobError(*error) if any(error) else None)
