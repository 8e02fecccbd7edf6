"""`pg-background show`: all that the server knows of a job."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any

import psycopg
from rich.text import Text

from .. import display
from ..client.client import Client
from ..client.errors import JobLost
from ..client.model import Handle, JobColumn, JobInfo
from ..client.reading import unknown
from ..facts import NAME_WIDTH, error_facts, facts
from ..inspection import NOTHING, Inspection, inspection, query
from .database import Connection, DatabaseGiven, now_of, schema_of_extension
from .formats import Format, FormatGiven, print_rows
from .given import command
from .handles import HandleGiven
from .listing import as_dict, json_text
from .tables import Column, stdout


@command
def show(handle: HandleGiven, database: DatabaseGiven, format: FormatGiven) -> None:
    """Show all that is known of a job: how it stands, what it waits for, its SQL, error and columns."""
    with database.client_and_session() as (client, session):
        job = _job(client, handle)
        found = _inspect(session, handle)
        columns = () if display.is_live(job) else _columns(client, handle)
        now = now_of(session)
    if format is Format.TABLE:
        for name, text in _lines(job, found, columns, now):
            style = display.style(job) if name == "state" else ""
            line = Text.assemble((f"{name:<{NAME_WIDTH}} ", "bold"), (text, style))
            stdout().print(line, soft_wrap=True)
        return
    values = as_dict(job) | {
        "sql": found.sql,
        "error": None if found.error is None else asdict(found.error),
        "columns": [{"name": column.name, "type": column.type_name} for column in columns],
    }
    texts = [json_text(value) for value in values.values()]
    print_rows(format, [Column(name) for name in values], [texts])


def _job(client: Client[Any], handle: Handle) -> JobInfo:
    for job in client.jobs():
        if job.handle == handle:
            return job
    raise unknown(handle)


def _columns(client: Client[Any], handle: Handle) -> tuple[JobColumn, ...]:
    """Return the columns of a job that has ended; of another the server would wait for them."""
    try:
        return client.attach(handle).describe()
    except (psycopg.errors.FeatureNotSupported, psycopg.errors.InsufficientPrivilege, JobLost):
        # It was submitted, or its result was read, or is another role's: its columns are of no use.
        return ()


def _inspect(session: Connection, handle: Handle) -> Inspection:
    statement = query(schema_of_extension(session))
    try:
        row = session.execute(statement, handle).fetchone()
    except psycopg.errors.InsufficientPrivilege:
        # It may look at the job, but at nothing that may have data in it.
        return NOTHING
    assert row is not None
    return inspection(row)


def _lines(
    job: JobInfo, found: Inspection, columns: tuple[JobColumn, ...], now: datetime
) -> Iterator[tuple[str, str]]:
    """Yield what there is to say, by name."""
    yield from facts(job, now)
    if columns:
        yield "columns", ", ".join(f"{column.name} {column.type_name}" for column in columns)
    yield from error_facts(job, found.error)
    yield "sql", display.printable(found.sql or job.sql_preview or "")
