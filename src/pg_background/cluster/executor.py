"""A concurrent.futures.Executor whose workers are those of all nodes of a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from ..client.executor import Executor, JobFuture
from ..client.query import Params, Query
from .cluster import Cluster
from .handles import Origin

if TYPE_CHECKING:
    from psycopg.rows import RowFactory


class ClusterExecutor(Executor[Any]):
    """Runs queries as jobs on whichever node is the least loaded, or on the one that is named.

    Otherwise as `Executor`. Where a node fails, the futures of its jobs have `JobLost` with its name; the
    others go on, and what is submitted afterwards runs elsewhere.
    """

    def __init__(
        self,
        origin: Origin = "",
        max_workers: int = 8,
        *,
        row_factory: RowFactory[Any] | None = None,
        **parameters: Any,
    ) -> None:
        """
        Args:
            origin: as for `Cluster.connect`.
            max_workers: jobs at once, on all nodes together; the others wait here.
            row_factory: of psycopg; makes the rows.
            parameters: as for `Cluster.connect`.

        Raises:
            ValueError: max_workers is not positive.
            psycopg.Error: as `Cluster.connect`.
        """
        super().__init__(cast(Any, origin), max_workers, row_factory=cast(Any, row_factory), **parameters)

    @staticmethod
    def _connect(origin: Any, **parameters: Any) -> Any:
        return Cluster.connect(origin, **parameters)

    def submit(  # type: ignore[override]
        self, query: Query, params: Params | None = None, /, *, node: str | int | None = None, **options: Any
    ) -> JobFuture[Any]:
        """Run a query when there is room, and return the future of its rows: see `Executor.submit`.

        Args:
            node: where; by default the least loaded when it is launched.
        """
        return super().submit(query, params, **cast(Any, {"node": node, **options}))
