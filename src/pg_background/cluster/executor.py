"""A concurrent.futures.Executor whose workers are those of all nodes of a cluster."""

from __future__ import annotations

from typing import Any

from ..client.executor import Executor
from ..client.variables import Row
from .cluster import Cluster


class ClusterExecutor(Executor[Row]):
    """Runs queries as jobs on whichever node is the least loaded, or on that of the option `node`.

    Otherwise as `Executor`. Where a node fails, the futures of its jobs have `JobLost` with its name; the
    others go on, and what is submitted afterwards runs elsewhere.
    """

    @staticmethod
    def _connect(origin: Any, **parameters: Any) -> Any:
        return Cluster.connect(origin, **parameters)
