"""Three servers that are the nodes of a cluster, through stand-ins of Citus."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import pytest_asyncio

from pg_background import AsyncCluster, Cluster

from .fix_cli import Cli, Finished
from .fix_db import Connection
from .fix_server import FreshServer
from .processes import children
from .server import Server
from .stand_in import stand_in, tell_addresses

DATABASE = "cluster"

#: What the nodes are called that are no cluster's.
NAMES = ("one", "two", "three")


class Nodes(list[Server]):
    """The servers; node n is the one at n - 1, and node 1 the coordinator."""

    database = DATABASE
    is_cluster = False

    def connect(self, node: int = 1, **parameters: Any) -> Connection:
        """Open a session on a node; the caller closes it."""
        return self[node - 1].connect(DATABASE, **parameters)

    def dsns(self) -> list[str]:
        """Return the connection strings."""
        return [server.dsn(DATABASE) for server in self]

    def by_name(self) -> dict[str, str]:
        """Return the same by names."""
        return dict(zip(NAMES, self.dsns(), strict=True))

    def everywhere(self, script: str) -> None:
        """Run SQL on each."""
        for server in self:
            with server.connect(DATABASE) as conn:
                conn.execute(script.encode())

    def ports(self) -> dict[str, int]:
        """Return where they listen, by the names of `by_name`."""
        return {name: int(server.execute("SHOW port")) for name, server in zip(NAMES, self, strict=True)}

    def states(self, label: str) -> list[list[str]]:
        """Return for each the states of its jobs with a label."""
        found = []
        for server in self:
            with server.connect(DATABASE) as conn:
                query = "SELECT state FROM pg_background_jobs WHERE label = %s"
                found.append([state for (state,) in conn.execute(query, [label]).fetchall()])
        return found

    def quiet(self) -> None:
        """End all jobs, and let others be launched."""
        for server in self:
            with server.connect(DATABASE) as conn:
                conn.execute("SELECT pg_background_resume_server()")
                conn.execute(
                    "SELECT pg_background_cancel(pid, cookie, 60000) FROM pg_background_jobs"
                    " WHERE state IN ('queued', 'starting', 'running')"
                )

    @contextmanager
    def frozen(self, node: int) -> Iterator[None]:
        """Let a node's server say nothing for the block, while its connections stay."""
        postmaster = self[node - 1].pid
        # First, as it makes the others.
        os.kill(postmaster, signal.SIGSTOP)
        processes = [*children(postmaster), postmaster]
        try:
            for pid in processes:
                os.kill(pid, signal.SIGSTOP)
            yield
        finally:
            for pid in processes:
                os.kill(pid, signal.SIGCONT)

    @contextmanager
    def down(self, node: int) -> Iterator[None]:
        """Take a node's server away, all at once, for the block."""
        self[node - 1].cluster.stop("immediate")
        try:
            yield
        finally:
            # Its port may have found another user.
            self[node - 1].start()
            if self.is_cluster:
                tell_addresses(self, DATABASE)


@pytest.fixture(scope="session")
def plain_nodes(server: Server, fresh_cluster: FreshServer) -> Nodes:
    """Three servers with pg_background in a database of the same name; nothing else is common to them."""
    nodes = Nodes([server, fresh_cluster(), fresh_cluster()])
    for node in nodes:
        node.execute(f"CREATE DATABASE {DATABASE}")
    nodes.everywhere("CREATE EXTENSION pg_background")
    return nodes


@pytest.fixture(scope="session")
def nodes(plain_nodes: Nodes) -> Nodes:
    """The same as a cluster; a test that uses it is marked `contrib("dblink")`."""
    stand_in(plain_nodes, DATABASE)
    plain_nodes.is_cluster = True
    plain_nodes.everywhere("CREATE SCHEMA elsewhere; CREATE EXTENSION pg_background_cluster SCHEMA elsewhere")
    plain_nodes.everywhere("GRANT USAGE ON SCHEMA elsewhere TO PUBLIC")
    return plain_nodes


@pytest.fixture
def coordinator(nodes: Nodes) -> Iterator[Connection]:
    """A session on the first node, which finds the cluster's functions."""
    with nodes.connect(options="-c search_path=elsewhere,public") as conn:
        yield conn


class OnNodes:
    """Runs `pg-background` on all nodes."""

    def __init__(self, cli: Cli, which: list[str]) -> None:
        """
        Args:
            which: the options that name them.
        """
        self.cli = cli
        self.which = which

    def __call__(self, command: str, *words: str, **environment: str) -> Finished:
        """Run it inside of this process."""
        return self.cli.inside(command, *self.which, *words, **environment)

    def handles(self, *words: str) -> list[str]:
        """Run it, and return the handles that it prints, by node."""
        done = self(*words)
        assert (done.code, done.errors) == (0, "")
        return sorted(done.output.split())


@pytest.fixture
def bgs(cli: Cli, plain_nodes: Nodes) -> Iterator[OnNodes]:
    """Runs the command line on servers which are called one, two and three; no job outlives the test."""
    named = [f"--server={name}={dsn}" for name, dsn in plain_nodes.by_name().items()]
    yield OnNodes(cli, named)
    plain_nodes.quiet()


@pytest.fixture
def bgc(cli: Cli, nodes: Nodes) -> OnNodes:
    """Runs the command line on the nodes of a cluster; a test that uses it is marked `contrib("dblink")`."""
    return OnNodes(cli, ["--cluster", "--dbname", nodes.dsns()[1]])


@pytest.fixture
def cluster(plain_nodes: Nodes) -> Iterator[Cluster]:
    """A client of all nodes, which are called one, two and three."""
    with Cluster.connect(plain_nodes.by_name()) as made:
        yield made


@pytest_asyncio.fixture
async def acluster(plain_nodes: Nodes) -> AsyncIterator[AsyncCluster]:
    """Its asynchronous twin."""
    async with await AsyncCluster.connect(plain_nodes.by_name()) as made:
        yield made
