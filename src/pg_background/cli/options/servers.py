"""The servers that a command is about: one, named as for psql; several by name; or the nodes of a cluster."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from ...server.errors import DatabaseError
from ..output.formats import is_typed
from ..output.terminal import visible
from ..page import CONNECTION
from .database import (
    Database,
    DbnameOption,
    DsnArgument,
    HostOption,
    NoPasswordOption,
    PortOption,
    UserOption,
)
from .given import Given

if TYPE_CHECKING:
    from ..nodes import Nodes

_NAME = re.compile(r"[\w.:-]+")

ServerOption = Annotated[
    list[str] | None,
    typer.Option(
        "--server",
        metavar="NAME=DSN",
        envvar="PG_BACKGROUND_SERVER",
        help="A server, and what it is called; give this as often as there are servers, instead of DSN.",
        show_default=False,
        rich_help_panel=CONNECTION,
    ),
]
ClusterOption = Annotated[
    bool,
    typer.Option(
        "--cluster",
        envvar="PG_BACKGROUND_CLUSTER",
        help="The servers are the nodes of the Citus cluster of which DSN is one, such as the coordinator.",
        rich_help_panel=CONNECTION,
    ),
]
NodeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--node",
        metavar="NAME",
        envvar="PG_BACKGROUND_NODE",
        help="Only this one of several servers, by its name or number in the cluster. May be given several "
        "times. A handle that names its node is of that one all the same.",
        show_default=False,
        rich_help_panel=CONNECTION,
    ),
]


@dataclass(frozen=True)
class Servers:
    """What was said of them."""

    one: Database
    #: each as NAME=DSN, instead of that one
    several: Sequence[str] = ()
    #: that one leads to all others
    is_cluster: bool = False
    #: names or numbers of those that are meant; empty: all are
    only: Sequence[str] = ()

    @property
    def are_named(self) -> bool:
        """Whether there may be several."""
        return self.is_cluster or bool(self.several)

    def nodes(self) -> Nodes:
        """Find them; of a cluster a node is asked.

        Raises:
            typer.BadParameter: a name is none, or two have the same.
            DatabaseError: a DSN is none; the server can't be reached, or is in no cluster.
        """
        from ..nodes import Node, Nodes

        if self.is_cluster:
            found = [
                # A name comes from the server, and is printed.
                Node(visible(name), Database(dsn).patient, number)
                for number, name, dsn in _of_cluster(self.one)
            ]
        elif self.several:
            found = [Node(name, database.patient) for name, database in self._named().items()]
        else:
            found = [Node("", self.one)]
        return Nodes(found, self.only)

    def by_name(self) -> Mapping[str, Database]:
        """Return them, for what watches them for long. None but the first asks for a password.

        Raises:
            typer.BadParameter: a name is none, or two have the same.
            DatabaseError: a DSN is none; the server can't be reached, or is in no cluster.
        """
        if self.is_cluster:
            return {name: Database(dsn) for _, name, dsn in _of_cluster(self.one)}
        return self._named() if self.several else {_place_of(self.one): self.one}

    def _named(self) -> dict[str, Database]:
        """Of several none asks for a password: who would know for which?"""
        found: dict[str, Database] = {}
        for word in self.several:
            name, equals, text = word.partition("=")
            if not equals or not text or "://" in name:
                # Not what was written: it may have a password.
                raise typer.BadParameter("--server: write NAME=DSN")
            if not _NAME.fullmatch(name):
                raise typer.BadParameter(
                    f"--server {name}=…: write NAME=DSN, the name in letters, digits and _ . : -"
                )
            if name in found:
                raise typer.BadParameter(f"--server {name}=…: there is another {name}")
            found[name] = replace(self.one, dsn=text, may_ask=False)
            # Now, and not when it is connected to: it can't become right.
            _ = found[name].conninfo
        return found


def _of_cluster(database: Database) -> list[tuple[int | None, str, str]]:
    """Ask a node of a Citus cluster for all of them: return number, name and DSN of each."""
    from psycopg import errors

    from ...cluster.handles import NODES, of_citus

    known, connection = database.patient.connected()
    with closing(connection):
        try:
            return of_citus(known.conninfo, connection.execute(NODES).fetchall())
        except errors.UndefinedTable as error:
            raise DatabaseError(
                f"the database is no node of a Citus cluster: {error.diag.message_primary}",
                hint="name servers without Citus by --server",
            ) from error


def _servers(
    ctx: typer.Context,
    dsn: DsnArgument = "",
    dbname: DbnameOption = "",
    cluster: ClusterOption = False,
    server: ServerOption = None,
    host: HostOption = None,
    port: PortOption = None,
    username: UserOption = None,
) -> Servers:
    # What is typed wins over what the environment says.
    if server and (dsn or any(is_typed(ctx, name) for name in ("dbname", "host", "port"))):
        if is_typed(ctx, "server"):
            raise typer.BadParameter("name servers by --server, or one by DSN")
        server = None
    if server and cluster:
        if is_typed(ctx, "server") == is_typed(ctx, "cluster"):
            raise typer.BadParameter("--cluster and --server exclude each other")
        server, cluster = (server, False) if is_typed(ctx, "server") else (None, True)
    return Servers(Database(dsn or dbname, host, port, username), server or (), cluster)


def _by_argument(
    ctx: typer.Context,
    dsn: DsnArgument = "",
    dbname: DbnameOption = "",
    cluster: ClusterOption = False,
    server: ServerOption = None,
    host: HostOption = None,
    port: PortOption = None,
    username: UserOption = None,
    no_password: NoPasswordOption = False,
) -> Servers:
    servers = _servers(ctx, dsn, dbname, cluster, server, host, port, username)
    return replace(servers, one=replace(servers.one, may_ask=not no_password))


def _nodes_by_argument(
    ctx: typer.Context,
    dsn: DsnArgument = "",
    dbname: DbnameOption = "",
    cluster: ClusterOption = False,
    server: ServerOption = None,
    node: NodeOption = None,
    host: HostOption = None,
    port: PortOption = None,
    username: UserOption = None,
    no_password: NoPasswordOption = False,
) -> Servers:
    servers = _by_argument(ctx, dsn, dbname, cluster, server, host, port, username, no_password)
    if not servers.are_named:
        if node and is_typed(ctx, "node"):
            raise typer.BadParameter("--node needs --cluster or --server")
        return servers
    if is_typed(ctx, "all_nodes") and not is_typed(ctx, "node"):
        node = None
    return replace(servers, only=node or ())


def _nodes_by_options(
    ctx: typer.Context,
    dbname: DbnameOption = "",
    cluster: ClusterOption = False,
    server: ServerOption = None,
    node: NodeOption = None,
    host: HostOption = None,
    port: PortOption = None,
    username: UserOption = None,
    no_password: NoPasswordOption = False,
) -> Servers:
    return _nodes_by_argument(ctx, "", dbname, cluster, server, node, host, port, username, no_password)


#: For what connects again and again, with nobody there who could be asked for a password.
ServersGiven = Annotated[Servers, Given(_servers)]
#: For what may ask for one when it starts.
ServersOrPasswordGiven = Annotated[Servers, Given(_by_argument)]
#: For a command about jobs, on all of them or some.
NodesArgument = Annotated[Servers, Given(_nodes_by_argument)]
#: For such a command that has arguments of its own.
NodesGiven = Annotated[Servers, Given(_nodes_by_options)]


def _place_of(database: Database) -> str:
    """Return what a server is called that has no name: its service, or its host and port."""
    from psycopg import pq
    from psycopg.conninfo import conninfo_to_dict

    parts = {option.keyword.decode(): (option.val or b"").decode() for option in pq.Conninfo.get_defaults()}
    parts |= {name: str(value) for name, value in conninfo_to_dict(database.conninfo).items()}
    return parts["service"] or f"{parts['host'] or parts['hostaddr'] or 'localhost'}:{parts['port'] or 5432}"
