"""Look into the history of jobs."""

from __future__ import annotations

from typing import Any

from psycopg.rows import DictRow, dict_row

from .calls import query
from .fix_db import Connection
from .waiting import wait_until


def rows(conn: Connection, where: str = "true", *arguments: object) -> list[DictRow]:
    """Return rows of the history, the oldest first."""
    with conn.cursor(row_factory=dict_row) as cursor:
        sql = f"SELECT * FROM pg_background_history WHERE {where} ORDER BY id"
        return cursor.execute(sql.encode(), arguments or None).fetchall()


def row(conn: Connection, label: str) -> DictRow:
    """Return the one row with this label, once it is there."""
    (found,) = wait_until(lambda: rows(conn, "label = %s", label), what=f"a row of {label}")
    return found


def labels(conn: Connection) -> list[Any]:
    """Return the labels of all rows."""
    return [found["label"] for found in rows(conn)]


def writers(conn: Connection) -> list[Any]:
    """Return the processes that write."""
    return query(conn, "SELECT pid FROM pg_stat_activity WHERE backend_type = 'pg_background history'")
