"""`pg-background backfill --cluster`: over the shards of a distributed table, on stand-ins of Citus."""

from __future__ import annotations

import json

import pytest

from ..support.fix_cluster import Nodes, OnNodes
from .test_cluster_backfill import COUNT, events, times  # noqa: F401

pytestmark = pytest.mark.contrib("dblink")


def test_over_shards(bgc: OnNodes, nodes: Nodes) -> None:
    done = bgc("backfill", "--table", "events", "--dry-run", COUNT)
    assert (done.code, done.errors) == (0, "")
    for number in (101, 102, 103, 104):
        assert f"{number} on " in done.output
    assert times(nodes) == {1: [(0, 600)], 2: [(0, 300)], 3: [(0, 300)]}
    done = bgc(
        "backfill", "--table", "events", "--yes", "--batch-size", "100", "--jobs", "2", "--json", COUNT
    )
    assert done.code == 0, done.errors
    assert json.loads(done.output)["rows"] == 1200
    assert times(nodes) == {1: [(1, 600)], 2: [(1, 300)], 3: [(1, 300)]}
    assert "rows changed    1200" in bgc("backfill", "--name", "events", "--report").output
    assert bgc("backfill", "--name", "events", "--resume").code == 0
    assert bgc("backfill", "--name", "events", "--forget").errors == "forgotten\n"
    assert bgc("backfill", "--name", "events", "--report").code == 2


def test_over_shards_on_all_nodes_only(bgc: OnNodes) -> None:
    done = bgc("backfill", "--table", "events", "--node", "1", "--yes", COUNT)
    assert (done.code, done.output) == (2, "")
    assert "all nodes are needed" in done.errors
