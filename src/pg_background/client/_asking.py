# Made from _asking_async.py by tools/async_to_sync.py: edit that one.
"""Cursors for what a client itself asks the server, as against what its users read."""

from __future__ import annotations

from typing import Any, overload

import psycopg
from psycopg.rows import RowFactory, TupleRow, tuple_row

from ._source import Connection
from .encodings import UNKNOWN, load_as_str
from .variables import Other


@overload
def asking(connection: Connection) -> psycopg.Cursor[TupleRow]: ...
@overload
def asking(connection: Connection, row_factory: RowFactory[Other]) -> psycopg.Cursor[Other]: ...
def asking(connection: Connection, row_factory: RowFactory[Any] = tuple_row) -> psycopg.Cursor[Any]:
    """Return a cursor whose texts are `str` also where psycopg, not knowing their encoding, has bytes."""
    cursor = psycopg.Cursor(connection, row_factory=row_factory)
    if connection.info.encoding == UNKNOWN:
        load_as_str(cursor.adapters)
    return cursor
