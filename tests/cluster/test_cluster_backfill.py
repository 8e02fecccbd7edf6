# Made from test_cluster_backfill_async.py by tools/async_to_sync.py: edit that one.
"""A backfill by shards, on stand-ins of Citus: each shard's jobs run on its node, also after it has moved."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pg_background import BackfillError, Cluster

from ..support.fix_cluster import Nodes

pytestmark = pytest.mark.contrib("dblink")

#: Citus' catalogue of one table, `events`, with a shard on each node, and one more on the first.
CATALOGUE = """
SET allow_system_table_mods = on;
CREATE TABLE public.pg_dist_placement (shardid int8, groupid int);
INSERT INTO public.pg_dist_placement VALUES (101, 0), (102, 1), (103, 2), (104, 0);
ALTER TABLE public.pg_dist_placement SET SCHEMA pg_catalog;
CREATE VIEW public.citus_shards AS
  SELECT 'public.events'::regclass AS table_name, p.shardid, 'events_' || p.shardid AS shard_name,
    n.nodename, n.nodeport
  FROM pg_catalog.pg_dist_placement AS p JOIN pg_catalog.pg_dist_node AS n USING (groupid);
ALTER VIEW public.citus_shards SET SCHEMA pg_catalog;
CREATE VIEW public.citus_tables AS
  SELECT 'public.events'::regclass AS table_name, 'id'::text AS distribution_column;
