"""What of a cluster's jobs, nodes and shards is plain values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from .node_handle import NodeHandle

__all__ = [
    "NODES",
    "SHARDS",
    "NodeHandle",
    "Origin",
    "Shard",
    "named",
    "no_citus",
    "of_citus",
    "with_patience",
]

#: What a cluster is made from: the DSN of a node of a Citus cluster, or those of all nodes, by name or not.
Origin: TypeAlias = "str | Sequence[str] | Mapping[str, str]"

#: So that a node that has gone without a word is noticed; a DSN may say otherwise.
PATIENCE = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}

#: The nodes, and whether each is the one that is asked. Citus has its catalogue in pg_catalog.
NODES = """
SELECT n.nodeid, n.nodename, n.nodeport,
  EXISTS (SELECT FROM pg_catalog.pg_dist_local_group AS g WHERE g.groupid OPERATOR(pg_catalog.=) n.groupid)
FROM pg_catalog.pg_dist_node AS n
WHERE n.isactive AND n.noderole::pg_catalog.text OPERATOR(pg_catalog.=) 'primary'::pg_catalog.text
ORDER BY n.nodeid
"""

#: The shards of a table. Citus leaves out the schema public, which a search_path may not have.
SHARDS = """
SELECT s.shardid, s.nodename, s.nodeport,
  CASE WHEN pg_catalog.starts_with(s.shard_name, q.schema OPERATOR(pg_catalog.||) '.'::pg_catalog.text)
  THEN s.shard_name ELSE pg_catalog.concat(q.schema, '.', s.shard_name) END
FROM pg_catalog.citus_shards AS s
JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) s.table_name::pg_catalog.oid
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
CROSS JOIN LATERAL pg_catalog.quote_ident(n.nspname) AS q(schema)
WHERE c.oid OPERATOR(pg_catalog.=) %s::pg_catalog.regclass::pg_catalog.oid
ORDER BY s.shardid, s.nodename, s.nodeport
"""


@dataclass(frozen=True)
class Shard:
    """A shard of a distributed table. Read it where it is; to write to it would bypass Citus."""

    number: int
    #: with its schema, as SQL writes it
    name: str
    #: the name of the node that has it
    node: str

    def in_query(self, query: sql.SQL) -> sql.Composed:
        """Return a query with the shard's name in place of `{shard}`."""
        name: Any = self.name
        return query.format(shard=sql.SQL(name))


def with_patience(dsn: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters of a connection, with those of `PATIENCE` that nobody has given."""
    given = {*conninfo_to_dict(dsn), *parameters}
    return {**{name: value for name, value in PATIENCE.items() if name not in given}, **parameters}


def named(origin: Sequence[str] | Mapping[str, str]) -> dict[str, str]:
    """Return DSNs by name: as given, or made of host, port and, where these are not enough, the database.

    Raises:
        ValueError: there are none, or two are the same.
    """
    if not origin:
        raise ValueError("a cluster needs at least one node")
    if isinstance(origin, Mapping):
        return dict(origin)
    parts = [conninfo_to_dict(dsn) for dsn in origin]
    short = [f"{part.get('host') or 'localhost'}:{part.get('port') or 5432}" for part in parts]
    counted = Counter(short)
    names = [
        name if counted[name] == 1 else f"{name}/{part.get('dbname') or ''}"
        for name, part in zip(short, parts, strict=True)
    ]
    if len({*names}) < len(names):
        raise ValueError("two nodes of the cluster have the same host, port and database")
    return dict(zip(names, origin, strict=True))


def of_citus(dsn: str, rows: Sequence[Sequence[Any]]) -> list[tuple[int | None, str, str]]:
    """Return number, name and DSN of each node: what was given leads to the others, but for host and port.

    Args:
        rows: of `NODES`.
    """
    return [
        (
            number,
            f"{host}:{port}",
            # How it was reached is known to be right; its own name for itself may be localhost.
            dsn if is_here else make_conninfo(dsn, host=host, port=port, hostaddr=None),
        )
        for number, host, port, is_here in rows
    ]


def no_citus(error: psycopg.Error) -> psycopg.ProgrammingError:
    """Return the error for a server that is no node of a Citus cluster."""
    return psycopg.ProgrammingError(
        f"the database is no node of a Citus cluster: {error.diag.message_primary}\n"
        "HINT:  For servers without Citus give a list of their DSNs."
    )
