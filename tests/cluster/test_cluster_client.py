# Made from test_cluster_client_async.py by tools/async_to_sync.py: edit that one.
"""Clients of three servers: where jobs go, what they give, and what becomes of them when a node goes."""

from __future__ import annotations

import pickle

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

import pg_background as bg
from pg_background import Client, Cluster, JobLost, NodeHandle

from ..support.fix_cluster import Nodes
from ..support.jobs import Gate

PORT = "SELECT current_setting('port')"
SLOW = "SELECT pg_sleep(3600)"


def test_a_job_is_a_job(cluster: Cluster) -> None:
    job = cluster.launch("SELECT %s::int AS n, 'x' AS t", [5], label="anywhere", row_factory=dict_row)
    assert job.wait()
    assert job.state == "stopped"
    assert (job.result()).one() == {"n": 5, "t": "x"}
    assert job.node.name in repr(job)
    assert (cluster.run("SELECT 7")).value() == 7
    assert (cluster.run_script("SELECT 1; SELECT 8")).value() == 8
    assert ((cluster.submit("SELECT 9")).result()).rowcount == 1
    with pytest.raises(psycopg.errors.DivisionByZero):
        cluster.run("SELECT 1 / 0")
    big = cluster.launch("SELECT generate_series(1, 5)")
    assert [len(page) for page in big.fetch(2)] == [2, 2, 1]


def test_on_the_node_that_is_named(cluster: Cluster, plain_nodes: Nodes) -> None:
    for name, server in zip(("one", "two", "three"), plain_nodes, strict=True):
        assert (cluster.run(PORT, node=name)).value() == server.execute("SHOW port")
    with pytest.raises(KeyError):
        cluster.launch(PORT, node="four")


def test_on_the_least_loaded(cluster: Cluster) -> None:
    """One after the other as long as all are equal, and past one that is busy."""
    equal = [cluster.launch(SLOW) for _ in range(3)]
    try:
        assert {job.node.name for job in equal} == {"one", "two", "three"}
        busy = [cluster.launch(SLOW, node="two") for _ in range(4)]
        equal += busy
        later = [cluster.launch(SLOW) for _ in range(4)]
        equal += later
        assert {job.node.name for job in later} == {"one", "three"}
        # others see it too
        assert cluster.node("two").answers()
        assert cluster.node("two").load > cluster.node("one").load
    finally:
        for job in equal:
            job.discard()


def test_on_all_nodes(cluster: Cluster, plain_nodes: Nodes) -> None:
    jobs = cluster.launch_all(PORT, label="on all")
    ports = []
    for job in jobs.values():
        assert not isinstance(job, Exception)
        ports.append((job.result()).value())
    assert ports == [server.execute("SHOW port") for server in plain_nodes]
    found = dict(cluster.map_nodes("SELECT 1 / (%s::int)", [0]))
    assert {name: type(error) for name, error in found.items()} == dict.fromkeys(
        ("one", "two", "three"), psycopg.errors.DivisionByZero
    )


def test_listed_and_canceled(cluster: Cluster) -> None:
    launched = cluster.launch_all(SLOW, label="listed")
    listed = [job for job in cluster.jobs() if job.label == "listed" and job.state != "canceled"]
    assert [job.node.name for job in listed] == [*launched]
    for found in listed:
        found.cancel()
        assert isinstance(found.exception(), bg.JobCancelled)
    assert {*cluster.stats()} == {"one", "two", "three"}


def test_many_over_all_nodes(cluster: Cluster) -> None:
    doubled = [result.value() for result in cluster.map("SELECT %s * 2", range(12), concurrency=5)]
    assert doubled == [n * 2 for n in range(12)]
    with pytest.raises(psycopg.errors.DivisionByZero):
        list(cluster.map("SELECT 1 / (%s::int)", [1, 0]))
    slow = cluster.launch(SLOW, node="one")
    quick = [cluster.launch("SELECT 1", node=name) for name in ("two", "three")]
    ended = cluster.as_completed([slow, *quick])
    assert {next(ended), next(ended)} == {*quick}
    ended.close()
    assert cluster.wait_any([slow, quick[0]]) is quick[0]
    assert not cluster.wait_all([slow, *quick], timeout=0.1)
    slow.cancel()
    assert cluster.wait_all([slow, *quick], progress=lambda job, progress: None)


def test_handles_name_their_node(cluster: Cluster, plain_nodes: Nodes) -> None:
    job = cluster.launch("SELECT 'from afar'", node="three")
    handle = pickle.loads(pickle.dumps(job))
    assert handle == NodeHandle("three", *job.handle)
    with Cluster.connect(plain_nodes.by_name()) as another:
        assert (another.attach(handle).result()).value() == "from afar"
    with pytest.raises(JobLost, match="node three: the server does not know") as lost:
        cluster.attach(handle).result()
    assert lost.value.node == "three"


