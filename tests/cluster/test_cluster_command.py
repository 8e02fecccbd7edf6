"""The command line on several servers: all says of which it is, and one that is down costs no other."""

from __future__ import annotations

import csv
import io
import json
import re
import signal
from typing import Any

import psycopg
import pytest

from ..support.calls import value
from ..support.fix_cluster import NAMES, Nodes, OnNodes
from ..support.jobs import FOREVER
from ..support.waiting import wait_until

PORT = "SELECT current_setting('port')::int AS port"


def rows_of(text: str) -> list[dict[str, Any]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_node_that_is_down(bgs: OnNodes, plain_nodes: Nodes) -> None:
    """It is told and is an exit code, and the others do what they are told."""
    kept = dict(handle.split("/") for handle in bgs.handles("launch", "--all-nodes", "SELECT 7 AS n"))
    endless = bgs.handles("launch", "--node", "two", FOREVER, "--label", "down")
    with plain_nodes.down(3):
        done = bgs("run", "--all-nodes", "--csv", "SELECT 1 AS n")
        assert (done.code, done.output) == (3, "node,n\none,1\ntwo,1\n")
        assert done.errors.startswith("error: node three: can't connect: ")
        done = bgs("run", "--csv", "SELECT 1 AS n")
        assert (done.code, done.output) == (0, "node,n\none,1\n")
        assert done.errors.startswith("node three is passed over: can't connect: ")
        assert bgs("run", "--node", "three", "SELECT 1").code == 3

        done = bgs("ps", "--json")
        assert done.code == 3
        listed = {row["node"]: row for row in json.loads(done.output)}
        assert listed["two"]["handle"] == endless[0]
        assert (listed["three"]["state"], listed["three"]["handle"]) == ("unreachable", None)
        assert "connection" in listed["three"]["error_message"]
        done = bgs("ps")
        assert done.code == 3
        assert re.search(r"^three +unreachable ", done.output, re.MULTILINE)

        done = bgs("wait", f"three/{kept['three']}", f"one/{kept['one']}")
        assert (done.code, done.output) == (3, f"one/{kept['one']} done\n")
        assert bgs("result", f"three/{kept['three']}").code == 3
        done = bgs("cancel", "--label", "down")
        assert (done.code, done.output) == (3, f"{endless[0]}\n")
        assert done.errors.startswith("error: node three: can't connect: ")
        assert bgs("wait", *endless).output == f"{endless[0]} canceled\n"
        done = bgs("detach", f"three/{kept['three']}", f"two/{kept['two']}")
        assert (done.code, done.output) == (3, "")

        done = bgs("drain", "--timeout", "0")
        assert done.code == 3
        assert done.output == (
            "one: finished: 0, canceled: 0, running: 0\n"
            "two: finished: 0, canceled: 0, running: 0\n"
            "three: not drained\n"
        )
        done = bgs("drain", "--resume")
        assert done.code == 3
        assert sorted(re.findall(r"node (\w+): jobs can be launched again", done.errors)) == ["one", "two"]

        done = bgs("doctor")
        assert done.code == 1
        assert re.search(r"^FAIL  three connection: can't connect: ", done.output, re.MULTILINE)
        assert "OK    two trial job: SELECT 1 ran in the background" in done.output
    with plain_nodes.connect(2) as conn, pytest.raises(psycopg.errors.UndefinedObject):
        conn.execute("SELECT pg_background_detach(%s, %s)", kept["two"].split(":"))


def test_no_node_answers(bgs: OnNodes) -> None:
    nowhere = ("--server", "a=host=/nowhere", "--server", "b=host=/nowhere/else")
    for words in (
        ("run", "SELECT 1"),
        ("run", "--all-nodes", "SELECT 1"),
        ("ps",),
        ("wait", "a/1:2"),
        ("cancel", "--all"),
        ("drain",),
    ):
        done = bgs.cli.inside(words[0], *nowhere, *words[1:])
        assert done.code == 3, words
        assert "can't connect" in done.errors or "no node answers" in done.errors
    done = bgs.cli.inside("run", "--all-nodes", "--json", *nowhere, "SELECT 1")
    assert (done.code, done.output) == (3, "")


# ---- handles


def test_handles_go_from_command_to_command(bgs: OnNodes) -> None:
    handles = bgs.handles("launch", "--all-nodes", "--label", "everywhere", "SELECT 1 AS n")
    assert [handle.split("/")[0] for handle in handles] == sorted(NAMES)
    done = bgs("wait", *handles)
    assert sorted(done.output.splitlines()) == [f"{handle} done" for handle in handles]
    listed = rows_of(bgs("ps", "--all", "--csv").output)
    assert sorted(row["handle"] for row in listed if row["label"] == "everywhere") == handles
    shown = json.loads(bgs("show", "--json", handles[0]).output)
    assert (shown[0]["node"], shown[0]["handle"]) == ("one", handles[0])
    assert bgs("show", handles[0]).output.startswith("node       one\n")
    for handle in handles:
        name = handle.split("/")[0]
        assert bgs("result", "--csv", handle).output == f"node,n\n{name},1\n"
    done = bgs("result", handles[0])
    assert done.code == 5
    assert done.errors.startswith("error: node one: the job with PID")


def test_handles_in_each_form(bgs: OnNodes) -> None:
    for form in ("{0}/{1}:{2}", "({0},{1},{2})", "{0}|{1}|{2}", " {0}/{1}:{2} ", "{0}, {1}, {2}"):
        (handle,) = bgs.handles("launch", "--node", "two", "SELECT 1")
        node, pid, cookie = re.split("[/:]", handle)
        assert bgs("detach", form.format(node, pid, cookie)).code == 0, form
    (handle,) = bgs.handles("launch", "--node", "two", "SELECT 1")
    # As two columns of ps; and with the node as an option.
    assert bgs("wait", *handle.split("/")).output == f"{handle} done\n"
    assert bgs("detach", "--node", "two", handle.split("/")[1]).code == 0


def test_handles_and_their_nodes(bgs: OnNodes, plain_nodes: Nodes) -> None:
    for words, said in (
        (("wait", "1:2"), "1:2 lacks its node: write NODE/PID:COOKIE"),
        (("cancel", "four/1:2"), "there is no node four: they are one, two, three"),
        (("run", "--node", "four", "SELECT 1"), "there is no node four"),
        (("run", "--all-nodes", "--node", "one", "SELECT 1"), "--all-nodes and --node exclude each other"),
        (("backfill", "--name", "x", "--report"), "a table is on one server"),
        (("ps", "--cluster"), "--cluster and --server exclude each other"),
        (("ps", "--host", "x"), "name servers by --server, or one by DSN"),
    ):
        done = bgs(*words)
        assert (done.code, done.output) == (2, ""), words
        assert said in " ".join(done.errors.split())
    for words, said in (
        (("wait", "one/1:2"), "one/1:2 names a node: say --cluster"),
        (("ps", "--node", "one"), "--node needs --cluster or --server"),
        (("launch", "--all-nodes", "SELECT 1"), "--all-nodes needs --cluster or --server"),
    ):
        done = bgs.cli.inside(*words, "--dbname", plain_nodes.dsns()[0])
        assert (done.code, done.output) == (2, ""), words
        assert said in " ".join(done.errors.split())
    # What is typed wins over what the environment says.
    done = bgs.cli.inside(
        "ps", "--csv", plain_nodes.dsns()[0], PG_BACKGROUND_SERVER="a=x", PG_BACKGROUND_NODE="a"
    )
    assert (done.code, done.output.split(",")[0]) == (0, "handle")


def test_wait_over_nodes(bgs: OnNodes) -> None:
    (endless,) = bgs.handles("launch", "--node", "one", FOREVER, "--label", "endless")
    (quick,) = bgs.handles("launch", "--node", "three", "SELECT 1")
    (failed,) = bgs.handles("submit", "--node", "two", "SELECT 1 / 0")
    assert bgs("wait", "--any", endless, quick).output == f"{quick} done\n"
    done = bgs("wait", "--timeout", "0.1", endless, quick)
    assert (done.code, done.output) == (4, f"{quick} done\n")
    assert bgs("wait", quick, failed).code == 1
    assert bgs("wait", quick, "two/4711:12345").code == 5
    assert bgs("cancel", endless, "three/4711:12345").code == 5
    assert bgs("wait", endless).output == f"{endless} canceled\n"


def test_cancel_by_label_and_all(bgs: OnNodes, plain_nodes: Nodes) -> None:
    labelled = bgs.handles("launch", "--all-nodes", "--label", "report 1", FOREVER)
    others = bgs.handles("launch", "--all-nodes", "--label", "kept", FOREVER)
    done = bgs("cancel", "--label", "report %", "--node", "two")
    assert (done.code, done.output) == (0, f"{labelled[2]}\n")
    assert sorted(bgs("cancel", "--label", "report %").output.split()) == labelled[:2]
    assert (
        bgs("cancel", "--label", "report %").errors == "no job that this role may cancel has such a label\n"
    )
    assert plain_nodes.states("kept") == [["running"]] * 3
    assert sorted(bgs("cancel", "--all").output.split()) == others
    assert bgs("wait", *others).code == 1
    assert plain_nodes.states("kept") == [["canceled"]] * 3


# ---- ps, drain


def test_ps_of_all_and_of_some(bgs: OnNodes) -> None:
    bgs.handles("launch", "--all-nodes", "--label", "listed", FOREVER)
    lines = bgs("ps").output.splitlines()
    assert lines[0].split()[:3] == ["NODE", "HANDLE", "STATE"]
    assert [line.split()[0] for line in lines[1:] if "listed" in line] == list(NAMES)
    found = rows_of(bgs("ps", "--csv", "--node", "two").output)
    assert {row["node"] for row in found} == {"two"}


def test_ps_again_and_again(bgs: OnNodes) -> None:
    """Until it is told to stop."""
    handles = bgs.handles("launch", "--all-nodes", "--label", "watched", FOREVER)
    process = bgs.cli.start("ps", *bgs.which, "--watch", "--interval", "0.1", "--jsonl")
    assert process.stdout is not None
    seen = [json.loads(process.stdout.readline())["handle"] for _ in range(6)]
    assert sorted(seen) == sorted([*handles, *handles])
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "interrupted\n")


