# Made from cluster_async.py by tools/async_to_sync.py: edit that one.
"""A client of many servers: places jobs on them, and waits for all in one way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.rows import RowFactory, tuple_row

from ..client.acompat import Yields
from ..client.bars import ProgressDisplay
from ..client.client import Client
from ..client.launching import start
from ..client.many import CONCURRENCY, AnyJob, as_they_end, first_of, have_ended, results_in_order
from ..client.model import Handle, Stats
from ..client.query import Params, Query
from ..client.result import Result
from .handles import NODES, SHARDS, NodeHandle, Origin, Shard, named, no_citus, of_citus, with_patience
from .job import AnyClusterJob, ClusterJob, ClusterListedJob, is_of_connection
from .node import Node
from .outcomes import Progresses, outcomes_of

if TYPE_CHECKING:
    from typing import Self

    from ..backfill.backfill import BackfillStatement
    from ..backfill.shards import ShardBackfill


class Cluster:
    """Launches jobs on any of several servers, and finds those of others: `Client` for a cluster.

    A job is launched on the least loaded node that answers, or on `node`. Of a node that fails the jobs are
    `JobLost`; the others go on. Made by `connect`.

    Attributes:
        nodes: all of them, whether they answer or not.
    """

    def __init__(self, nodes: Sequence[Node], *, row_factory: RowFactory[Any] | None = None) -> None:
        """
        Args:
            nodes: closed with the cluster.
            row_factory: of psycopg; makes the rows of jobs that have no other.
        """
        self.nodes = tuple(nodes)
        self._row_factory: RowFactory[Any] = tuple_row if row_factory is None else row_factory
        self._by_name: dict[str | int, Node] = {node.name: node for node in nodes}
        for node in nodes:
            if node.number is not None:
                # As text too, as in a handle that was written down.
                self._by_name[node.number] = self._by_name[str(node.number)] = node

    @classmethod
    def connect(
        cls, origin: Origin = "", *, row_factory: RowFactory[Any] | None = None, **parameters: Any
    ) -> Cluster:
        """Make one, and see that a node works.

        Args:
            origin: the DSN of a node of a Citus cluster, which names the others; or the DSNs of the nodes,
                by name or as a list.
            row_factory: of psycopg; makes the rows.
            parameters: of all connections, more of libpq's and of psycopg's connect().

        Raises:
            psycopg.OperationalError: no node can be reached.
            psycopg.ProgrammingError: one does not have the extension, or is in no Citus cluster.
            ValueError: there are no DSNs, or one is there twice.
        """
        if isinstance(origin, str):
            found = of_citus(origin, _nodes_of(origin, parameters))
        else:
            found = [(None, name, dsn) for name, dsn in named(origin).items()]
        cluster = cls(
            [
                Node(name, number, Client(dsn, **with_patience(dsn, parameters)))
                for number, name, dsn in found
            ],
            row_factory=row_factory,
        )
        try:
            cluster._up()
        except BaseException:
            cluster.close()
            raise
        return cluster

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all waits, and the connections; jobs go on."""
        for node in self.nodes:
            node.client.close()

    def node(self, name: str | int) -> Node:
        """Return a node by its name, or by its number in pg_dist_node.

        Raises:
            KeyError: there is none.
        """
        return self._by_name[name]

    # ---- one job

    def launch(
        self,
        query: Query,
        params: Params | None = None,
        *,
        node: str | int | None = None,
        row_factory: RowFactory[Any] | None = None,
        **options: Any,
    ) -> AnyClusterJob:
        """Start a job, and return at once.

        Args:
            query: and `params`, `row_factory`, `options`, as for `Client.launch`.
            node: where; by default the least loaded that answers.

        Raises:
            KeyError: there is no such node.
            psycopg.OperationalError: no node can be reached. `ConnectionLost`: the connection broke during
                the launch, so that there may be a job; it is not launched a second time.
            psycopg.Error: the server refused it.
        """
        place = self._least_loaded() if node is None else self.node(node)
        return self._start(place, query, params, row_factory, **options)

    def submit(self, query: Query, params: Params | None = None, **options: Any) -> AnyClusterJob:
        """Start a job whose rows nobody wants: they are dropped at their source. Otherwise as `launch`."""
        return self.launch(query, params, discard_result=True, **options)

    def run(
        self, query: Query, params: Params | None = None, *, progress: ProgressDisplay = None, **options: Any
    ) -> Result[Any]:
        """Launch a job and return its rows; an interruption cancels it. Otherwise as `launch`."""
        with self.launch(query, params, **options) as job:
            return job.result(progress=progress)

    def run_script(self, script: Query, *, progress: ProgressDisplay = None, **options: Any) -> Result[Any]:
        """Run statements on one node, each in a transaction of its own: see `Client.run_script`."""
        return self.run(script, progress=progress, each_statement=True, **options)

    def attach(
        self,
        handle: NodeHandle | tuple[str | int, int, int],
        *,
        row_factory: RowFactory[Any] | None = None,
    ) -> AnyClusterJob:
        """Return a job that was launched elsewhere, by SQL or in another process; it is not asked for yet.

        Args:
            handle: node, pid and cookie; such as what a job pickles to, or a cluster_handle of SQL.

        Raises:
            KeyError: the cluster has no such node.
        """
        name, pid, cookie = handle
        node = self.node(name)
        return self._made(node, Handle(pid, cookie), row_factory)

    # ---- all nodes

    def launch_all(
        self, query: Query, params: Params | None = None, **options: Any
    ) -> dict[str, AnyClusterJob | psycopg.Error]:
        """Start a job on each node; return these by the nodes' names, or why there is none.

        Args:
            query: and the others, as for `launch`.
        """
        launched: dict[str, AnyClusterJob | psycopg.Error] = {}
        for node in self.nodes:
            try:
                launched[node.name] = self.launch(query, params, node=node.name, **options)
            except psycopg.Error as error:
                launched[node.name] = error
        return launched

    def jobs(self) -> list[ClusterListedJob]:
        """Return the jobs of all nodes that answer, as far as this role may see them.

        Those that do not answer have an `error` afterwards, see `nodes`.
        """
        found: list[ClusterListedJob] = []
        for node in self.nodes:
            if node.answers():
                attach = partial(self._made, node)
                infos = node.client.session.jobs()
                found += [ClusterListedJob.on(node, info, attach) for info in infos]
        return found

    def stats(self) -> dict[str, Stats]:
        """Return the counters of the cluster's session on each node that answers, by its name."""
        return {node.name: node.client.stats() for node in self.nodes if node.answers()}

    def shards(self, table: str) -> list[Shard]:
        """Return the shards of a distributed table of Citus, each with its node.

        Args:
            table: its name, as SQL writes it.

        Raises:
            psycopg.Error: the server knows no such table, or is in no Citus cluster.
        """
        node = (self._up())[0]
        with node.client.session.connection() as connection:
            rows = (connection.execute(SHARDS, [table])).fetchall()
        return [Shard(number, name, f"{host}:{port}") for number, host, port, name in rows]

    # ---- many jobs

    def map(
        self,
        query: Query,
        params: Iterable[Any],
        *,
        concurrency: int = CONCURRENCY,
        row_factory: RowFactory[Any] | None = None,
        **options: Any,
    ) -> Yields[Result[Any]]:
        """Run a query once for each params, each on the least loaded node: see `Client.map`.

        Args:
            concurrency: how many jobs run at once on all nodes together, at most.

        Raises:
            ValueError: concurrency is not positive.
            psycopg.Error: as `launch` and `ClusterJob.result`.
        """
        if concurrency < 1:
            raise ValueError("concurrency must be at least 1")
        options.setdefault("on_full", "queue")
        return results_in_order(
            lambda values: self.launch(query, values, row_factory=row_factory, **options), params, concurrency
        )

    def map_nodes(
        self, query: Query, params: Params | None = None, **options: Any
    ) -> Yields[tuple[str, Result[Any] | psycopg.Error]]:
        """Run a query on each node; yield the nodes' names and the results, or errors, as the jobs end."""
        yield from outcomes_of(self.launch_all(query, params, **options))

    def map_shards(
        self, query: sql.SQL, table: str, **options: Any
    ) -> Yields[tuple[Shard, Result[Any] | psycopg.Error]]:
        """Run a query on each shard of a distributed table, where it is; yield the results as the jobs end.

        A shard that has moved meanwhile has an error, mostly UndefinedTable: it can be asked for again.

        Args:
            query: with `{shard}` for the shard. It should only read: a write would bypass Citus.
            table: its name, as SQL writes it.
            options: as for `launch`; jobs for which a node has no worker are queued there.
        """
        options.setdefault("on_full", "queue")
        launched: dict[Shard, AnyClusterJob | psycopg.Error] = {}
        for shard in self.shards(table):
            try:
                launched[shard] = self.launch(shard.in_query(query), node=shard.node, **options)
            except psycopg.Error as error:
                launched[shard] = error
        for shard, outcome in outcomes_of(launched):
            yield shard, outcome

    def as_completed(self, jobs: Iterable[AnyJob], timeout: float | None = None) -> Yields[AnyJob]:
        """Yield jobs as they end, wherever: see `Client.as_completed`.

        Those of a node that fails come, too: their result raises `JobLost`.
        """
        return as_they_end(jobs, timeout)

    def wait_any(self, jobs: Iterable[AnyJob], timeout: float | None = None) -> AnyJob | None:
        """Wait until one of the jobs has ended, wherever: see `Client.wait_any`."""
        return first_of(jobs, timeout)

    def wait_all(
        self, jobs: Iterable[AnyClusterJob], timeout: float | None = None, *, progress: ProgressDisplay = None
    ) -> bool:
        """Wait until all of the jobs have ended, and tell whether they have: see `Client.wait_all`."""
        awaited = list(jobs)
        return have_ended(Progresses(awaited), awaited, timeout, progress)

    def backfill(
        self, statement: BackfillStatement | None = None, table: str | None = None, **given: Any
    ) -> ShardBackfill:
        """Return a backfill of a distributed table of Citus, whose jobs run where the shards are.

        Args:
            statement: and the others, as for `Client.backfill`; it is about the distributed table.
        """
        from ..backfill.shards import ShardBackfill

        return ShardBackfill(self, statement, table, **given)

    # ---- inside

    def _up(self) -> list[Node]:
        """Return the nodes that answer.

        Raises:
            psycopg.OperationalError: none does.
        """
        up = [node for node in self.nodes if node.look()]
        if not up:
            reasons = "; ".join(f"{node.name}: {node.error}" for node in self.nodes)
            raise psycopg.OperationalError(f"no node of the cluster can be reached: {reasons}")
        return up

    def _least_loaded(self) -> Node:
        return min(self._up(), key=lambda node: node.load)

    def _made(self, node: Node, handle: Handle, factory: RowFactory[Any] | None = None) -> AnyClusterJob:
        return ClusterJob(node, node.client.session, handle, factory or self._row_factory)

    def _start(
        self,
        node: Node,
        query: Query,
        params: Params | None,
        row_factory: RowFactory[Any] | None,
        **options: Any,
    ) -> AnyClusterJob:
        factory = row_factory or self._row_factory

        def make(*given: Any, **more: Any) -> AnyClusterJob:
            return ClusterJob(node, *given, **more)

        try:
            job: Any = start(node.client.session, query, params, factory, make=make, **options)
        except psycopg.OperationalError as error:
            if is_of_connection(error):
                node.answers()
                # The type is kept: it tells whether there may be a job.
                error.args = (f"node {node.name}: {error}",)
            raise
        node.note_launch()
        return job  # type: ignore[no-any-return]


def _nodes_of(dsn: str, parameters: dict[str, Any]) -> list[Any]:
    """Return what a server's catalogue of nodes has.

    Raises:
        psycopg.ProgrammingError: it has none.
    """
    connection = psycopg.Connection.connect(dsn, autocommit=True, **with_patience(dsn, parameters))
    try:
        cursor = connection.execute(NODES)
        return cursor.fetchall()
    except psycopg.errors.UndefinedTable as error:
        raise no_citus(error) from error
    finally:
        connection.close()
