# Made from job_async.py by tools/async_to_sync.py: edit that one.
"""A job on a node of a cluster: any job, whose errors name the node."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import psycopg

from ..client.acompat import Yields
from ..client.bars import ProgressDisplay
from ..client.errors import ConnectionLost, JobLost
from ..client.job import Job
from ..client.listed import ListedJob
from ..client.model import Handle, JobColumn, JobInfo, JobState, Progress
from ..client.result import Result
from ..client.variables import Row
from .handles import NodeHandle
from .node import Node


class ClusterJob(Job[Row]):
    """A job of a cluster. If its node can't be reached any more, it is `JobLost`, with the node's name.

    It pickles to its handle with the node, which `Cluster.attach` takes in another process.

    Attributes:
        node: where it runs.
    """

    def __init__(self, node: Node, *given: Any, **options: Any) -> None:
        """
        Args:
            given: and `options`, what `Job` takes.
        """
        super().__init__(*given, **options)
        self.node = node

    @property
    def node_handle(self) -> NodeHandle:
        """What identifies it in the cluster."""
        return NodeHandle(self.node.name, *self.handle)

    @property
    def state(self) -> JobState:
        """See `Job.state`."""
        with telling_node(self.node):
            return super().state

    @property
    def progress(self) -> Progress:
        """See `Job.progress`."""
        with telling_node(self.node):
            return super().progress

    def wait(self, timeout: float | None = None, *, progress: ProgressDisplay = None) -> bool:
        """See `Job.wait`."""
        with telling_node(self.node):
            return super().wait(timeout, progress=progress)

    def result(self, timeout: float | None = None, *, progress: ProgressDisplay = None) -> Result[Row]:
        """See `Job.result`."""
        with telling_node(self.node):
            return super().result(timeout, progress=progress)

    def exception(self, timeout: float | None = None) -> Exception | None:
        """See `Job.exception`."""
        with telling_node(self.node):
            found = super().exception(timeout)
        if isinstance(found, JobLost):
            name(found, self.node)
        return found

    def cancel(self, grace: float = 0) -> None:
        """See `Job.cancel`."""
        with telling_node(self.node):
            super().cancel(grace)

    def detach(self) -> None:
        """See `Job.detach`."""
        with telling_node(self.node):
            super().detach()

    def describe(self) -> tuple[JobColumn, ...]:
        """See `Job.describe`."""
        with telling_node(self.node):
            return super().describe()

    def is_over_soon(self) -> bool:
        """See `Job.is_over_soon`."""
        with telling_node(self.node):
            return super().is_over_soon()

    def _pages(self, size: int) -> Yields[list[Row]]:
        with telling_node(self.node):
            yield from super()._pages(size)

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return NodeHandle, tuple(self.node_handle)

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]} on {self.node.name}>"


AnyClusterJob: TypeAlias = ClusterJob[Any]


class ClusterListedJob(ListedJob):
    """A job as a cluster's `jobs()` found it, on the node that it names."""

    node: Node

    @classmethod
    def on(cls, node: Node, info: JobInfo, attach: Callable[[Handle], Job[Any]]) -> ClusterListedJob:
        """Return the job of a node's list."""
        made = cls.of(info, attach)
        # No field: it is nothing that the node's list tells.
        object.__setattr__(made, "node", node)
        return made


@contextmanager
def telling_node(node: Node) -> Iterator[None]:
    """Name the node where a job is lost; and take it for lost if its node does not answer any more."""
    try:
        yield
    except JobLost as error:
        name(error, node)
        raise
    except psycopg.OperationalError as error:
        if not is_of_connection(error) or node.answers():
            raise
        lost = JobLost(f"it can't be reached, and whether the job goes on is not known: {error}")
        name(lost, node)
        raise lost from error


def name(error: JobLost, node: Node) -> None:
    """Say in an error which node it is about, once."""
    if error.node is None:
        error.node = node.name
        error.args = (f"node {node.name}: {error}",)


def is_of_connection(error: psycopg.OperationalError) -> bool:
    """Tell an error of the connection from a job's, which has a code."""
    return isinstance(error, ConnectionLost) or error.sqlstate is None