def test_drain_of_one_and_of_all(bgs: OnNodes, plain_nodes: Nodes) -> None:
    handles = bgs.handles("launch", "--all-nodes", "--label", "drained", FOREVER)
    done = bgs("drain", "--timeout", "0.01", "--node", "two")
    assert (done.code, done.output) == (0, "two: finished: 0, canceled: 1, running: 0\n")
    assert "jobs are refused" in done.errors
    assert bgs("run", "--node", "two", "SELECT 1").code == 6
    assert bgs("run", "--node", "one", "SELECT 1").code == 0
    done = bgs("drain", "--timeout", "0.01")
    assert done.code == 0
    assert re.findall(r"(\w+): finished: 0, canceled: (\d), running: 0", done.output) == [
        ("one", "1"),
        ("two", "0"),
        ("three", "1"),
    ]
    assert bgs("drain", "--resume").code == 0
    assert bgs("wait", *handles).code == 1
    assert bgs("run", "--all-nodes", "SELECT 1").code == 0


def test_drain_that_is_interrupted(bgs: OnNodes, plain_nodes: Nodes) -> None:
    """Jobs go on: no server waits any more for the time when it would cancel them."""
    bgs.handles("launch", "--all-nodes", "--label", "goes on", FOREVER)
    process = bgs.cli.start("drain", *bgs.which, "--timeout", "3000")
    waiting = (
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%drain\\_server(%'"
    )

    def drains() -> list[Any]:
        found = []
        for node in (1, 2, 3):
            with plain_nodes.connect(node) as conn:
                found.append(value(conn, waiting + " AND pid <> pg_backend_pid()"))
        return found

    wait_until(lambda: drains() == [1, 1, 1])
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (130, "")
    assert "jobs are refused" in errors
    wait_until(lambda: drains() == [0, 0, 0])
    assert plain_nodes.states("goes on") == [["running"]] * 3


# ---- a cluster


@pytest.mark.contrib("dblink")
def test_the_nodes_of_a_cluster(bgc: OnNodes, nodes: Nodes) -> None:
    """Named by any of them; each has a name and a number."""
    there = list(nodes.ports().values())
    rows = json.loads(bgc("run", "--all-nodes", "--json", PORT).output)
    assert [row["port"] for row in rows] == there
    assert all(row["node"].endswith(f":{row['port']}") for row in rows)
    (handle,) = bgc.handles("launch", "--node", "3", PORT)
    node, _, rest = handle.rpartition("/")
    assert node == rows[2]["node"]
    done = bgc("result", "--csv", f"3/{rest}")
    assert (done.code, done.output) == (0, f"node,port\n{node},{there[2]}\n")
    # What SQL has launched, as it prints it.
    with nodes.connect(options="-c search_path=elsewhere") as conn:
        text = value(
            conn, "SELECT ROW(node, pid, cookie)::text FROM cluster_launch('SELECT 42', nodes => '{2}')"
        )
    assert bgc("result", "--csv", text).output.endswith(",42\n")


@pytest.mark.contrib("dblink")
def test_no_cluster(bgc: OnNodes, nodes: Nodes) -> None:
    for command, code in (("ps", 6), ("doctor", 1)):
        done = bgc.cli.inside(command, "--cluster", nodes[0].dsn("postgres"))
        assert done.code == code
        assert "the database is no node of a Citus cluster" in done.output + done.errors
        done = bgc.cli.inside(command, "--cluster", "--host", "/nowhere")
        assert done.code == (3 if command == "ps" else 1)
        assert "can't connect" in done.output + done.errors


@pytest.mark.contrib("dblink")
def test_metrics_of_a_cluster(bgc: OnNodes, nodes: Nodes) -> None:
    done = bgc("exporter", "--once")
    assert (done.code, done.errors) == (0, "")
    up = re.findall(r'pg_background_up\{server="[^"]*:(\d+)"\} 1', done.output)
    assert [int(port) for port in up] == list(nodes.ports().values())
