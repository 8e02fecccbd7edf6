"""The command line where a server says nothing any more, while its machine keeps the connections."""

from __future__ import annotations

import json
import re
import signal
import subprocess

from ..support.calls import value
from ..support.fix_cluster import Nodes, OnNodes
from ..support.jobs import FOREVER
from ..support.waiting import wait_until


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Return its exit code, output and errors."""
    output, errors = process.communicate(timeout=100)
    return process.returncode, output, errors


def is_waiting(nodes: Nodes, node: int) -> bool:
    """Whether a command has begun to ask a node again and again for the end of jobs."""
    asked = """
        SELECT count(*) > 0 FROM pg_stat_activity
        WHERE application_name = 'pg-background' AND query LIKE '%o.state IS NULL OR%'"""
    with nodes.connect(node) as conn:
        return bool(value(conn, asked))


def test_run_that_is_interrupted(bgs: OnNodes, plain_nodes: Nodes) -> None:
    """It ends, cancels what it can, and says what it can't."""
    process = bgs.cli.start("run", *bgs.which, "--all-nodes", "--label", "left", FOREVER)
    wait_until(lambda: all(is_waiting(plain_nodes, node) for node in (1, 2, 3)))
    with plain_nodes.frozen(2):
        process.send_signal(signal.SIGINT)
        code, output, errors = ended(process)
        assert (code, output) == (130, "")
        assert sorted(re.findall(r"canceled job (\w+)/", errors)) == ["one", "three"]
        assert re.search(r"^can't cancel job two/\d+:\d+, which may go on: no answer", errors, re.MULTILINE)
        assert "closing connection" not in errors
    assert plain_nodes.states("left")[::2] == [["canceled"]] * 2


def test_a_wait_with_a_limit(bgs: OnNodes, plain_nodes: Nodes) -> None:
    """It is over when its time is."""
    (endless,) = bgs.handles("launch", "--node", "two", FOREVER)
    (quick,) = bgs.handles("launch", "--node", "one", "SELECT 1")
    process = bgs.cli.start("wait", *bgs.which, "--timeout", "4", endless, quick)
    wait_until(lambda: is_waiting(plain_nodes, 2) or process.poll() is not None)
    with plain_nodes.frozen(2):
        code, output, errors = ended(process)
    assert (code, output) == (4, f"{quick} done\n")
    assert errors == "1 of 2 jobs have not ended in 4 s, and go on\n"


def test_ps_again_and_again(bgs: OnNodes, plain_nodes: Nodes) -> None:
    """The others are shown without it, and Ctrl-C ends it."""
    process = bgs.cli.start("ps", *bgs.which, "--all", "--watch", "--interval", "0.1", "--jsonl")
    assert process.stdout is not None
    bgs.handles("launch", "--node", "one", FOREVER)
    process.stdout.readline()
    with plain_nodes.frozen(3):
        seen: set[str] = set()
        while not {"one", "three"} <= seen:
            row = json.loads(process.stdout.readline())
            if (row["node"] == "three") == (row["state"] == "unreachable"):
                seen.add(row["node"])
            assert row["state"] != "unreachable" or row["error_message"] == "no answer for 2 s"
        process.send_signal(signal.SIGINT)
        code, _, errors = ended(process)
    assert (code, errors) == (130, "interrupted\n")
