"""What the server says of jobs, sessions and roles, in the terms of the model."""

from __future__ import annotations

from collections import Counter
from typing import Any

from .calls import query
from .jobs import Connection
from .model import FINAL, LIMIT


def read_inserted(conn: Connection) -> set[int]:
    """The jobs that have committed their row."""
    return {number for (number,) in query(conn, "SELECT number FROM inserted")}


def read_totals(conn: Connection) -> dict[str, Counter[str]]:
    """The counters of the roles."""
    rows = query(
        conn,
        "SELECT role, launched, completed, failed, canceled, lost FROM pg_background_totals"
        " WHERE role IN ('owner', 'member', 'stranger')",
    )
    names = ("launched", "stopped", "error", "canceled", "lost")
    return {str(role): Counter(dict(zip(names, counts, strict=True))) for role, *counts in rows}


def plain(state: Any) -> Any:
    """A job that a process has is as good as running."""
    return "running" if state == "starting" else state


def read_list(conn: Connection) -> list[tuple[Any, ...]]:
    """Cookies and states of a session's jobs."""
    rows = query(conn, "SELECT cookie, state, last_error IS NOT NULL FROM pg_background_list")
    assert all(failed == (state in FINAL and state != "stopped") for _, state, failed in rows)
    return [(cookie, plain(state)) for cookie, state, _ in rows]


def read_stats(conn: Connection) -> tuple[Any, ...]:
    """The counters of a session."""
    (row,) = query(conn, "SELECT * FROM pg_background_stats()")
    assert row[7] == LIMIT
    return row[:6]
