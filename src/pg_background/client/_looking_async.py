"""Looking for the end of a job alone, and taking what it has given: a quick job needs no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import AsyncRowFactory

from ._asking_async import asking
from ._deadline import Deadline
from ._shapes import Shape
from .bars import BAR_SECONDS, ProgressDisplay, bars
from .errors import ConnectionLost
from .handles import is_about_handle
from .model import FINAL, Handle, Notice, Outcome, statusmessage
from .reading_async import Noting, rows_of, tag_only
from .result import Result
from .variables import Row

if TYPE_CHECKING:
    from ._session_async import AsyncSession
    from ._watch_async import AsyncWatch
    from .job_async import AsyncJob

#: How long a connection waits in the server for a job that may end at once, in milliseconds.
LOOK_MS = 2


async def look(
    session: AsyncSession,
    handle: Handle,
    shape: Shape | None,
    row_factory: AsyncRowFactory[Row],
    timeout: float | None,
) -> tuple[Outcome | None, Result[Row] | None]:
    """Return a job's outcome if it has ended or does at once, and its result if that came with it.

    Args:
        shape: what its result is expected to be like; None reads nothing.
        timeout: the caller's, in seconds.

    Raises:
        psycopg.Error: its rows could not be read; that is no fault of the job.
    """
    patience = _patience(timeout)
    try:
        if shape is None or shape.take is None:
            return await _look_for_end(
                session, handle, None if shape is None else shape.command_tag, patience
            )
        result = await _read_if_shaped(session, handle, shape, row_factory, patience)
        if result is not None:
            return Outcome(handle, "stopped", len(result), shape.command_tag, None, None), result
        outcome = await session.outcome(handle)
        return outcome if outcome.state in FINAL else None, None
    except ConnectionLost:
        # What watches jobs asks again over another one.
        if not session.reconnects:
            raise
    except psycopg.Error as error:
        # The role may have been given no more than what waits that take long need.
        if not (is_about_handle(error) or isinstance(error, psycopg.errors.InsufficientPrivilege)):
            raise
    return None, None


async def look_for_times(session: AsyncSession, handle: Handle, timeout: float | None) -> Outcome | None:
    """Return how and when a job ended, if it has or does at once. Nothing of it is taken."""
    try:
        return await session.ended(handle, _patience(timeout))
    except ConnectionLost:
        if not session.reconnects:
            raise
    return None


def _patience(timeout: float | None) -> int:
    return LOOK_MS if timeout is None else max(min(round(timeout * 1000), LOOK_MS), 1)


async def _read_if_shaped(
    session: AsyncSession, handle: Handle, shape: Shape, row_factory: AsyncRowFactory[Row], patience: int
) -> Result[Row] | None:
    """Return the rows if there are any of this shape; otherwise, as of a failed job, nothing is taken."""
    assert shape.take is not None
    try:
        async with session.connection() as connection:
            if connection.info.encoding != "utf-8":
                return None
            parameters = {"pid": handle.pid, "cookie": handle.cookie, "patience": patience}
            result = await rows_of(connection, shape.take, parameters, row_factory)
    except psycopg.Error as error:
        # Errors of this class are raised before anything is taken: other columns, or a type that has gone.
        if error.sqlstate and error.sqlstate.startswith("42"):
            return None
        raise
    if not len(result):
        return None
    result.statusmessage = statusmessage(shape.command_tag, len(result))
    return result


async def _look_for_end(
    session: AsyncSession, handle: Handle, tag: str | None, patience: int
) -> tuple[Outcome | None, Result[Any] | None]:
    """Return the outcome, and the result if this tag is all of it."""
    notices: list[Notice] = []
    async with session.connection() as connection:
        cursor = asking(connection)
        with Noting(connection, notices):
            await cursor.execute(session.statements.look, (*handle, patience, tag))
        row = await cursor.fetchone()
    assert row is not None
    *told, tags = row
    outcome = Outcome.of(told)
    return outcome if outcome.state else None, tag_only(outcome, notices) if tags else None


async def is_over_in_time(
    job: AsyncJob[Any], watch: AsyncWatch, timeout: float | None, progress: ProgressDisplay
) -> bool:
    """Wait for the end of a job that is watched, with a bar if one is wanted; tell whether it has come."""
    with bars(progress, [job]) as bar:
        for pause in Deadline(timeout).pauses(BAR_SECONDS if bar else None):
            if await watch.wait(pause):
                break
            if bar:
                bar.show(job, await job.progress)
        if bar and watch.is_over:
            bar.show(job, await job.progress, over=True)
    return watch.is_over
