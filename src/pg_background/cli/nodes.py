"""The servers that a command talks to: several, each with its name, or one without."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from ..client.model import Handle
from ..server.errors import DatabaseError, UnreachableError
from .at_once import at_once
from .errors.codes import Codes
from .errors.failures import is_of_server
from .options.database import Database
from .options.handles import GivenHandle
from .output.console import note

if TYPE_CHECKING:
    import psycopg

    from ..client.client import Client
    from ..cluster.cluster import Cluster


@dataclass(frozen=True)
class Node:
    """A server."""

    #: empty for the only one
    name: str
    database: Database
    #: of pg_dist_node, if it is there
    number: int | None = None

    def session(self) -> AbstractContextManager[tuple[Client[Any], psycopg.Connection[Any]]]:
        """Make a client, for the block, with the session that it uses."""
        return self.database.client_and_session(self.name)


class Nodes:
    """All of them.

    Attributes:
        all: also those that are not meant.
        are_named: whether each has a name: then what is printed says of which one it is.
    """

    def __init__(self, nodes: Sequence[Node], only: Sequence[str] = ()) -> None:
        """
        Args:
            only: names or numbers of those that are meant; empty: all are.

        Raises:
            typer.BadParameter: there is none of such a name.
        """
        self.all = tuple(nodes)
        self.are_named = any(node.name for node in nodes)
        self._only = tuple(dict.fromkeys(self.node(word) for word in only))

    def __iter__(self) -> Iterator[Node]:
        """Yield those that are meant."""
        return iter(self.chosen)

    @property
    def chosen(self) -> Sequence[Node]:
        """Those that are meant."""
        return self._only or self.all

    @property
    def are_chosen(self) -> bool:
        """Whether somebody has said which."""
        return bool(self._only)

    def node(self, name: str) -> Node:
        """Return it by its name or number.

        Raises:
            typer.BadParameter: there is none.
        """
        for node in self.all:
            if name == node.name:
                return node
        for node in self.all:
            if node.number is not None and name == str(node.number):
                return node
        known = ", ".join(node.name for node in self.all)
        raise typer.BadParameter(f"there is no node {name}: they are {known}")

    def of(self, handles: Sequence[GivenHandle]) -> list[tuple[Node, list[Handle]]]:
        """Return the nodes of handles, each with its own.

        Raises:
            typer.BadParameter: a handle lacks its node, or has one that is none of these.
        """
        found: dict[Node, list[Handle]] = {}
        for given in handles:
            found.setdefault(self._node_of(given), []).append(given.handle)
        return list(found.items())

    def _node_of(self, given: GivenHandle) -> Node:
        if given.node and not self.are_named:
            raise typer.BadParameter(f"{given} names a node: say --cluster, or name the servers by --server")
        if given.node:
            return self.node(given.node)
        if len(self.chosen) > 1:
            raise typer.BadParameter(f"{given} lacks its node: write NODE/PID:COOKIE")
        return self.chosen[0]

    def cluster(self) -> Cluster:
        """Return a client of all of them; to be closed."""
        from ..client.client import Client
        from ..cluster import cluster, node
        from .options.database import notices_of

        made = []
        for each in self.all:
            client = Client(each.database.conninfo)
            client.add_notice_handler(notices_of(each.name))
            made.append(node.Node(each.name, each.number, client))
        return cluster.Cluster(made)

    def least_loaded(self) -> Node:
        """Return the one that runs the least of what it can. That others do not answer is told.

        Raises:
            DatabaseError: there is none.
        """
        if len(self.chosen) == 1:
            return self.chosen[0]
        loads: dict[Node, float] = {}
        reasons: dict[Node, Exception] = {}
        for node, answer in at_once(_load, self.chosen):
            if not isinstance(answer, Exception):
                loads[node] = answer
            elif is_of_server(answer):
                reasons[node] = answer
            else:
                raise answer
        said = {
            node: " ".join(getattr(reason, "message", str(reason)).split())
            for node, reason in reasons.items()
        }
        if not loads:
            reachable = [reason for reason in reasons.values() if not isinstance(reason, UnreachableError)]
            all_said = "; ".join(f"{node.name}: {text}" for node, text in said.items())
            raise (DatabaseError if reachable else UnreachableError)(f"no node can be used: {all_said}")
        for node, text in said.items():
            note(f"node {node.name} is passed over: {text}")
        # Of those that are alike the first.
        return min((node for node in self.chosen if node in loads), key=loads.__getitem__)


def _load(node: Node) -> float:
    with node.database.client() as client:
        return client.session.load().used


class Opened(NamedTuple):
    """A node that answers."""

    node: Node
    client: Client[Any]
    session: psycopg.Connection[Any]


@contextmanager
def opened(nodes: Sequence[Node], codes: Codes) -> Iterator[list[Opened]]:
    """Connect to all of them, for the block; those that do not answer are told and left out."""
    with ExitStack() as stack:
        found: dict[Node, Opened] = {}
        for node, answer in at_once(_open, nodes):
            if isinstance(answer, Exception):
                codes.tell(answer, node.name)
            else:
                stack.push(answer[0])
                found[node] = answer[1]
        yield [found[node] for node in nodes if node in found]


def _open(node: Node) -> tuple[Any, Opened]:
    manager = node.session()
    return manager, Opened(node, *manager.__enter__())
