"""One server of a cluster: its client, how loaded it is, and whether it answers."""

from __future__ import annotations

from time import monotonic
from typing import Any

import psycopg

from ..client.client_async import AsyncClient

#: Seconds after which a node is asked again how loaded it is, and one that did not answer whether it does.
LOAD_SECONDS = 1.0
DOWN_SECONDS = 5.0


class AsyncNode:
    """A node. Its connection is opened when it is needed, and again when it broke.

    Attributes:
        name: as whoever made the cluster has named it, or `host:port`.
        number: that of pg_dist_node; None without Citus.
        client: for what concerns this node alone.
        error: why it did not answer the last time; None if it did, or was not asked.
        load: its jobs that have not ended, as a share of those that it runs at once.
    """

    def __init__(self, name: str, number: int | None, client: AsyncClient[Any]) -> None:
        self.name = name
        self.number = number
        self.client = client
        self.error: psycopg.Error | None = None
        self.load = 0.0
        self._share = 1.0
        self._ask_at = 0.0

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} {'up' if self.error is None else 'down'}>"

    def note_launch(self) -> None:
        """Count a job that was launched since the node was asked."""
        self.load += self._share

    async def look(self) -> bool:
        """Tell whether it answers, and how loaded it is; it is asked unless that was a moment ago."""
        return self.error is None if monotonic() < self._ask_at else await self.answers()

    async def answers(self) -> bool:
        """Ask it, and tell whether it answers.

        Raises:
            psycopg.Error: it does, but not as a server with the extension.
        """
        # That a connection broke is only found when it is used: the second one is new.
        if not (await self._ask() or await self._ask()):
            self._ask_at = monotonic() + DOWN_SECONDS
            return False
        self._ask_at = monotonic() + LOAD_SECONDS
        return True

    async def _ask(self) -> bool:
        try:
            found = await self.client.session.load()
        except psycopg.OperationalError as error:
            self.error = error
            return False
        self.error = None
        self._share = found.of_a_job
        self.load = found.used
        return True
