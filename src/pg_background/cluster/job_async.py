"""A job on a node of a cluster: any job, whose errors name the node."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import psycopg

from ..client.acompat import AYields
from ..client.bars import ProgressDisplay
from ..client.errors import ConnectionLost, JobLost
from ..client.job_async import AsyncJob
from ..client.listed_async import AsyncListedJob
from ..client.model import Handle, JobColumn, JobInfo, JobState, Progress
from ..client.result import Result
from ..client.variables import Row
from .handles import NodeHandle
from .node_async import AsyncNode


class AsyncClusterJob(AsyncJob[Row]):
    """A job of a cluster. If its node can't be reached any more, it is `JobLost`, with the node's name.

    It pickles to its handle with the node, which `AsyncCluster.attach` takes in another process.

    Attributes:
        node: where it runs.
    """

    def __init__(self, node: AsyncNode, *given: Any, **options: Any) -> None:
        """
        Args:
            given: and `options`, what `AsyncJob` takes.
        """
        super().__init__(*given, **options)
        self.node = node

    @property
    def node_handle(self) -> NodeHandle:
        """What identifies it in the cluster."""
        return NodeHandle(self.node.name, *self.handle)

    @property
    async def state(self) -> JobState:
        """See `AsyncJob.state`."""
        async with telling_node(self.node):
            return await super().state

    @property
    async def progress(self) -> Progress:
        """See `AsyncJob.progress`."""
        async with telling_node(self.node):
            return await super().progress

    async def wait(self, timeout: float | None = None, *, progress: ProgressDisplay = None) -> bool:
        """See `AsyncJob.wait`."""
        async with telling_node(self.node):
            return await super().wait(timeout, progress=progress)

    async def result(self, timeout: float | None = None, *, progress: ProgressDisplay = None) -> Result[Row]:
        """See `AsyncJob.result`."""
        async with telling_node(self.node):
            return await super().result(timeout, progress=progress)

    async def exception(self, timeout: float | None = None) -> Exception | None:
        """See `AsyncJob.exception`."""
        async with telling_node(self.node):
            found = await super().exception(timeout)
        if isinstance(found, JobLost):
            name(found, self.node)
        return found

    async def cancel(self, grace: float = 0) -> None:
        """See `AsyncJob.cancel`."""
        async with telling_node(self.node):
            await super().cancel(grace)

    async def detach(self) -> None:
        """See `AsyncJob.detach`."""
        async with telling_node(self.node):
            await super().detach()

    async def describe(self) -> tuple[JobColumn, ...]:
        """See `AsyncJob.describe`."""
        async with telling_node(self.node):
            return await super().describe()

    async def is_over_soon(self) -> bool:
        """See `AsyncJob.is_over_soon`."""
        async with telling_node(self.node):
            return await super().is_over_soon()

    async def _pages(self, size: int) -> AYields[list[Row]]:
        async with telling_node(self.node):
            async for page in super()._pages(size):
                yield page

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return NodeHandle, tuple(self.node_handle)

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]} on {self.node.name}>"


AnyClusterJob: TypeAlias = AsyncClusterJob[Any]


class AsyncClusterListedJob(AsyncListedJob):
    """A job as a cluster's `jobs()` found it, on the node that it names."""

    node: AsyncNode

    @classmethod
    def on(
        cls, node: AsyncNode, info: JobInfo, attach: Callable[[Handle], AsyncJob[Any]]
    ) -> AsyncClusterListedJob:
        """Return the job of a node's list."""
        made = cls.of(info, attach)
        # No field: it is nothing that the node's list tells.
        object.__setattr__(made, "node", node)
        return made


@asynccontextmanager
async def telling_node(node: AsyncNode) -> AsyncIterator[None]:
    """Name the node where a job is lost; and take it for lost if its node does not answer any more."""
    try:
        yield
    except JobLost as error:
        name(error, node)
        raise
    except psycopg.OperationalError as error:
        if not is_of_connection(error) or await node.answers():
            raise
        lost = JobLost(f"it can't be reached, and whether the job goes on is not known: {error}")
        name(lost, node)
        raise lost from error


def name(error: JobLost, node: AsyncNode) -> None:
    """Say in an error which node it is about, once."""
    if error.node is None:
        error.node = node.name
        error.args = (f"node {node.name}: {error}",)


def is_of_connection(error: psycopg.OperationalError) -> bool:
    """Tell an error of the connection from a job's, which has a code."""
    return isinstance(error, ConnectionLost) or error.sqlstate is None
