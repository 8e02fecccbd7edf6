# Made from launching_async.py by tools/async_to_sync.py: edit that one.
"""The launch of a job."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from psycopg.rows import RowFactory

from . import tracing
from ._asking import asking
from ._shapes import key_of
from .acompat import Interrupted, let_end, shielded
from .job import Job
from .model import Handle, OnFull
from .options import milliseconds
from .query import BoundQuery, Params, Query, bind
from .statements import LIMIT, READ_ONLY, TRACEPARENT
from .variables import Row

if TYPE_CHECKING:
    from typing import LiteralString, Unpack

    from ._session import Session
    from .options import LaunchOptions
    from .tracing import LaunchTrace


#: How long a caller who is told to stop waits for the answer that has a job's handle, in seconds.
#: A launch that was to wait for a worker is interrupted at once.
ANSWER_SECONDS = 5.0

#: The options of most launches, which need not be sent.
_PLAIN = (None, 0, 0, None, False, False)


def start(
    session: Session,
    query: Query | BoundQuery,
    params: Params | None,
    row_factory: RowFactory[Row],
    *,
    each_statement: bool = False,
    discard_result: bool = False,
    make: Callable[..., Job[Any]] = Job,
    **options: Unpack[LaunchOptions],
) -> Job[Row]:
    """Start a job, with all that can be asked for; the client's methods are this with some of it.

    Args:
        query: and `params`, `row_factory`, as for `Client.launch`.
        each_statement: each in a transaction of its own, as `Client.run_script`.
        discard_result: drop the rows at their source, as `Client.submit`.
        make: what makes the job, given what `Job` takes.
        options: see `LaunchOptions`.

    Raises:
        psycopg.Error: the server refused it.
    """
    kind = (each_statement, discard_result)
    if tracing.tracer is None:
        return _start(session, query, params, row_factory, None, make, *kind, **options)
    with tracing.tracer.launch(
        label=options.get("label"),
        database=options.get("database"),
        has_params=params is not None,
        has_rows=not discard_result,
    ) as trace:
        return _start(session, query, params, row_factory, trace, make, *kind, **options)


def _start(
    session: Session,
    query: Query | BoundQuery,
    params: Params | None,
    row_factory: RowFactory[Row],
    trace: LaunchTrace | None,
    make: Callable[..., Job[Any]],
    each_statement: bool,
    discard_result: bool,
    *,
    label: str | None = None,
    timeout: float | None = None,
    queue_size: int | None = None,
    database: str | None = None,
    read_only: bool = False,
    on_full: OnFull = "error",
    wait_timeout: float | None = None,
) -> Job[Row]:
    limit = milliseconds(timeout)
    patience = milliseconds(wait_timeout)
    job: Job[Row] | None = None
    try:
        # Once the launch was sent, nobody can tell whether the job was started when the connection breaks.
        with session.connection(job_continues=None) as connection:
            text, values = bind(query, params, connection)
            tells_end = session.tell_ends(connection)
            cursor = asking(connection)
            options = (label, queue_size or 0, patience, database, each_statement, discard_result)
            arguments = (text, values, *options, on_full)
            own = _own_settings(limit, read_only, None if trace is None else trace.sends(connection, text))
            if own:
                statement = session.statements.start_with(tuple(own))
                launch = partial(cursor.execute, statement, (*own.values(), *arguments))
            elif options == _PLAIN:
                launch = partial(cursor.execute, session.statements.start_plain, (text, values, on_full))
            else:
                launch = partial(cursor.execute, session.statements.start, arguments)
            try:
                # The job starts some time before the answer: a cancel in between would take the handle.
                if on_full == "wait":
                    launch()
                else:
                    let_end(launch, ANSWER_SECONDS)
            finally:
                # Interrupted, psycopg still awaits the end of the statement: there may be a job.
                if cursor.pgresult is not None and (row := cursor.fetchone()) is not None:
                    handle = Handle(*row[:2])
                    job = make(
                        session,
                        handle,
                        row_factory,
                        label=label,
                        query=text,
                        has_rows=not discard_result,
                        key=None if discard_result else key_of(text, database),
                        is_notified=tells_end and database is None,
                        trace=None if trace is None else trace.answered(handle),
                    )
    except Interrupted:
        # Nobody gets its handle.
        if job is not None:
            shielded(job.discard)
        raise
    assert job is not None
    return job


def _own_settings(limit: int, read_only: bool, traceparent: str | None) -> dict[LiteralString, str]:
    """Return the settings that are the job's own, for most jobs none."""
    own: dict[LiteralString, str] = {}
    if limit:
        own[LIMIT] = str(limit)
    if read_only:
        own[READ_ONLY] = "on"
    if traceparent is not None:
        own[TRACEPARENT] = traceparent
    return own
