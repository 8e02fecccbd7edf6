# Made from throttle_async.py by tools/async_to_sync.py: edit that one.
"""Whether the server has room for another range: the ceilings of a backfill."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, LiteralString

from .errors import BackfillError
from .options import BackfillOptions
from .pace import Rate

if TYPE_CHECKING:
    from ..client.client import Client

#: Bytes of WAL that the slowest standby has not replayed; of a backup nothing is replayed. NULL without
#: standbys. The second column tells that there are some of which this role may not see that.
_LAG = """
SELECT
  pg_catalog.max(pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), r.replay_lsn))::pg_catalog.int8,
  COALESCE(pg_catalog.bool_or(r.state IS NULL), false)
FROM pg_catalog.pg_stat_replication AS r
"""

#: Sessions of others that are at work. The second column tells that this role may not see some: anybody can
#: send the text that stands there instead of a query, but not hide of what type the process is.
_ACTIVE = """
SELECT pg_catalog.count(*) FILTER (WHERE a.state OPERATOR(pg_catalog.=) 'active'::pg_catalog.text
    AND a.backend_type OPERATOR(pg_catalog.=) 'client backend'::pg_catalog.text
    AND a.pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()),
  COALESCE(pg_catalog.bool_or(a.backend_type IS NULL
    AND a.query OPERATOR(pg_catalog.=) '<insufficient privilege>'::pg_catalog.text), false)
FROM pg_catalog.pg_stat_activity AS a
WHERE a.datid IS NOT NULL
"""

#: Seconds between two looks at the server while a ceiling is exceeded.
LOOK_SECONDS = 0.5


class Throttle:
    """Tells what a range has to wait for, on one server."""

    def __init__(self, client: Client[Any], options: BackfillOptions, rate: Rate) -> None:
        """
        Args:
            rate: shared by all servers.
        """
        self._session = client.session
        self._options = options
        self._rate = rate

    def wait(self) -> tuple[str, float] | None:
        """Return what a range has to wait for, and for how many seconds at least; None if it may begin.

        Raises:
            BackfillError: a ceiling is of what this role may not see.
        """
        seconds = self._rate.wait()
        if seconds:
            return "rows", min(seconds, LOOK_SECONDS)
        exceeded = self._look()
        return None if exceeded is None else (exceeded, LOOK_SECONDS)

    def _look(self) -> str | None:
        ceilings: tuple[tuple[str, int | None, LiteralString], ...] = (
            ("lag", self._options.max_lag, _LAG),
            ("active", self._options.max_active, _ACTIVE),
        )
        for name, ceiling, query in ceilings:
            if ceiling is None:
                continue
            with self._session.connection() as connection:
                cursor = self._session.cursor(connection)
                cursor.execute(query)
                row = cursor.fetchone()
            assert row is not None
            value, is_hidden = row
            if is_hidden:
                raise BackfillError(
                    f"this role may not see what the ceiling max_{name} is about",
                    hint="a superuser can GRANT pg_monitor to it",
                )
            if value is not None and value > ceiling:
                return name
        return None
