"""Drains of servers that the page has begun: they go on without anybody's tab."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..client.functions import call
from ..watching import SourceError
from .asking import text_of
from .gateway import Gateway, reading

if TYPE_CHECKING:
    from ..watching.server_source import AsyncConnection
    from .surface import Surface


@dataclass
class Drain:
    """How one stands: under way while there is neither an outcome nor an error."""

    role: str
    seconds: int
    #: jobs that ended, were canceled, and still run
    outcome: tuple[int, int, int] | None = None
    error: str = ""

    @property
    def is_under_way(self) -> bool:
        """Whether it goes on."""
        return self.outcome is None and not self.error


class Drains:
    """The last one of each server."""

    def __init__(self) -> None:
        self._last: dict[str, Drain] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def last(self, server: str) -> Drain | None:
        """Return it, if there was any since the last resume."""
        return self._last.get(server)

    def begin(self, gateway: Gateway, seconds: int) -> None:
        """Refuse new jobs from now on, and cancel what still runs after so many seconds.

        Raises:
            SourceError: there is one under way.
        """
        earlier = self.last(gateway.target.name)
        if earlier is not None and earlier.is_under_way:
            raise SourceError("the server is being drained already")
        drain = self._last[gateway.target.name] = Drain(gateway.role, seconds)
        task = asyncio.ensure_future(_run(drain, gateway))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def resume(self, gateway: Gateway) -> None:
        """Let jobs be launched again.

        Raises:
            SourceError: the server refuses.
        """
        async with gateway.connection() as connection:
            surface = await _surface(connection)
            await connection.execute(text_of(f"SELECT {call('pg_background_resume_server')}", surface))
        self._last.pop(gateway.target.name, None)

    def close(self) -> None:
        """Wait for none of them any more."""
        for task in self._tasks:
            task.cancel()


async def _run(drain: Drain, gateway: Gateway) -> None:
    try:
        async with gateway.connection() as connection:
            surface = await _surface(connection)
            # It may be set for the role, and would end the wait.
            await connection.execute("SET statement_timeout = 0")
            text = f"SELECT finished, canceled, running FROM {call('pg_background_drain_server')}"
            cursor = await connection.execute(text_of(text, surface), [drain.seconds * 1000])
            row = await cursor.fetchone()
        assert row is not None
        drain.outcome = row
    except SourceError as error:
        drain.error = str(error)


async def _surface(connection: AsyncConnection) -> Surface:
    async def known(_: AsyncConnection, surface: Surface) -> Surface:
        return surface

    return await reading(connection, known)
