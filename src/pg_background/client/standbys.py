"""Where jobs that can only read are to run: on a standby, if one is near enough to its primary."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from psycopg.conninfo import conninfo_to_dict, make_conninfo

#: Seconds after which a standby is asked again how far behind it is, and one that did not answer.
LAG_SECONDS = 1.0
DOWN_SECONDS = 5.0

#: How long one is waited for that does not answer at all, unless the DSN says otherwise: until then no job
#: can run on another server. A network that is gone is noticed by what it does not acknowledge.
CONNECT_SECONDS = 5
UNACKNOWLEDGED_MS = 10_000

#: How long one is asked again and again before it is first taken to be too far behind, how long if it does
#: not know yet how far that is, and the seconds between.
FIRST_SECONDS = 0.2
UNKNOWN_SECONDS = 1.0
AGAIN_SECONDS = 0.02

#: Whether it is a standby, how many seconds behind its primary as far as it knows, what it has received, and
#: whether it receives and has replayed what it had received once before. What has replayed all that it has
#: received is not behind, as long as it receives: the last commit may be of yesterday. Nor is one that
#: has the first part of a record: a primary where nothing commits sends whole pages, the rest seconds later.
#: A record is seldom longer than eight pages, of which it may hold copies.
LAG = """
SELECT pg_catalog.pg_is_in_recovery(),
  CASE WHEN state.receives AND (state.replayed OPERATOR(pg_catalog.>=) state.received
      OR NOT state.paused AND state.received OPERATOR(pg_catalog.-) state.replayed
          OPERATOR(pg_catalog.<) (page.size OPERATOR(pg_catalog.*) 8::pg_catalog.numeric)
        AND (state.received OPERATOR(pg_catalog.-) '0/0'::pg_catalog.pg_lsn) OPERATOR(pg_catalog.%%) page.size
          OPERATOR(pg_catalog.=) 0::pg_catalog.numeric) THEN 0
  ELSE COALESCE(
    pg_catalog.date_part('epoch'::pg_catalog.text,
      pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) pg_catalog.pg_last_xact_replay_timestamp()),
    'infinity'::pg_catalog.float8) END,
  state.received::pg_catalog.text,
  COALESCE(state.receives AND state.replayed OPERATOR(pg_catalog.>=) %s::pg_catalog.pg_lsn, false)
FROM (SELECT pg_catalog.pg_last_wal_receive_lsn() AS received,
    pg_catalog.pg_last_wal_replay_lsn() AS replayed,
    CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_is_wal_replay_paused() END AS paused,
    EXISTS (SELECT FROM pg_catalog.pg_stat_wal_receiver) AS receives) state,
  pg_catalog.current_setting('wal_block_size'::pg_catalog.text) setting,
  LATERAL (SELECT setting::pg_catalog.numeric AS size) page
"""


@dataclass(frozen=True)
class Standbys:
    """Says that jobs with `read_only=True` run on a standby.

    Raises:
        ValueError: a value can't be.
    """

    #: how many seconds a standby may be behind; None for any number
    max_lag: float | None = 10.0
    #: what is done when there is none: run on the primary, or raise psycopg.OperationalError
    otherwise: Literal["primary", "error"] = "primary"
    #: with the hosts of the standbys; by default the client's own, with the hosts of all servers
    dsn: str | None = None

    def __post_init__(self) -> None:
        if self.max_lag is not None and not self.max_lag >= 0:
            raise ValueError("max_lag must not be negative")
        if self.otherwise not in get_args(Literal["primary", "error"]):
            raise ValueError(f"otherwise must be 'primary' or 'error', not {self.otherwise!r}")


def of_primary(dsn: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return a connection's parameters, by which it leads to the primary of several hosts."""
    given = {**conninfo_to_dict(dsn), **parameters}
    if "target_session_attrs" in given or "PGTARGETSESSIONATTRS" in os.environ:
        return dict(parameters)
    return {**parameters, "target_session_attrs": "read-write"}


def each_host(dsn: str, parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return a DSN for each host of one, by `host:port`.

    libpq takes the first host that is a standby; one that is too far behind would hide the others.

    Args:
        parameters: what libpq's connect() is given beside; they win.
    """
    parts = {**conninfo_to_dict(dsn), **parameters}
    hosts = str(parts.get("host") or os.environ.get("PGHOST") or "").split(",")
    addresses = str(parts.get("hostaddr") or "").split(",")
    ports = str(parts.get("port") or os.environ.get("PGPORT") or "5432").split(",")
    count = max(len(hosts), len(addresses))
    patience = {"connect_timeout": CONNECT_SECONDS, "tcp_user_timeout": UNACKNOWLEDGED_MS}
    if "PGCONNECT_TIMEOUT" in os.environ:
        del patience["connect_timeout"]
    patience = {name: value for name, value in patience.items() if name not in parts}
    found: dict[str, str] = {}
    for host, address, port in zip(
        *(_as_many(each, count) for each in (hosts, addresses, ports)), strict=True
    ):
        own = {"host": host or None, "hostaddr": address or None, "port": port}
        # Whether it is a standby is asked for beside how far behind it is.
        one = make_conninfo(
            dsn, **{**patience, **own, "target_session_attrs": "any", "load_balance_hosts": None}
        )
        found[f"{host or address or 'localhost'}:{port}"] = one
    return found


def without_hosts(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that are the same for all hosts."""
    ours = ("host", "hostaddr", "port", "target_session_attrs", "load_balance_hosts")
    return {name: value for name, value in parameters.items() if name not in ours}


def _as_many(values: list[str], count: int) -> list[str]:
    return values * count if len(values) == 1 else values
