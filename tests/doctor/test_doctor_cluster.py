"""What the doctor makes of Citus on a server, and of several servers together."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pg_background.doctor import Finding, Grade, ServerInfo, examine, examine_cluster
from pg_background.doctor.server_info import Setting

from ..support.fix_cli import Cli
from ..support.fix_cluster import Nodes, OnNodes
from ..support.fix_server import FreshServer
from .test_doctor import BARE, WELL, found, with_settings

#: The numbers are those of PostgreSQL and Citus themselves.
CITUS = with_settings(
    replace(WELL, cluster_extensions={"citus": "13.2-1"}),
    max_connections=Setting("100"),
    superuser_reserved_connections=Setting("3"),
    max_replication_slots=Setting("10"),
    max_wal_senders=Setting("10"),
    max_logical_replication_workers=Setting("4"),
    wal_level=Setting("logical"),
    max_worker_processes=Setting("14"),
    pg_background__max_workers=Setting("6"),
    citus__max_background_task_executors=Setting("4"),
    citus__max_adaptive_executor_pool_size=Setting("16"),
)

CASES: dict[str, tuple[ServerInfo, str, str, str]] = {
    "room for Citus' workers": (CITUS, "worker slots", "OK", "jobs may take 6 of 14"),
    "a worker for each database": (
        replace(CITUS, databases=3),
        "worker slots",
        "WARN",
        "jobs may take 4 of 14 (max_worker_processes), and one session alone may want 6",
    ),
    "no room for Citus' workers": (
        with_settings(CITUS, pg_background__max_total_workers="11"),
        "worker slots",
        "WARN",
        "replication, and for the 5 that Citus may need, as for moves of shards; fix: "
        "pg_background.max_total_workers = 0, or max_worker_processes = 19 and a restart",
    ),
    "moves": (CITUS, "shard moves", "OK", "1 at once"),
    "moves that stop writes": (
        with_settings(CITUS, wal_level="replica"),
        "shard moves",
        "WARN",
        "replica: while a shard is moved or split nobody can write to it; fix: wal_level = logical",
    ),
    "slots that others use": (
        replace(CITUS, used_slots=10, used_senders=9),
        "shard moves",
        "WARN",
        "max_replication_slots = 10 (10 in use); fix: max_replication_slots = 11 and a restart",
    ),
    "many moves at once": (
        with_settings(
            replace(CITUS, used_senders=2), citus__max_background_task_executors_per_node=Setting("9")
        ),
        "shard moves",
        "WARN",
        "9 at once: max_wal_senders = 10 (2 in use), max_logical_replication_workers = 4 (0 in use); "
        "fix: max_wal_senders = 11, max_logical_replication_workers = 9 and a restart",
    ),
    "connections": (
        CITUS,
        "connections",
        "OK",
        "jobs at once may open 16 (citus.max_adaptive_executor_pool_size) each to a node, 96 together",
    ),
    "too many connections": (
        with_settings(CITUS, max_worker_processes="26"),
        "connections",
        "WARN",
        "288 together, and there are 97 (max_connections); fix: citus.max_adaptive_executor_pool_size = 5, "
        "or pg_background.max_total_workers = 6, or citus.max_shared_pool_size = 97",
    ),
    "connections that Citus limits": (
        with_settings(CITUS, max_worker_processes="26", citus__max_shared_pool_size=Setting("90")),
        "connections",
        "OK",
        "90 together, and there are 97",
    ),
    "a limit that is none": (
        with_settings(CITUS, max_worker_processes="26", citus__max_shared_pool_size=Setting("-1")),
        "connections",
        "WARN",
        "288 together",
    ),
}


@pytest.mark.parametrize(("info", "check", "grade", "text"), CASES.values(), ids=[*CASES])
def test_finding(info: ServerInfo, check: str, grade: str, text: str) -> None:
    finding = found(info, check)
    assert finding.grade.value == grade
    assert text in str(finding)


def test_nothing_is_said_of_citus_where_it_is_not() -> None:
    for server in (WELL, BARE):
        assert not {"shard moves", "connections"} & {finding.check for finding in examine(server)}


def together(**servers: ServerInfo) -> dict[str, Finding]:
    return {finding.check: finding for finding in examine_cluster(servers)}


def test_servers_that_are_alike() -> None:
    findings = together(a=CITUS, b=CITUS)
    assert {check: finding.text for check, finding in findings.items()} == {
        "versions": "PostgreSQL 18.6 on all 2 that answer",
        "extensions": "citus 13.2-1, pg_background 3.0 on all 2 that answer",
        "connections": "the jobs of all nodes may open 192 to each, and a takes 97 (max_connections)",
    }
    assert findings["connections"].grade is Grade.WARN
    assert "on each node citus.max_shared_pool_size = 48" in findings["connections"].fix
    assert together(a=WELL, b=WELL).keys() == {"versions", "extensions"}
    assert together() == {}


def test_servers_that_differ() -> None:
    older = replace(WELL, version="17.9", major=17, extension=None)
    findings = together(a=WELL, b=older, c=WELL)
    assert findings["versions"].grade is findings["extensions"].grade is Grade.WARN
    assert findings["versions"].text == "PostgreSQL 18.6 on a, c; PostgreSQL 17.9 on b"
    assert findings["extensions"].text == "pg_background 3.0 on a, c; none on b"


def test_what_is_set_for_citus_is_seen(cli: Cli, fresh_server: FreshServer) -> None:
    """As the server does, which leaves room for what is set."""
    server = fresh_server(
        {
            "max_worker_processes": 20,
            "citus.max_background_task_executors": 4,
            "citus.max_adaptive_executor_pool_size": 32,
            "wal_level": "replica",
            "max_connections": 60,
        }
    )
    databases = int(server.execute("SELECT count(*) FROM pg_database WHERE datallowconn") or 0)
    done = cli.inside("doctor", server.dsn())
    jobs = 20 - 3 - 4 - databases
    assert f"worker slots: jobs may take {jobs} of 20" in done.output
    assert f"connections: {jobs} jobs at once may open 32 " in done.output
    assert "shard moves: wal_level = replica" in done.output


def test_each_server_and_all_together(bgs: OnNodes, plain_nodes: Nodes) -> None:
    """A line says of which it is; what one lacks is its own failure, and the exit code."""
    done = bgs("doctor")
    assert done.code == 0, done.output
    for line in done.output.splitlines():
        assert line.split()[0] in ("OK", "WARN")
        assert line.split(maxsplit=1)[1].startswith(("one ", "two ", "three ", "all nodes "))
    assert "OK    all nodes extensions: pg_background" in done.output
    with plain_nodes.connect(2) as conn:
        conn.execute("GRANT EXECUTE ON FUNCTION pg_background_stats() TO PUBLIC")
    try:
        done = bgs("doctor")
    finally:
        with plain_nodes.connect(2) as conn:
            conn.execute("REVOKE EXECUTE ON FUNCTION pg_background_stats() FROM PUBLIC")
    assert done.code == 1
    assert [line.split()[1] for line in done.output.splitlines() if line.startswith("FAIL")] == ["two"]
    done = bgs("doctor", "--node", "one", "--node", "three")
    assert done.code == 0
    assert "two" not in {line.split()[1] for line in done.output.splitlines()}
