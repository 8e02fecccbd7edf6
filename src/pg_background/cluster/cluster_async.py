"""A client of many servers: places jobs on them, and waits for all in one way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.rows import AsyncRowFactory, tuple_row

from ..client.acompat import AYields
from ..client.bars import ProgressDisplay
from ..client.client_async import AsyncClient
from ..client.launching_async import start
from ..client.many_async import CONCURRENCY, AnyJob, as_they_end, first_of, have_ended, results_in_order
from ..client.model import Handle, Stats
from ..client.query import Params, Query
from ..client.result import Result
from .handles import NODES, SHARDS, NodeHandle, Origin, Shard, named, no_citus, of_citus, with_patience
from .job_async import AnyClusterJob, AsyncClusterJob, AsyncClusterListedJob, is_of_connection
from .node_async import AsyncNode
from .outcomes_async import AsyncProgresses, outcomes_of

if TYPE_CHECKING:
    from typing import Self

    from ..backfill.backfill_async import BackfillStatement
    from ..backfill.shards_async import AsyncShardBackfill


class AsyncCluster:
    """Launches jobs on any of several servers, and finds those of others: `AsyncClient` for a cluster.

    A job is launched on the least loaded node that answers, or on `node`. Of a node that fails the jobs are
    `JobLost`; the others go on. Made by `connect`.

    Attributes:
        nodes: all of them, whether they answer or not.
    """

    def __init__(
        self, nodes: Sequence[AsyncNode], *, row_factory: AsyncRowFactory[Any] | None = None
    ) -> None:
        """
        Args:
            nodes: closed with the cluster.
            row_factory: of psycopg; makes the rows of jobs that have no other.
        """
        self.nodes = tuple(nodes)
        self._row_factory: AsyncRowFactory[Any] = tuple_row if row_factory is None else row_factory
        self._by_name: dict[str | int, AsyncNode] = {node.name: node for node in nodes}
        for node in nodes:
            if node.number is not None:
                # As text too, as in a handle that was written down.
                self._by_name[node.number] = self._by_name[str(node.number)] = node

    @classmethod
    async def connect(
        cls, origin: Origin = "", *, row_factory: AsyncRowFactory[Any] | None = None, **parameters: Any
    ) -> AsyncCluster:
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
            found = of_citus(origin, await _nodes_of(origin, parameters))
        else:
            found = [(None, name, dsn) for name, dsn in named(origin).items()]
        cluster = cls(
            [
                AsyncNode(name, number, AsyncClient(dsn, **with_patience(dsn, parameters)))
                for number, name, dsn in found
            ],
            row_factory=row_factory,
        )
        try:
            await cluster._up()
        except BaseException:
            await cluster.close()
            raise
        return cluster

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End all waits, and the connections; jobs go on."""
        for node in self.nodes:
            await node.client.close()

    def node(self, name: str | int) -> AsyncNode:
        """Return a node by its name, or by its number in pg_dist_node.

        Raises:
            KeyError: there is none.
        """
        return self._by_name[name]

    # ---- one job

    async def launch(
        self,
        query: Query,
        params: Params | None = None,
        *,
        node: str | int | None = None,
        row_factory: AsyncRowFactory[Any] | None = None,
        **options: Any,
    ) -> AnyClusterJob:
        """Start a job, and return at once.

        Args:
            query: and `params`, `row_factory`, `options`, as for `AsyncClient.launch`.
            node: where; by default the least loaded that answers.

        Raises:
            KeyError: there is no such node.
            psycopg.OperationalError: no node can be reached. `ConnectionLost`: the connection broke during
                the launch, so that there may be a job; it is not launched a second time.
            psycopg.Error: the server refused it.
        """
        place = await self._least_loaded() if node is None else self.node(node)
        return await self._start(place, query, params, row_factory, **options)

    async def submit(self, query: Query, params: Params | None = None, **options: Any) -> AnyClusterJob:
        """Start a job whose rows nobody wants: they are dropped at their source. Otherwise as `launch`."""
        return await self.launch(query, params, discard_result=True, **options)

    async def run(
        self, query: Query, params: Params | None = None, *, progress: ProgressDisplay = None, **options: Any
    ) -> Result[Any]:
        """Launch a job and return its rows; an interruption cancels it. Otherwise as `launch`."""
        async with await self.launch(query, params, **options) as job:
            return await job.result(progress=progress)

    async def run_script(
        self, script: Query, *, progress: ProgressDisplay = None, **options: Any
    ) -> Result[Any]:
        """Run statements on one node, each in a transaction of its own: see `AsyncClient.run_script`."""
        return await self.run(script, progress=progress, each_statement=True, **options)

    def attach(
        self,
        handle: NodeHandle | tuple[str | int, int, int],
        *,
        row_factory: AsyncRowFactory[Any] | None = None,
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

    async def launch_all(
        self, query: Query, params: Params | None = None, **options: Any
    ) -> dict[str, AnyClusterJob | psycopg.Error]:
        """Start a job on each node; return these by the nodes' names, or why there is none.

        Args:
            query: and the others, as for `launch`.
        """
        launched: dict[str, AnyClusterJob | psycopg.Error] = {}
        for node in self.nodes:
            try:
                launched[node.name] = await self.launch(query, params, node=node.name, **options)
            except psycopg.Error as error:
                launched[node.name] = error
        return launched

    async def jobs(self) -> list[AsyncClusterListedJob]:
        """Return the jobs of all nodes that answer, as far as this role may see them.

        Those that do not answer have an `error` afterwards, see `nodes`.
        """
        found: list[AsyncClusterListedJob] = []
        for node in self.nodes:
            if await node.answers():
                attach = partial(self._made, node)
                infos = await node.client.session.jobs()
                found += [AsyncClusterListedJob.on(node, info, attach) for info in infos]
        return found

    async def stats(self) -> dict[str, Stats]:
        """Return the counters of the cluster's session on each node that answers, by its name."""
        return {node.name: await node.client.stats() for node in self.nodes if await node.answers()}

    async def shards(self, table: str) -> list[Shard]:
        """Return the shards of a distributed table of Citus, each with its node.

        Args:
            table: its name, as SQL writes it.

        Raises:
            psycopg.Error: the server knows no such table, or is in no Citus cluster.
        """
        node = (await self._up())[0]
        async with node.client.session.connection() as connection:
            rows = await (await connection.execute(SHARDS, [table])).fetchall()
        return [Shard(number, name, f"{host}:{port}") for number, host, port, name in rows]

    # ---- many jobs

    def map(
        self,
        query: Query,
        params: Iterable[Any],
        *,
        concurrency: int = CONCURRENCY,
        row_factory: AsyncRowFactory[Any] | None = None,
        **options: Any,
    ) -> AYields[Result[Any]]:
        """Run a query once for each params, each on the least loaded node: see `AsyncClient.map`.

        Args:
            concurrency: how many jobs run at once on all nodes together, at most.

        Raises:
            ValueError: concurrency is not positive.
            psycopg.Error: as `launch` and `AsyncClusterJob.result`.
        """
        if concurrency < 1:
            raise ValueError("concurrency must be at least 1")
        options.setdefault("on_full", "queue")
        return results_in_order(
            lambda values: self.launch(query, values, row_factory=row_factory, **options), params, concurrency
        )

    async def map_nodes(
        self, query: Query, params: Params | None = None, **options: Any
    ) -> AYields[tuple[str, Result[Any] | psycopg.Error]]:
        """Run a query on each node; yield the nodes' names and the results, or errors, as the jobs end."""
        async for name, outcome in outcomes_of(await self.launch_all(query, params, **options)):
            yield name, outcome

    async def map_shards(
        self, query: sql.SQL, table: str, **options: Any
    ) -> AYields[tuple[Shard, Result[Any] | psycopg.Error]]:
        """Run a query on each shard of a distributed table, where it is; yield the results as the jobs end.

        A shard that has moved meanwhile has an error, mostly UndefinedTable: it can be asked for again.

        Args:
            query: with `{shard}` for the shard. It should only read: a write would bypass Citus.
            table: its name, as SQL writes it.
            options: as for `launch`; jobs for which a node has no worker are queued there.
        """
        options.setdefault("on_full", "queue")
        launched: dict[Shard, AnyClusterJob | psycopg.Error] = {}
        for shard in await self.shards(table):
            try:
                launched[shard] = await self.launch(shard.in_query(query), node=shard.node, **options)
            except psycopg.Error as error:
                launched[shard] = error
        async for shard, outcome in outcomes_of(launched):
            yield shard, outcome

    def as_completed(self, jobs: Iterable[AnyJob], timeout: float | None = None) -> AYields[AnyJob]:
        """Yield jobs as they end, wherever: see `AsyncClient.as_completed`.

        Those of a node that fails come, too: their result raises `JobLost`.
        """
        return as_they_end(jobs, timeout)

    async def wait_any(self, jobs: Iterable[AnyJob], timeout: float | None = None) -> AnyJob | None:
        """Wait until one of the jobs has ended, wherever: see `AsyncClient.wait_any`."""
        return await first_of(jobs, timeout)

    async def wait_all(
        self, jobs: Iterable[AnyClusterJob], timeout: float | None = None, *, progress: ProgressDisplay = None
    ) -> bool:
        """Wait until all of the jobs have ended, and tell whether they have: see `AsyncClient.wait_all`."""
        awaited = list(jobs)
        return await have_ended(AsyncProgresses(awaited), awaited, timeout, progress)

    def backfill(
        self, statement: BackfillStatement | None = None, table: str | None = None, **given: Any
    ) -> AsyncShardBackfill:
        """Return a backfill of a distributed table of Citus, whose jobs run where the shards are.

        Args:
            statement: and the others, as for `AsyncClient.backfill`; it is about the distributed table.
        """
        from ..backfill.shards_async import AsyncShardBackfill

        return AsyncShardBackfill(self, statement, table, **given)

    # ---- inside

    async def _up(self) -> list[AsyncNode]:
        """Return the nodes that answer.

        Raises:
            psycopg.OperationalError: none does.
        """
        up = [node for node in self.nodes if await node.look()]
        if not up:
            reasons = "; ".join(f"{node.name}: {node.error}" for node in self.nodes)
            raise psycopg.OperationalError(f"no node of the cluster can be reached: {reasons}")
        return up

    async def _least_loaded(self) -> AsyncNode:
        return min(await self._up(), key=lambda node: node.load)

    def _made(
        self, node: AsyncNode, handle: Handle, factory: AsyncRowFactory[Any] | None = None
    ) -> AnyClusterJob:
        return AsyncClusterJob(node, node.client.session, handle, factory or self._row_factory)

    async def _start(
        self,
        node: AsyncNode,
        query: Query,
        params: Params | None,
        row_factory: AsyncRowFactory[Any] | None,
        **options: Any,
    ) -> AnyClusterJob:
        factory = row_factory or self._row_factory

        def make(*given: Any, **more: Any) -> AnyClusterJob:
            return AsyncClusterJob(node, *given, **more)

        try:
            job: Any = await start(node.client.session, query, params, factory, make=make, **options)
        except psycopg.OperationalError as error:
            if is_of_connection(error):
                await node.answers()
                # The type is kept: it tells whether there may be a job.
                error.args = (f"node {node.name}: {error}",)
            raise
        node.note_launch()
        return job  # type: ignore[no-any-return]


async def _nodes_of(dsn: str, parameters: dict[str, Any]) -> list[Any]:
    """Return what a server's catalogue of nodes has.

    Raises:
        psycopg.ProgrammingError: it has none.
    """
    connection = await psycopg.AsyncConnection.connect(dsn, autocommit=True, **with_patience(dsn, parameters))
    try:
        cursor = await connection.execute(NODES)
        return await cursor.fetchall()
    except psycopg.errors.UndefinedTable as error:
        raise no_citus(error) from error
    finally:
        await connection.close()
