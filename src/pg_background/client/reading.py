# Made from reading_async.py by tools/async_to_sync.py: edit that one.
"""A finished job's rows, or its error, out of the server."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.errors import Diagnostic
from psycopg.pq import TransactionStatus
from psycopg.rows import RowFactory, tuple_row

from ._asking import asking
from ._job_errors import as_error_of_job, error_of
from ._shapes import Shape
from ._source import Connection
from .acompat import Yields
from .encodings import UNKNOWN, as_ascii, is_narrow, load_as_bytes
from .model import Handle, JobColumn, Notice, Outcome
from .query import Params
from .result import Result
from .variables import Row

if TYPE_CHECKING:
    from ._session import Session


#: Tags of statements that write rows.
_WRITING = ("INSERT", "UPDATE", "DELETE", "MERGE")


def read(
    session: Session,
    outcome: Outcome,
    row_factory: RowFactory[Row],
    has_rows: bool,
    key: Hashable = None,
) -> Result[Row] | Exception:
    """Return the rows, or the error that the job ended with.

    Args:
        key: by which the shape of the result is remembered.

    Raises:
        psycopg.Error: it could not be read; that is no fault of the job.
    """
    if not has_rows:
        return without_rows(session, outcome)
    try:
        with session.connection() as connection, _in_utf8(connection):
            columns = describe(session, connection, outcome.handle)
            result = _read_rows(session, connection, outcome, columns, row_factory)
            if key is not None:
                _note_shape(session, key, outcome, columns, len(result))
            return result
    except psycopg.errors.FeatureNotSupported as error:
        if not (error.diag.message_primary or "").startswith("results are disabled"):
            return as_error_of_job(outcome, error)
        # It was submitted, by whoever gave us the handle.
        return without_rows(session, outcome)
    except psycopg.Error as error:
        return as_error_of_job(outcome, error)


def describe(session: Session, connection: Connection, handle: Handle) -> tuple[JobColumn, ...]:
    """Return the columns that are known by now, under names that psycopg can decode."""
    cursor = asking(connection)
    cursor.execute(session.statements.describe, handle)
    columns = tuple(map(JobColumn.of, cursor.fetchall()))
    if connection.info.encoding == UNKNOWN:
        return tuple(column._replace(name=as_ascii(column.name)) for column in columns)
    return columns


def pages(session: Session, outcome: Outcome, row_factory: RowFactory[Row], size: int) -> Yields[list[Row]]:
    """Yield the rows in lists of so many.

    Raises:
        psycopg.Error: the job's, or that of reading it.
    """
    whole: Sequence[Row] = ()
    only: psycopg.Cursor[Row] | None = None
    try:
        with (
            session.connection(private=session.has_private) as connection,
            _in_utf8(connection),
        ):
            columns = describe(session, connection, outcome.handle)
            if not columns:
                whole = _read_rows(session, connection, outcome, columns, row_factory)
            elif session.has_private:
                with connection.transaction(), _paging(connection, row_factory) as cursor:
                    cursor.execute(session.statements.result(columns).as_bytes(), outcome.handle)
                    while page := cursor.fetchmany(size):
                        yield page
            else:
                only = psycopg.Cursor(connection, row_factory=row_factory)
                only.execute(session.statements.result(columns).as_bytes(), outcome.handle)
    except psycopg.Error as error:
        raise as_error_of_job(outcome, error) from error.__cause__
    while only is not None and (page := only.fetchmany(size)):
        yield page
    for start in range(0, len(whole), size):
        yield list(whole[start : start + size])


@contextmanager
def _paging(connection: Connection, row_factory: RowFactory[Row]) -> Iterator[psycopg.ServerCursor[Row]]:
    cursor = psycopg.ServerCursor(connection, "pg_background_result", row_factory=row_factory)
    try:
        with cursor:
            yield cursor
    finally:
        # Where its close was what found the connection broken, psycopg has left it open.
        if connection.closed:
            cursor.close()


def _read_rows(
    session: Session,
    connection: Connection,
    outcome: Outcome,
    columns: tuple[JobColumn, ...],
    row_factory: RowFactory[Row],
) -> Result[Row]:
    statements = session.statements
    query = statements.result(columns) if columns else statements.rows_without_columns
    result = rows_of(connection, query, outcome.handle, row_factory)
    if not columns and not len(result):
        return tag_only(outcome, result.notices)
    result.statusmessage = outcome.statusmessage
    return result


def rows_of(
    connection: Connection, query: sql.SQL, parameters: Params, row_factory: RowFactory[Row]
) -> Result[Row]:
    notices: list[Notice] = []
    cursor = psycopg.Cursor(connection, row_factory=tuple_row)
    with Noting(connection, notices):
        cursor.execute(query.as_bytes(), parameters)
    assert cursor.pgresult is not None
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
        raw=cursor.pgresult,
        adapters=load_as_bytes(cursor.adapters) if is_unknown else cursor.adapters,
        notices=notices,
        failure=failure,
    )


def _note_shape(
    session: Session, key: Hashable, outcome: Outcome, columns: tuple[JobColumn, ...], rows: int
) -> None:
    """Remember what helps the next time: as many rows as the tag tells, or a tag that rows never have."""
    tag = outcome.command_tag
    # What writes may have rows by a rule beside those that it has written.
    if columns and tag not in _WRITING and 0 < rows == outcome.row_count:
        session.shapes.note(key, Shape(tag, session.statements.result_if_shaped(columns)))
    elif not columns and tag not in (None, "SELECT"):
        session.shapes.note(key, Shape(tag, None))
    else:
        session.shapes.forget(key)


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


class Noting:
    """Collects the notices that come during a block; psycopg's own objects are not for keeping.

    Each job has such a block, so it is no generator.
    """

    def __init__(self, connection: Connection, notices: list[Notice]) -> None:
        self._connection = connection
        self._notices = notices

    def __enter__(self) -> None:
        self._connection.add_notice_handler(self._note)

    def __exit__(self, *_: object) -> None:
        self._connection.remove_notice_handler(self._note)

    def _note(self, said: Diagnostic) -> None:
        self._notices.append(
            Notice(
                said.severity,
                said.sqlstate,
                said.message_primary,
                said.message_detail,
                said.message_hint,
                said.context,
            )
        )


def without_rows(session: Session, outcome: Outcome) -> Result[Row] | Exception:
    """Return how a submitted job ended."""
    if outcome.state == "stopped":
        return tag_only(outcome)
    return error_of(outcome, session.error_fields(outcome.handle))


def tag_only(outcome: Outcome, notices: Sequence[Notice] = ()) -> Result[Any]:
    """Return the result of a job that has given no rows."""
    rowcount = outcome.row_count or 0
    return Result((), rowcount=rowcount, statusmessage=outcome.statusmessage, notices=notices)
