"""What earlier jobs have shown of a query's result: the next one's rows need not be described first."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from typing import NamedTuple

from psycopg import sql

#: How many queries are remembered, and up to what length.
MOST = 200
LONGEST = 10_000


class Shape(NamedTuple):
    """What a query is expected to give again; the server compares before it hands out anything."""

    command_tag: str | None
    #: reads the rows, if they still are of this shape; None for a query that gives none
    take: sql.SQL | None


class Shapes:
    """The shapes of a client's latest queries."""

    def __init__(self) -> None:
        self._known: dict[Hashable, Shape] = {}
        self._mutex = threading.Lock()

    def get(self, key: Hashable) -> Shape | None:
        """Return what is known; nothing of the key None."""
        return self._known.get(key)

    def note(self, key: Hashable, shape: Shape) -> None:
        """Remember a shape, and forget the oldest one if there are too many."""
        with self._mutex:
            self._known.pop(key, None)
            if len(self._known) >= MOST:
                del self._known[next(iter(self._known))]
            self._known[key] = shape

    def forget(self, key: Hashable) -> None:
        """Ask the server again the next time."""
        with self._mutex:
            self._known.pop(key, None)


def key_of(query: str, database: str | None) -> Hashable:
    """Return what a query is remembered by; None for one that is not."""
    return (query, database) if len(query) <= LONGEST else None
