"""Results of jobs, page by page."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import anyio
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
from .values import of_text

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
        self._reading = anyio.Lock()

    def __contains__(self, handle: Handle) -> bool:
        return handle in self._kept

    async def page(self, handle: Handle, offset: int, rows: int) -> Page:
        """Return a page of a job's result, or how the job stands if there is none.

        Raises:
            JobLost: it was read or detached already.
        """
        outcome = await self._client.session.outcome(handle)
        state = "unknown" if outcome.state is None else in_words(outcome.state)
        name = handles.text_of(handle)
        async with self._reading:
            spool = self._kept.get(handle)
            if spool is None:
                if outcome.state is not None and outcome.state != "stopped":
                    error = failure(JobError(outcome.sqlstate, outcome.error_message))
                    if outcome.state not in FINAL:
                        return Page(handle=name, state=state, next=next_step(state))
                    return Page(handle=name, state=state, error=error, next=next_step(state))
                spool = await self._read(handle)
                self._keep(handle, spool)
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

    def close(self) -> None:
        """Give up all."""
        for handle in list(self._kept):
            self.forget(handle)

    def _keep(self, handle: Handle, spool: Spool) -> None:
        self._kept[handle] = spool
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
            made = []
            cut = 0
            for n, kind in enumerate(kinds):
                text = raw.get_value(row, n)
                value, is_cut = of_text(kind, None if text is None else decoded(text, encoding))
                made.append(value)
                cut += is_cut
            spool.add(made, cut)
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
