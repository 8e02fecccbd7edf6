"""Cursors for what a client itself asks the server, as against what its users read."""

from __future__ import annotations

from typing import Any, overload

import psycopg
from psycopg.rows import AsyncRowFactory, TupleRow, tuple_row

from ._source_async import AsyncConnection
from .encodings import UNKNOWN, load_as_str
from .variables import Other


@overload
def asking(connection: AsyncConnection) -> psycopg.AsyncCursor[TupleRow]: ...
@overload
def asking(
    connection: AsyncConnection, row_factory: AsyncRowFactory[Other]
) -> psycopg.AsyncCursor[Other]: ...
def asking(
    connection: AsyncConnection, row_factory: AsyncRowFactory[Any] = tuple_row
) -> psycopg.AsyncCursor[Any]:
    """Return a cursor whose texts are `str` also where psycopg, not knowing their encoding, has bytes."""
    cursor = psycopg.AsyncCursor(connection, row_factory=row_factory)
    if connection.info.encoding == UNKNOWN:
        load_as_str(cursor.adapters)
    return cursor