def test_a_node_that_fails(plain_nodes: Nodes) -> None:
    """Its jobs are lost, the others go on, and so does the cluster, with it again when it is back."""
    with Cluster.connect(plain_nodes.by_name()) as cluster:
        lost = cluster.launch(SLOW, node="three")
        unread = cluster.launch("SELECT 1", node="three")
        unread.wait()
        sessions = {"one": plain_nodes.connect(1), "two": plain_nodes.connect(2)}
        kept = []
        for name, session in sessions.items():
            gate = Gate(session)
            gate.close()
            kept.append(cluster.launch(f"{gate.sql}, 1 AS n", node=name))
        with sessions["one"], sessions["two"], plain_nodes.down(3):
            seen = []
            for job in cluster.as_completed([lost, *kept]):
                seen.append(job)
                if job is lost:
                    for session in sessions.values():
                        session.close()
            assert {*seen} == {lost, *kept}
            assert seen[0] is lost
            for job in (lost, unread):
                with pytest.raises(JobLost, match="node three: it can't be reached") as error:
                    job.result()
                assert error.value.node == "three"
                assert isinstance(_exception(job), JobLost)
            assert [(job.result()).one()[1] for job in kept] == [1, 1]
            placed = [cluster.launch("SELECT 1") for _ in range(4)]
            assert {job.node.name for job in placed} == {"one", "two"}
            launched = cluster.launch_all("SELECT 1")
            assert [isinstance(job, psycopg.OperationalError) for job in launched.values()] == [
                False,
                False,
                True,
            ]
            assert {job.node.name for job in cluster.jobs()} == {"one", "two"}
            assert isinstance(cluster.node("three").error, psycopg.OperationalError)
            assert [result.value() for result in cluster.map("SELECT %s::int", [1, 2, 3])] == [1, 2, 3]


def _exception(job: bg.Job[object]) -> Exception | None:
    try:
        return job.exception()
    except JobLost as error:
        return error


def test_no_node_at_all(cluster: Cluster) -> None:
    with pytest.raises(psycopg.OperationalError, match="no node of the cluster can be reached: nowhere:"):
        Cluster.connect({"nowhere": "host=/nonexistent port=1"})
    with pytest.raises(ValueError, match="at least one node"):
        Cluster.connect([])
    with pytest.raises(ValueError, match="same host"):
        Cluster.connect(["host=a", "host=a"])


@pytest.mark.contrib("dblink")
def test_from_a_coordinator(nodes: Nodes) -> None:
    with Cluster.connect(nodes.dsns()[1]) as cluster:
        assert [node.number for node in cluster.nodes] == [1, 2, 3]
        assert (cluster.run(PORT, node=3)).value() == nodes[2].execute("SHOW port")
        with nodes.connect(options="-c search_path=elsewhere") as conn:
            (handle,) = conn.execute(
                "SELECT node, pid, cookie FROM cluster_launch('SELECT 42', nodes => '{3}')"
            ).fetchall()
        assert (cluster.attach(handle).result()).value() == 42


@pytest.mark.contrib("dblink")
def test_over_shards(nodes: Nodes) -> None:
    with Cluster.connect(nodes.dsns()[0]) as cluster:
        with nodes.connect() as conn:
            conn.execute('CREATE TABLE orders (); CREATE SCHEMA "My shop"; CREATE TABLE "My shop".orders ()')
            conn.execute("SET allow_system_table_mods = on")
            conn.execute(
                "CREATE VIEW citus_shards AS SELECT c.oid::regclass AS table_name, n.nodeid + 100 AS shardid,"
                "   CASE WHEN c.relnamespace <> 'public'::regnamespace THEN '\"My shop\".' ELSE '' END"
                "     || c.relname || '_' || n.nodeid + 100 AS shard_name, n.nodename, n.nodeport"
                " FROM pg_dist_node AS n, pg_class AS c WHERE c.relname = 'orders'"
            )
            conn.execute("ALTER VIEW citus_shards SET SCHEMA pg_catalog")
        try:
            for number, server in enumerate(nodes, 101):
                with server.connect(nodes.database) as conn:
                    conn.execute('CREATE SCHEMA IF NOT EXISTS "My shop"')
                    for name in (f"public.orders_{number}", f'"My shop".orders_{number}'):
                        conn.execute(f"CREATE TABLE {name} AS SELECT {number} AS id".encode())
            query = sql.SQL("SELECT sum(id) FROM {shard}")
            for table in ("orders", '"My shop".orders'):
                found = {shard.number: got for shard, got in cluster.map_shards(query, table)}
                values = {number: got.value() for number, got in found.items() if isinstance(got, bg.Result)}
                assert values == {101: 101, 102: 102, 103: 103}
            nodes[2].execute("DROP TABLE orders_103", nodes.database)
            moved = {shard.number: got for shard, got in cluster.map_shards(query, "orders")}
            assert isinstance(moved[103], psycopg.errors.UndefinedTable)
            assert isinstance(moved[102], bg.Result)
        finally:
            with nodes.connect() as conn:
                conn.execute(
                    "SET allow_system_table_mods = on; DROP VIEW pg_catalog.citus_shards; DROP TABLE orders"
                )
            nodes.everywhere(
                'DROP SCHEMA "My shop" CASCADE; DROP TABLE IF EXISTS orders_101, orders_102, orders_103'
            )


def test_a_coordinator_without_citus(template: str, plain_nodes: Nodes) -> None:
    with pytest.raises(psycopg.ProgrammingError, match="no node of a Citus cluster"):
        Cluster.connect(plain_nodes[0].dsn(template))


def test_a_role_without_the_registry(plain_nodes: Nodes) -> None:
    for server in plain_nodes:
        server.execute("CREATE ROLE plain LOGIN IN ROLE pgbackground_role")
    try:
        with Cluster.connect(plain_nodes.dsns(), user="plain") as cluster:
            jobs = [cluster.launch(SLOW) for _ in range(3)]
            assert len({job.node.name for job in jobs}) == 3
            assert cluster.nodes[0].answers()
            assert cluster.nodes[0].load > 0
            for job in jobs:
                job.discard()
    finally:
        for server in plain_nodes:
            server.execute("DROP ROLE plain")


def test_a_client_beside(cluster: Cluster, plain_nodes: Nodes) -> None:
    """A node's client is one as any other."""
    client = cluster.node("two").client
    assert isinstance(client, Client)
    assert (client.run(PORT)).value() == plain_nodes[1].execute("SHOW port")
