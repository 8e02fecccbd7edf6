"""What the extension holds in shared memory: leak tests compare it."""

from __future__ import annotations

from typing import Any, NamedTuple

import psycopg

from .waiting import DEADLINE, wait_until


class Registry(NamedTuple):
    """The row of pg_background_registry()."""

    entries: int
    live: int
    unread: int
    idle_workers: int
    busy_workers: int
    area_bytes: int
    spill_bytes: int

    def is_quiet(self) -> bool:
        """True when no job runs and no output waits for a reader."""
        return not (self.live or self.unread or self.busy_workers or self.spill_bytes)


def registry(conn: psycopg.Connection[Any]) -> Registry:
    """Ask the server."""
    row = conn.execute(
        "SELECT entries, live, unread, idle_workers, busy_workers, area_bytes, spill_bytes "
        "FROM pg_background_registry()"
    ).fetchone()
    assert row is not None
    return Registry(*row)


def wait_until_quiet(
    conn: psycopg.Connection[Any], *, area_bytes: int | None = None, deadline: float = DEADLINE
) -> Registry:
    """Wait until no job runs and no output waits for a reader, and return the registry.

    Args:
        area_bytes: what the job memory must come back to as well.

    Raises:
        AssertionError: something is still there after `deadline` seconds.
    """
    last = registry(conn)

    def quiet() -> bool:
        nonlocal last
        last = registry(conn)
        return last.is_quiet() and area_bytes in (None, last.area_bytes)

    try:
        wait_until(quiet, deadline=deadline)
    except AssertionError:
        raise AssertionError(f"after {deadline:g} s the registry still holds {last}") from None
    return last
