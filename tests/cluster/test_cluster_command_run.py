"""`run` on several servers: on one, some or all of them; each row says of which it is."""

from __future__ import annotations

import csv
import io
import json
import re
import signal
from typing import Any

from ..support.calls import value
from ..support.fix_cluster import NAMES, Nodes, OnNodes
from ..support.jobs import FOREVER
from ..support.waiting import wait_until

PORT = "SELECT current_setting('port')::int AS port"


def rows_of(text: str) -> list[dict[str, Any]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_run_on_all_nodes(bgs: OnNodes, plain_nodes: Nodes) -> None:
    there = plain_nodes.ports()
    done = bgs("run", "--all-nodes", "--json", PORT)
    assert (done.code, done.errors) == (0, "")
    assert json.loads(done.output) == [{"node": name, "port": there[name]} for name in NAMES]
    done = bgs("run", "--all-nodes", "--csv", PORT)
    assert done.output == "node,port\n" + "".join(f"{name},{there[name]}\n" for name in NAMES)
    done = bgs("run", "--all-nodes", "--jsonl", PORT)
    assert [json.loads(line)["node"] for line in done.output.splitlines()] == list(NAMES)
    table = bgs("run", "--all-nodes", PORT).output.splitlines()
    assert table[0].split() == ["node", "|", "port"]
    assert [line.split()[0] for line in table[2:5]] == list(NAMES)
    assert table[5] == "(3 rows)"


def test_run_on_some_and_on_one(bgs: OnNodes, plain_nodes: Nodes) -> None:
    there = plain_nodes.ports()
    done = bgs("run", "--node", "three", "--node", "one", "--csv", PORT)
    assert rows_of(done.output) == [
        {"node": "three", "port": str(there["three"])},
        {"node": "one", "port": str(there["one"])},
    ]
    # What is typed wins over what the environment says.
    done = bgs("run", "--all-nodes", "--csv", PORT, PG_BACKGROUND_NODE="two")
    assert [row["node"] for row in rows_of(done.output)] == list(NAMES)
    done = bgs("run", "--csv", PORT, PG_BACKGROUND_NODE="two")
    assert [row["node"] for row in rows_of(done.output)] == ["two"]
    done = bgs("run", "--node", "two", "--csv", PORT)
    assert done.output == f"node,port\ntwo,{there['two']}\n"


def test_run_on_the_least_loaded(bgs: OnNodes) -> None:
    for name in ("one", "three"):
        bgs.handles("launch", "--node", name, FOREVER, "--label", "load")
    (row,) = json.loads(bgs("run", "--json", "SELECT 1 AS n").output)
    assert row == {"node": "two", "n": 1}
    (handle,) = bgs.handles("launch", FOREVER, "--label", "least")
    assert handle.startswith("two/")


def test_run_that_fails_on_some(bgs: OnNodes, plain_nodes: Nodes) -> None:
    """The rows of the others are printed."""
    sql = f"SELECT 1 / (current_setting('port')::int - {plain_nodes.ports()['two']}) AS n"
    done = bgs("run", "--all-nodes", "--csv", sql)
    assert done.code == 1
    assert [row["node"] for row in rows_of(done.output)] == ["one", "three"]
    assert done.errors.startswith("error: node two: division by zero (SQLSTATE 22012)\n")


def test_run_without_rows(bgs: OnNodes) -> None:
    done = bgs("run", "--all-nodes", "CREATE TEMP TABLE t AS SELECT 1")
    assert (done.code, done.output) == (0, "".join(f"node {name}: SELECT 1\n" for name in NAMES))
    done = bgs("run", "--all-nodes", "--json", "CREATE TEMP TABLE t ()")
    assert (done.code, done.output) == (0, "[]\n")
    assert done.errors == "".join(f"node {name}: CREATE TABLE\n" for name in NAMES)
    done = bgs("run", "--all-nodes", "--json", "CREATE TEMP TABLE t (); SELECT 1 AS n")
    assert [row["n"] for row in json.loads(done.output)] == [1, 1, 1]
    assert done.errors == "".join(f"node {name}: CREATE TABLE\n" for name in NAMES)


def test_notices_say_where(bgs: OnNodes) -> None:
    done = bgs("run", "--all-nodes", "DO $$ BEGIN RAISE WARNING 'hot'; END $$")
    assert done.code == 0
    assert sorted(done.errors.splitlines()) == sorted(f"warning: node {name}: hot" for name in NAMES)


def test_run_with_other_columns_on_a_node(bgs: OnNodes, plain_nodes: Nodes) -> None:
    for node in (1, 2, 3):
        with plain_nodes.connect(node) as conn:
            conn.execute(f"CREATE TABLE uneven AS SELECT 1 AS {'b' if node == 2 else 'a'}".encode())
    try:
        done = bgs("run", "--all-nodes", "--json", "TABLE uneven")
        assert [sorted(row) for row in json.loads(done.output)] == [
            ["a", "node"],
            ["b", "node"],
            ["a", "node"],
        ]
        assert bgs("run", "--all-nodes", "TABLE uneven").output.count("(1 row)") == 3
        done = bgs("run", "--all-nodes", "--csv", "TABLE uneven")
        assert done.code == 1
        assert done.output == "node,a\none,1\nthree,1\n"
        assert "node two: its columns are not those of node one" in done.errors
        # They are still there to be read, as it says.
        (words,) = re.findall(r"pg-background (result .*)", done.errors)
        assert bgs(*words.split(), "--csv").output == "node,b\ntwo,1\n"
    finally:
        plain_nodes.everywhere("DROP TABLE uneven")


def test_run_that_is_interrupted(bgs: OnNodes, plain_nodes: Nodes) -> None:
    """All of its jobs are canceled."""
    process = bgs.cli.start("run", *bgs.which, "--all-nodes", "--label", "stopped here", FOREVER)
    wait_until(lambda: plain_nodes.states("stopped here") == [["running"]] * 3)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert sorted(re.findall(r"canceled job (\w+)/", errors)) == sorted(NAMES)


def test_a_node_that_dies_meanwhile(bgs: OnNodes, plain_nodes: Nodes) -> None:
    """What the others have is printed, and how to get the rest is said."""
    elsewhere = f"current_setting('port')::int <> {plain_nodes.ports()['three']}"
    sql = f"SELECT 7 AS n WHERE {elsewhere} OR pg_sleep(3600) IS NULL"
    process = bgs.cli.start("run", *bgs.which, "--all-nodes", "--csv", "--label", "dies", sql)
    wait_until(lambda: plain_nodes.states("dies") == [["stopped"], ["stopped"], ["running"]])
    (endless,) = bgs.handles("launch", "--node", "three", FOREVER)
    (quick,) = bgs.handles("launch", "--node", "one", "SELECT 1")
    waiting = bgs.cli.start("wait", *bgs.which, endless, quick)
    with plain_nodes.connect(3) as conn:
        asked = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pg-background'"
        wait_until(lambda: value(conn, asked) == 2)
    with plain_nodes.down(3):
        output, errors = process.communicate(timeout=60)
        assert (process.returncode, output) == (3, "node,n\none,7\ntwo,7\n")
        assert "when there is a connection again: pg-background result three/" in errors
        assert "error: node three: " in errors
        output, errors = waiting.communicate(timeout=60)
        assert (waiting.returncode, output) == (3, f"{quick} done\n")
        assert "error: node three: " in errors
