"""SQL in PostgreSQL background workers.

    with pg_background.connect("postgresql://…") as client:
        job = client.launch("SELECT region, sum(amount) FROM orders WHERE year = %s GROUP BY 1", [2026])
        for row in job.result(timeout=30):
            ...

The names below are the client's public interface; docs/client.md is its guide.
"""

from __future__ import annotations

# Not from typing, which takes longer to load than all else that the command line needs to print its version.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .backfill.backfill import Backfill
    from .backfill.backfill_async import AsyncBackfill
    from .backfill.display import BackfillProgress
    from .backfill.errors import BackfillError
    from .backfill.options import BackfillOptions
    from .backfill.plan import BackfillPlan
    from .backfill.report import BackfillReport, RangeError
    from .client.client import Client
    from .client.client_async import AsyncClient
    from .client.errors import ConnectionLost, JobCancelled, JobLost, JobTimeout
    from .client.executor import Executor, JobFuture
    from .client.job import Job
    from .client.job_async import AsyncJob
    from .client.listed import ListedJob
    from .client.listed_async import AsyncListedJob
    from .client.model import Handle, JobColumn, JobInfo, JobState, Notice, Progress, Stats
    from .client.result import Result
    from .client.standbys import Standbys
    from .cluster.cluster import Cluster
    from .cluster.cluster_async import AsyncCluster
    from .cluster.executor import ClusterExecutor
    from .cluster.handles import NodeHandle

    connect = Client.connect
    __version__: str

__all__ = [
    "AsyncBackfill",
    "AsyncClient",
    "AsyncCluster",
    "AsyncJob",
    "AsyncListedJob",
    "Backfill",
    "BackfillError",
    "BackfillOptions",
    "BackfillPlan",
    "BackfillProgress",
    "BackfillReport",
    "Client",
    "Cluster",
    "ClusterExecutor",
    "ConnectionLost",
    "Executor",
    "Handle",
    "Job",
    "JobCancelled",
    "JobColumn",
    "JobFuture",
    "JobInfo",
    "JobLost",
    "JobState",
    "JobTimeout",
    "ListedJob",
    "NodeHandle",
    "Notice",
    "Progress",
    "RangeError",
    "Result",
    "Standbys",
    "Stats",
    "__version__",
    "connect",
]

#: Where the names come from: loaded when one is used, as the command line and the pytest plugin use none.
_MODULES = {
    "backfill.backfill": ("Backfill",),
    "backfill.backfill_async": ("AsyncBackfill",),
    "backfill.display": ("BackfillProgress",),
    "backfill.errors": ("BackfillError",),
    "backfill.options": ("BackfillOptions",),
    "backfill.plan": ("BackfillPlan",),
    "backfill.report": ("BackfillReport", "RangeError"),
    "client.client": ("Client",),
    "client.client_async": ("AsyncClient",),
    "client.errors": ("ConnectionLost", "JobCancelled", "JobLost", "JobTimeout"),
    "client.executor": ("Executor", "JobFuture"),
    "client.job": ("Job",),
    "client.job_async": ("AsyncJob",),
    "client.listed": ("ListedJob",),
    "client.listed_async": ("AsyncListedJob",),
    "client.model": ("Handle", "JobColumn", "JobInfo", "JobState", "Notice", "Progress", "Stats"),
    "client.result": ("Result",),
    "client.standbys": ("Standbys",),
    "cluster.cluster": ("Cluster",),
    "cluster.cluster_async": ("AsyncCluster",),
    "cluster.executor": ("ClusterExecutor",),
    "cluster.handles": ("NodeHandle",),
}

_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name == "connect":
        return __getattr__("Client").connect
    if name == "__version__":
        from importlib.metadata import version

        return version(__name__)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def load_ipython_extension(shell: Any) -> None:
    """Do what `%load_ext pg_background` is to do."""
    from .ext.ipython import load

    load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """Do what `%unload_ext pg_background` is to do."""
    from .ext.ipython import unload

    unload(shell)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
