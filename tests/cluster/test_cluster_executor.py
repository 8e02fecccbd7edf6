"""Futures over all nodes, and handles that travel between processes."""

from __future__ import annotations

import concurrent.futures
import sys

import pytest

from pg_background import Cluster, ClusterExecutor, JobLost, NodeHandle

from ..support.fix_cluster import Nodes
from ..support.waiting import wait_until


def test_futures_over_all_nodes(plain_nodes: Nodes) -> None:
    with ClusterExecutor(plain_nodes.by_name(), max_workers=6) as pool:
        futures = [pool.submit("SELECT %s * 2, pg_sleep(0.05)", [n]) for n in range(12)]
        done = concurrent.futures.as_completed(futures)
        assert sum(future.result().one()[0] for future in done) == 132
        assert [result.value() for result in pool.map("SELECT %s::int", range(4))] == [0, 1, 2, 3]
        named = pool.submit("SELECT current_setting('port')", node="three")
        assert named.result().value() == plain_nodes[2].execute("SHOW port")


def test_futures_of_a_node_that_fails(plain_nodes: Nodes) -> None:
    with ClusterExecutor(plain_nodes.by_name(), max_workers=4) as pool:
        lost = pool.submit("SELECT pg_sleep(3600)", node="two")
        kept = pool.submit("SELECT pg_sleep(0.3), 5", node="one")
        wait_until(lambda: lost.job is not None and lost.job.state == "running")
        with plain_nodes.down(2):
            with pytest.raises(JobLost, match="node two: ") as error:
                lost.result()
            assert error.value.node == "two"
            assert kept.result().one()[1] == 5
            assert [result.value() for result in pool.map("SELECT %s::int", range(4))] == [0, 1, 2, 3]


def launch(dsns: dict[str, str], query: str) -> NodeHandle:
    """Run in a worker of Dask: launch a job, and return what any other may collect it by."""
    with Cluster.connect(dsns) as cluster:
        return cluster.launch(query).node_handle


def collect(dsns: dict[str, str], handle: NodeHandle) -> tuple[str, int]:
    """Run in another: say where it ran, and what came."""
    with Cluster.connect(dsns) as cluster:
        job = cluster.attach(handle)
        return job.node.name, job.result().value()


# What Dask itself leaves open at its end.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_dask(plain_nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real cluster of two processes: a task of the one launches, a task of the other collects."""
    distributed = pytest.importorskip("distributed")
    # multiprocessing reads it, and a process of pytest-xdist has none.
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None, raising=False)
    dsns = plain_nodes.by_name()
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as local,
        distributed.Client(local) as dask,
    ):
        first, second = sorted(dask.scheduler_info()["workers"])
        handle = dask.submit(launch, dsns, "SELECT 6 * 7", workers=[first])
        answer = dask.submit(collect, dsns, handle, workers=[second])
        assert answer.result(timeout=60) == (handle.result().node, 42)
