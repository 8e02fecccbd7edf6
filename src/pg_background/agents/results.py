"""Results of jobs, page by page."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from ..client.encodings import decoded, encoding_of
from ..client.handles import telling_unknown
from ..client.model import FINAL, Handle, JobError, in_words
from . import handles
from .answers import Column, Page
from .errors import failure
from .jobs import next_step
from .limits import Limits
from .spool import Spool
from .values import fitting

if TYPE_CHECKING:
    from ..client.client_async import AsyncClient

#: Rows that are fetched together.
_SIZE = 500

#: Results that are kept: the one that was not read for longest makes room.
_KEPT = 16


class Results:
    """Reads each result once, and keeps it to be read page by page."""

    def __init__(self, client: AsyncClient[Any], limits: Limits) -> None:
        self._client = client
        self._limits = limits
        self._kept: OrderedDict[Handle, Spool] = OrderedDict()
        self._taking: dict[Handle, asyncio.Task[None]] = {}

    def __contains__(self, handle: Handle) -> bool:
        return handle in self._kept or handle in self._taking

    async def page(self, handle: Handle, offset: int, rows: int) -> Page:
        """Return a page of a job's result, or how the job stands if there is none.

        Raises:
            JobLost: it was read or detached already.
        """
        outcome = await self._client.session.outcome(handle)
        state = "unknown" if outcome.state is None else in_words(outcome.state)
        name = handles.text_of(handle)
        if handle not in self._kept and outcome.state is not None and outcome.state != "stopped":
            error = failure(JobError(outcome.sqlstate, outcome.error_message))
            if outcome.state not in FINAL:
                return Page(handle=name, state=state, next=next_step(state))
            return Page(handle=name, state=state, error=error, next=next_step(state))
        while (spool := self._kept.get(handle)) is None:
            await self._take(handle)
        self._kept.move_to_end(handle)
        found, cut = spool.page(offset, min(rows, self._limits.max_rows), self._limits.max_bytes)
        end = offset + len(found)
        following = end if end < len(spool) else None
        return Page(
            handle=name,
            state="done",
            command_tag=outcome.command_tag,
            columns=spool.columns,
            rows=found,
            offset=offset,
            next_offset=following,
            total_rows=len(spool),
            dropped_rows=spool.dropped if following is None else 0,
            cut_values=cut,
            next=_next(spool, following, cut),
        )

    def forget(self, handle: Handle) -> bool:
        """Give up a result, and tell whether it was kept."""
        spool = self._kept.pop(handle, None)
        if spool is not None:
            spool.close()
        return spool is not None

    async def close(self) -> None:
        """Give up all."""
        taking = list(self._taking.values())
        for task in taking:
            task.cancel()
        await asyncio.gather(*taking, return_exceptions=True)
        for handle in list(self._kept):
            self.forget(handle)

    async def _take(self, handle: Handle) -> None:
        """Take a result from the server, for all who ask for it.

        In a task of its own: the server gives it once, so that it must arrive here also when the client has
        given up the call, as many do after a minute. The next call finds it.
        """
        taking = self._taking.get(handle)
        if taking is None:
            taking = self._taking[handle] = asyncio.ensure_future(self._read_and_keep(handle))
            taking.add_done_callback(lambda done: self._taken(handle, done))
        await asyncio.shield(taking)

    def _taken(self, handle: Handle, done: asyncio.Task[None]) -> None:
        del self._taking[handle]
        if not done.cancelled():
            # It has been told to those who wait for it, if there still are any.
            done.exception()

    async def _read_and_keep(self, handle: Handle) -> None:
        self._kept[handle] = await self._read(handle)
        if len(self._kept) > _KEPT:
            self.forget(next(iter(self._kept)))

    async def _read(self, handle: Handle) -> Spool:
        session = self._client.session
        columns = await session.describe(handle)
        spool = Spool(
            [Column(name=column.name, type=column.type_name) for column in columns],
            self._limits.max_result_bytes,
        )
        try:
            if not columns:
                result = await self._client.attach(handle).result()
                for _ in range(len(result)):
                    # Rows without columns are rows still.
                    spool.add([], 0)
                return spool
            with telling_unknown(handle):
                async with (
                    session.connection(private=True) as connection,
                    connection.transaction(),
                    psycopg.AsyncCursor(connection) as cursor,
                ):
                    declare = sql.SQL('DECLARE "pg_background_page" NO SCROLL CURSOR FOR ')
                    statement = declare + session.statements.result(columns)
                    await cursor.execute(statement, handle)
                    while await self._fetch(cursor, spool):
                        pass
        except BaseException:
            spool.close()
            raise
        return spool

    async def _fetch(self, cursor: psycopg.AsyncCursor[Any], spool: Spool) -> int:
        """Take some rows as they came: values that Python lacks, such as the date `infinity`, are texts."""
        await cursor.execute(sql.SQL('FETCH FORWARD {} FROM "pg_background_page"').format(_SIZE))
        raw = cursor.pgresult
        assert raw is not None
        encoding = encoding_of(cursor.connection)
        kinds = [raw.ftype(n) for n in range(raw.nfields)]
        for row in range(raw.ntuples):
            texts = [raw.get_value(row, n) for n in range(raw.nfields)]
            spool.add(
                *fitting(
                    kinds,
                    [None if text is None else decoded(text, encoding) for text in texts],
                    self._limits.max_bytes,
                )
            )
        return raw.ntuples


def _next(spool: Spool, following: int | None, cut: int) -> str:
    parts = []
    if following is not None:
        parts.append(f"Call read_result with offset {following} for the next page.")
    elif spool.dropped:
        parts.append(
            f"{spool.dropped} more rows were dropped, as the result is too large: start a job that "
            "aggregates, or has a WHERE or LIMIT."
        )
    else:
        parts.append("These are the last rows; detach_job gives up the result.")
    if cut:
        parts.append("For whole values start a job with substring() of them.")
    return " ".join(parts)
