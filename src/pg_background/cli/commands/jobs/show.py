"""`pg-background show`: all that the server knows of a job."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

from ...errors.codes import Codes
from ...options.database import now_of
from ...options.given import command
from ...options.handles import HandleCommand, HandleGiven
from ...options.servers import NodesGiven
from ...output.console import note
from ...output.formats import Format, FormatGiven, print_rows
from ...output.sink import opened
from ...output.tables import Column

if TYPE_CHECKING:
    from datetime import datetime

    from ....client.client import Client
    from ....client.model import Handle, Inspection, JobColumn, JobInfo
    from ...options.database import Connection


@command("show 4711:8612345678901234567", "show --json 4711:8612345678901234567", kind=HandleCommand)
def show(handle: HandleGiven, servers: NodesGiven, format: FormatGiven) -> None:
    """Show all that is known of a job: its state, what it waits for, its SQL, error and columns.

    Of a job that was read or detached the server keeps less, and only for a while: its state, and the
    beginning of its SQL.
    """
    from .... import display
    from ....client.errors import JobLost
    from ....cluster.node_job import NodeJob

    codes = Codes()
    ((node, (known,)),) = servers.nodes().of([handle])
    with codes.of(node.name):
        with node.session() as (client, session):
            job = _job(client, session, known)
            try:
                found = client.session.inspect(known)
            except JobLost:
                found = None
            columns = () if display.is_live(job) else _columns(client, known)
            now = now_of(session)
        _print(_Shown(NodeJob.of(node.name, job) if node.name else job, found, columns, now), format)
    codes.leave()


class _Shown(NamedTuple):
    job: JobInfo
    #: None: its result was read, or it was detached
    found: Inspection | None
    columns: tuple[JobColumn, ...]
    now: datetime


def _print(shown: _Shown, format: Format) -> None:
    from ....job_fields import NAME_WIDTH

    if format is Format.TABLE:
        with opened() as sink:
            sink.lines(f"{name:<{NAME_WIDTH}} {text}" for name, text in _lines(shown))
        if shown.found is None:
            note("it was read or detached: its whole SQL and its rows are gone")
        return
    from ...output.listing import as_dict, json_text

    found = shown.found
    values = as_dict(shown.job) | {
        "sql": None if found is None else found.sql,
        "error": None if found is None or found.error is None else asdict(found.error),
        "columns": [{"name": column.name, "type": column.type_name} for column in shown.columns],
    }
    texts = [json_text(value) for value in values.values()]
    print_rows(format, [Column(name) for name in values], [texts])


def _job(client: Client[Any], session: Connection, handle: Handle) -> JobInfo:
    from ....client.handles import unknown
    from ...options.access import refusal

    # Of jobs that this role may look at but not cancel the cookie is hidden.
    hidden = None
    for job in client.jobs():
        if job.handle == handle:
            return job
        if job.cookie is None and job.pid == handle.pid:
            hidden = job
    if error := refusal(session, handle):
        raise error
    if hidden is not None and _is_known(session, handle):
        return hidden
    raise unknown(handle)


def _is_known(session: Connection, handle: Handle) -> bool:
    from ...options.access import state_of

    return state_of(session, handle) is not None


def _columns(client: Client[Any], handle: Handle) -> tuple[JobColumn, ...]:
    """Return the columns of a job that has ended; of another the server would wait for them."""
    from psycopg import errors

    from ....client.errors import JobLost

    try:
        return client.attach(handle).describe()
    except (errors.FeatureNotSupported, errors.InsufficientPrivilege, JobLost):
        # It was submitted, or its result was read, or is another role's: its columns are of no use.
        return ()


def _lines(shown: _Shown) -> Iterator[tuple[str, str]]:
    """Yield what there is to say, by name."""
    from ....job_fields import error_fields, job_fields

    job, found, columns, now = shown
    yield from job_fields(job, now)
    if columns:
        yield "columns", ", ".join(f"{column.name} {column.type_name}" for column in columns)
    yield from error_fields(job, None if found is None else found.error)
    yield "sql", (found and found.sql) or job.sql_preview or ""
