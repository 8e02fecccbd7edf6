# Made from reading_async.py by tools/async_to_sync.py: edit that one.
"""A finished job's rows, or its error, out of the server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.errors import Diagnostic
from psycopg.pq import TransactionStatus
from psycopg.rows import RowFactory, TupleRow, tuple_row

from ._asking import asking
from ._source import Connection
from .acompat import Yields
from .encodings import UNKNOWN, as_ascii, is_narrow, load_as_bytes
from .errors import JobCancelled, JobLost, JobTimeout
from .model import Handle, JobColumn, Notice, Outcome
from .result import Result
from .variables import Row

if TYPE_CHECKING:
    from .client import Client

_BECOMES: dict[str, type[JobCancelled | JobTimeout | JobLost]] = {
    "canceled": JobCancelled,
    "timed_out": JobTimeout,
    "lost": JobLost,
}


def known(outcome: Outcome) -> Outcome:
    """Return it if it is of a job that the server knows.

    Raises:
        JobLost: it is not.
    """
    if outcome.state is None:
        raise unknown(outcome.handle)
    return outcome


def unknown(handle: Handle) -> JobLost:
    """Return the error for a handle that the server does not know."""
    return JobLost(
        f"the server does not know the job with PID {handle.pid} any more: it was read or detached, "
        "is past its retention, or the server was restarted"
    )


@contextmanager
def telling_unknown(handle: Handle) -> Iterator[None]:
    """Raise JobLost when the server does not know a handle, or has another job of this pid."""
    try:
        yield
    except (psycopg.errors.UndefinedObject, psycopg.errors.ObjectNotInPrerequisiteState) as error:
        if not _is_about_handle(error):
            raise
        raise unknown(handle) from error


def _is_about_handle(error: psycopg.Error) -> bool:
    """Tell it from an error of the job with the same code."""
    said = error.diag.message_primary or ""
    return said.startswith("cookie mismatch for PID") or said.endswith("is not attached to this session")


def read(
    client: Client[Any], outcome: Outcome, row_factory: RowFactory[Row], has_rows: bool
) -> Result[Row] | Exception:
    """Return the rows, or the error that the job ended with.

    Raises:
        psycopg.Error: it could not be read; that is no fault of the job.
    """
    if not has_rows:
        return without_rows(client, outcome)
    try:
        with client._session() as connection, _in_utf8(connection):
            columns = describe(client, connection, outcome.handle)
            return _read_rows(client, connection, outcome, columns, row_factory)
    except psycopg.errors.FeatureNotSupported as error:
        if not (error.diag.message_primary or "").startswith("results are disabled"):
            return as_error_of_job(outcome, error)
        # It was submitted, by whoever gave us the handle.
        return without_rows(client, outcome)
    except psycopg.Error as error:
        return as_error_of_job(outcome, error)


def as_error_of_job(outcome: Outcome, error: psycopg.Error) -> psycopg.Error:
    """Return the job's error, as what it means.

    Raises:
        psycopg.Error: it is not the job's, but one of reading it.
    """
    if _is_about_handle(error):
        raise unknown(outcome.handle) from error
    if outcome.state == "stopped" or error.sqlstate != outcome.sqlstate:
        raise error
    kind = _BECOMES.get(outcome.state or "")
    return error if kind is None else kind(*error.args, info=error.pgresult)


def describe(client: Client[Any], connection: Connection, handle: Handle) -> tuple[JobColumn, ...]:
    """Return the columns that are known by now, under names that psycopg can decode."""
    cursor = asking(connection)
    cursor.execute(client._statements.describe, handle)
    columns = columns_of(cursor.fetchall())
    if connection.info.encoding == UNKNOWN:
        return tuple(column._replace(name=as_ascii(column.name)) for column in columns)
    return columns


def columns_of(rows: Iterable[TupleRow]) -> tuple[JobColumn, ...]:
    """Return what the rows of pg_background_describe() say."""
    return tuple(
        JobColumn(
            name,
            type_name,
            type_oid,
            ("pg_catalog", "text") if local_name is None else (local_schema, local_name),
        )
        for name, type_name, type_oid, local_schema, local_name in rows
    )


def pages(
    client: Client[Any], outcome: Outcome, row_factory: RowFactory[Row], size: int
) -> Yields[list[Row]]:
    """Yield the rows in lists of so many.

    Raises:
        psycopg.Error: the job's, or that of reading it.
    """
    whole: Sequence[Row] = ()
    only: psycopg.Cursor[Row] | None = None
    try:
        with (
            client._session(private=client._source.has_private) as connection,
            _in_utf8(connection),
        ):
            columns = describe(client, connection, outcome.handle)
            if not columns:
                whole = _read_rows(client, connection, outcome, columns, row_factory)
            elif client._source.has_private:
                with (
                    connection.transaction(),
                    psycopg.ServerCursor(
                        connection, "pg_background_result", row_factory=row_factory
                    ) as cursor,
                ):
                    cursor.execute(client._statements.result(columns).as_bytes(), outcome.handle)
                    while page := cursor.fetchmany(size):
                        yield page
            else:
                only = psycopg.Cursor(connection, row_factory=row_factory)
                only.execute(client._statements.result(columns).as_bytes(), outcome.handle)
    except psycopg.Error as error:
        raise as_error_of_job(outcome, error) from error.__cause__
    while only is not None and (page := only.fetchmany(size)):
        yield page
    for start in range(0, len(whole), size):
        yield list(whole[start : start + size])


def _read_rows(
    client: Client[Any],
    connection: Connection,
    outcome: Outcome,
    columns: tuple[JobColumn, ...],
    row_factory: RowFactory[Row],
) -> Result[Row]:
    notices: list[Notice] = []
    cursor = psycopg.Cursor(connection, row_factory=tuple_row)
    statements = client._statements
    query = statements.result(columns) if columns else statements.rows_without_columns()
    with _noting(connection, notices):
        cursor.execute(query.as_bytes(), outcome.handle)
    assert cursor.pgresult is not None
    if not columns and cursor.pgresult.ntuples == 0:
        return _tag_only(outcome, notices)
    rows: Sequence[Row] = ()
    failure: Exception | None = None
    try:
        cursor.row_factory = row_factory  # type: ignore[assignment]
        rows = cursor.fetchall()  # type: ignore[assignment]
    except Exception as error:
        # The server has no rows any more: what came is kept, whatever can't be made of it.
        failure = error
    is_unknown = connection.info.encoding == UNKNOWN
    return Result(
        rows,
        columns=cursor.description or (),
        rowcount=cursor.rowcount,
        statusmessage=outcome.statusmessage,
        raw=cursor.pgresult,
        adapters=load_as_bytes(cursor.adapters) if is_unknown else cursor.adapters,
        notices=notices,
        failure=failure,
    )


@contextmanager
def _in_utf8(connection: Connection) -> Iterator[None]:
    """Have rows in an encoding that has all characters: reading them fails once they are on their way."""
    if not is_narrow(connection):
        yield
        return
    encoding = connection.info.parameter_status("client_encoding")
    set_encoding = "SELECT pg_catalog.set_config('client_encoding', %s, false)"
    connection.execute(set_encoding, ["UTF8"])
    try:
        yield
    finally:
        # With its transaction, or its savepoint, that has failed the setting goes back too.
        if connection.info.transaction_status in (TransactionStatus.IDLE, TransactionStatus.INTRANS):
            connection.execute(set_encoding, [encoding])


@contextmanager
def _noting(connection: Connection, notices: list[Notice]) -> Iterator[None]:
    """Collect the notices that come during the block; psycopg's own objects are not for keeping."""

    def note(said: Diagnostic) -> None:
        notices.append(
            Notice(
                said.severity,
                said.sqlstate,
                said.message_primary,
                said.message_detail,
                said.message_hint,
                said.context,
            )
        )

    connection.add_notice_handler(note)
    try:
        yield
    finally:
        connection.remove_notice_handler(note)


def without_rows(client: Client[Any], outcome: Outcome) -> Result[Row] | Exception:
    """Return how a submitted job ended."""
    if outcome.state == "stopped":
        return _tag_only(outcome)
    (row,) = client._rows("error_info", *outcome.handle)
    sqlstate, message, detail, hint = row
    lines = [message or f"the job ended as {outcome.state}"]
    lines += [f"DETAIL:  {detail}"] if detail else []
    lines += [f"HINT:  {hint}"] if hint else []
    kind: type[psycopg.Error] = _BECOMES.get(outcome.state or "") or _class_of(sqlstate)
    return kind("\n".join(lines))


def _tag_only(outcome: Outcome, notices: Sequence[Notice] = ()) -> Result[Any]:
    rowcount = outcome.row_count or 0
    return Result((), rowcount=rowcount, statusmessage=outcome.statusmessage, notices=notices)


def _class_of(sqlstate: str | None) -> type[psycopg.Error]:
    try:
        return psycopg.errors.lookup(sqlstate or "")
    except KeyError:
        return psycopg.DatabaseError