ALTER VIEW public.citus_tables SET SCHEMA pg_catalog;
"""

#: On each node the distributed table is what stands in for Citus: it leads to the shards that are there.
EVENTS = "CREATE TABLE events (id int PRIMARY KEY, times int NOT NULL)"
SHARD = (
    "ALTER TABLE events_{0} ADD PRIMARY KEY (id); ALTER TABLE events_{0} INHERIT events; ANALYZE events_{0}"
)
COUNT = "UPDATE events SET times = times + 1 WHERE {range}"


def make_shard(nodes: Nodes, number: int, node: int) -> None:
    """Make a shard of 300 rows."""
    with nodes.connect(node) as conn:
        rows = f"SELECT n + {number * 1000} AS id, 0 AS times FROM generate_series(1, 300) AS n"
        conn.execute(f"CREATE TABLE events_{number} AS {rows}".encode())
        conn.execute(f"ALTER TABLE events_{number} ALTER times SET NOT NULL".encode())
        conn.execute(SHARD.format(number).encode())


def times(nodes: Nodes) -> dict[int, list[Any]]:
    """Return for each node how often its rows were changed, with their number."""
    found = {}
    for node in (1, 2, 3):
        with nodes.connect(node) as conn:
            found[node] = conn.execute("SELECT times, count(*) FROM events GROUP BY 1 ORDER BY 1").fetchall()
    return found


def move(nodes: Nodes, number: int, before: int, after: int) -> None:
    """Move a shard, as Citus does: its rows are copied, and the metadata of all nodes changes."""
    with nodes.connect(before) as old, nodes.connect(after) as new:
        rows = old.execute(f"SELECT id, times FROM events_{number}".encode()).fetchall()
        new.execute(f"CREATE TABLE events_{number} (LIKE events INCLUDING CONSTRAINTS)".encode())
        with new.cursor() as cursor:
            cursor.executemany(f"INSERT INTO events_{number} VALUES (%s, %s)".encode(), rows)
        new.execute(SHARD.format(number).encode())
        old.execute(f"DROP TABLE events_{number}".encode())
    nodes.everywhere(
        "SET allow_system_table_mods = on;"
        f"UPDATE pg_catalog.pg_dist_placement SET groupid = {after - 1} WHERE shardid = {number}"
    )


@pytest.fixture(autouse=True)
def events(nodes: Nodes) -> Iterator[None]:
    """The distributed table."""
    nodes.everywhere(EVENTS)
    nodes.everywhere(CATALOGUE)
    for number, node in ((101, 1), (102, 2), (103, 3), (104, 1)):
        make_shard(nodes, number, node)
    yield
    nodes.everywhere(
        "SET allow_system_table_mods = on; DROP VIEW pg_catalog.citus_shards, pg_catalog.citus_tables;"
        " DROP TABLE pg_catalog.pg_dist_placement; DROP TABLE events CASCADE;"
        " DROP TABLE IF EXISTS pg_background_backfill_range, pg_background_backfill"
    )


def test_each_shard_on_its_node(nodes: Nodes) -> None:
    with Cluster.connect(nodes.dsns()[0]) as cluster:
        fill = cluster.backfill(COUNT, "events", batch_size=100, jobs=2)
        plan = fill.plan()
        assert (len(plan.shards), plan.estimated_rows, list(plan.key)) == (4, 1200, ["id"])
        report = fill.run()
        assert (report.state, report.rows, report.ranges_done) == ("done", 1200, 12)
        assert report.is_complete
        assert times(nodes) == {1: [(1, 600)], 2: [(1, 300)], 3: [(1, 300)]}
        # Each node has noted what was done there.
        for node, shards in ((1, {"101", "104"}), (2, {"102"}), (3, {"103"})):
            with nodes.connect(node) as conn:
                found = conn.execute("SELECT part FROM pg_background_backfill").fetchall()
                assert {part for (part,) in found} == shards
        assert cluster.backfill(name="events").forget()
        with pytest.raises(BackfillError, match="no backfill"):
            cluster.backfill(name="events").report()


def test_a_shard_that_moves(nodes: Nodes) -> None:
    moves: list[int] = []

    def meddle(progress: Any) -> None:
        if progress.ranges_done == 5 and not moves:
            moves.append(103)
            move(nodes, 103, 3, 2)

    with Cluster.connect(nodes.dsns()[0]) as cluster:
        report = cluster.backfill(COUNT, "events", batch_size=50).run(progress=meddle)
        assert moves == [103]
        assert (report.is_complete, report.rows, report.ranges_failed) == (True, 1200, 0)
        assert times(nodes) == {1: [(1, 600)], 2: [(1, 600)], 3: []}


def test_stopped_moved_there_and_back(nodes: Nodes) -> None:
    with Cluster.connect(nodes.dsns()[0]) as cluster:

        def stop(progress: Any) -> None:
            for node in (1, 2, 3):
                with nodes.connect(node) as conn:
                    conn.execute("UPDATE pg_background_backfill SET state = 'stopping'")

        def stop_once(progress: Any) -> None:
            if progress.ranges_done == 12:
                stop(progress)

        report = cluster.backfill(COUNT, "events", batch_size=10).run(progress=stop_once)
        assert report.state == "stopped"
        move(nodes, 102, 2, 3)
        half = report.ranges_done + 12

        def stop_later(progress: Any) -> None:
            if progress.ranges_done == 12:
                stop(progress)

        report = cluster.backfill(name="events").resume(progress=stop_later)
        assert report.ranges_done >= half
        move(nodes, 102, 3, 2)
        report = cluster.backfill(name="events", batch_size=100).resume()
        assert (report.is_complete, report.rows) == (True, 1200)
        assert times(nodes) == {1: [(1, 600)], 2: [(1, 300)], 3: [(1, 300)]}


def test_what_has_failed_moved_there_and_back(nodes: Nodes) -> None:
    """It is taken along, and not left behind for when the shard is back."""
    nodes.everywhere("ALTER TABLE events ADD CHECK (times < 1 OR id <> 102150)")
    with Cluster.connect(nodes.dsns()[0]) as cluster:
        report = cluster.backfill(COUNT, "events", batch_size=100).run()
        assert [error.part for error in report.errors] == ["102"]
        move(nodes, 102, 2, 3)
        report = cluster.backfill(name="events").resume()
        assert [error.part for error in report.errors] == ["102"]
        move(nodes, 102, 3, 2)
        nodes.everywhere("ALTER TABLE events DROP CONSTRAINT events_check")
        # What was moved has one of its own, too.
        with nodes.connect(2) as conn:
            conn.execute("ALTER TABLE events_102 DROP CONSTRAINT events_check")
        report = cluster.backfill(name="events").resume()
        assert (report.is_complete, report.rows) == (True, 1200)
        assert times(nodes) == {1: [(1, 600)], 2: [(1, 300)], 3: [(1, 300)]}


def test_errors_and_what_was_not_begun(nodes: Nodes) -> None:
    nodes.everywhere("ALTER TABLE events ADD CHECK (times < 1 OR id <> 102150)")
    with Cluster.connect(nodes.dsns()[0]) as cluster:
        report = cluster.backfill(COUNT, "events", batch_size=100).run()
        assert [(error.part, error.sqlstate) for error in report.errors] == [("102", "23514")]
        nodes.everywhere("ALTER TABLE events DROP CONSTRAINT events_check")
        assert (cluster.backfill(name="events").resume()).is_complete
        with nodes.connect(3) as conn:
            conn.execute("UPDATE pg_background_backfill SET state = 'planned'")
        with pytest.raises(BackfillError, match="not begun on all nodes"):
            cluster.backfill(name="events").resume()
        with pytest.raises(BackfillError, match="one column"):
            cluster.backfill(COUNT, "events", key=["id", "times"]).plan()
