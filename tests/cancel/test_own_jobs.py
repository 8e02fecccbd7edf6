"""cancel_all, detach_all, purge and cancel_by_label: over this session's jobs."""

from __future__ import annotations

import pytest

from ..support.calls import query, sqlstate, stats, value
from ..support.fix_db import Connect, Connection, MakeRole
from ..support.jobs import (
    FOREVER,
    Handle,
    closed_gate,
    launch,
    result,
    start,
    state,
    submit,
    wait,
    wait_until_asleep,
)
from ..support.outcomes import drain, handles, outcome
from ..support.waiting import wait_until
from ..support.workers import SWALLOWS_CANCELS, launch_counting

TWINS = ["", "_v2"]


def call(conn: Connection, function: str, *arguments: object) -> int:
    """Call a function that returns a count."""
    places = ", ".join(["%s"] * len(arguments))
    found = value(conn, f"SELECT pg_background_{function}({places})", *arguments)
    assert isinstance(found, int)
    return found


def states(conn: Connection, *jobs: Handle) -> list[str | None]:
    """Wait for their ends, and return their states."""
    for job in jobs:
        wait(conn, job)
    return [state(conn, job) for job in jobs]


@pytest.mark.parametrize("twin", TWINS)
def test_cancel_all(conn: Connection, connect: Connect, twin: str) -> None:
    ended = launch(conn, "SELECT 1")
    assert wait(conn, ended)
    running = [launch(conn, FOREVER), submit(conn, FOREVER), launch(conn, FOREVER, label="x")]
    other = connect()
    with closed_gate(connect()) as gate:
        others = launch(other, gate.sql)
        assert call(conn, f"cancel_all{twin}") == 3
        assert states(conn, *running) == ["canceled"] * 3
        assert state(conn, ended) == "stopped"
        assert outcome(conn, others).completed is False
    assert states(other, others) == ["stopped"]
    assert call(conn, f"cancel_all{twin}") == 0
    assert stats(conn)["canceled"] == 3


def test_cancel_all_lets_none_begin(conn: Connection) -> None:
    """A job that waits would get the worker of one that was canceled before it."""
    query(conn, "CREATE TABLE begun (n int)")
    query(conn, "SET pg_background.max_workers = 1")
    for _ in range(10):
        running = launch(conn, FOREVER)
        queued = [
            start(conn, f"INSERT INTO begun VALUES (1); {FOREVER}", each_statement=True, on_full="queue")
            for _ in range(20)
        ]
        wait_until_asleep(conn, running.pid)
        assert call(conn, "cancel_all") == 21
        assert states(conn, running, *queued) == ["canceled"] * 21
        assert call(conn, "purge") == 21
    assert value(conn, "SELECT count(*) FROM begun") == 0


@pytest.mark.parametrize("twin", TWINS)
def test_detach_all(conn: Connection, connect: Connect, twin: str) -> None:
    other = connect()
    others = launch(other, "SELECT 1")
    conn.execute("CREATE TABLE kept (a int)")
    with closed_gate(connect()) as gate:
        jobs = [launch(conn, f"{gate.sql}; INSERT INTO kept VALUES (1)") for _ in range(2)]
        ended = launch(conn, "SELECT 1")
        assert wait(conn, ended)
        assert call(conn, f"detach_all{twin}") == 3
        assert query(conn, "SELECT * FROM pg_background_list") == []
        assert call(conn, f"detach_all{twin}") == 0
    wait_until(lambda: value(conn, "SELECT count(*) FROM kept") == 2, what="both went on")
    assert [outcome(conn, job).state for job in (*jobs, ended)] == ["stopped"] * 3
    assert result(other, others, "a int") == [(1,)]


@pytest.mark.parametrize("twin", TWINS)
def test_purge(conn: Connection, connect: Connect, twin: str) -> None:
    """What has ended is detached, however it ended; what runs is kept."""
    other = connect()
    others = launch(other, "SELECT 1")
    assert wait(other, others)
    ended = [launch(conn, "SELECT 1"), launch(conn, "SELECT 1 / 0"), submit(conn, "SELECT 1")]
    states(conn, *ended)
    with closed_gate(connect()) as gate:
        running = launch(conn, f"{gate.sql}; SELECT 7")
        assert call(conn, f"purge{twin}") == 3
        assert [state(conn, job) for job in ended] == [None] * 3
        assert call(conn, f"purge{twin}") == 0
    assert result(conn, running, "a int") == [(7,)]
    assert result(other, others, "a int") == [(1,)]


@pytest.mark.parametrize("twin", TWINS)
@pytest.mark.parametrize(
    ("pattern", "hit"),
    [
        ("nightly%", {"nightly load", "nightly purge"}),
        ("nightly load", {"nightly load"}),
        ("%", {"nightly load", "nightly purge", "100%", "größe"}),
        ("100\\%", {"100%"}),
        ("gr__e", {"größe"}),
        ("NIGHTLY%", set()),
        ("", set()),
    ],
)
def test_cancel_by_label(conn: Connection, pattern: str, hit: set[str], twin: str) -> None:
    """The pattern is LIKE's; jobs without a label match none."""
    jobs = {
        label: launch(conn, FOREVER, label=label)
        for label in ("nightly load", "nightly purge", "100%", "größe", None)
    }
    assert call(conn, f"cancel_by_label{twin}", pattern) == len(hit)
    assert states(conn, *[job for label, job in jobs.items() if label in hit]) == ["canceled"] * len(hit)
    left = [job for label, job in jobs.items() if label not in hit]
    assert {outcome(conn, job).completed for job in left} == {False}
    assert call(conn, "cancel_all") == len(left)
    drain(conn, handles(*jobs.values()))


def test_cancel_by_label_of_no_pattern(conn: Connection) -> None:
    job = launch(conn, FOREVER, label="x\\y")
    assert value(conn, "SELECT pg_background_cancel_by_label(NULL)") == 0
    assert value(conn, "SELECT pg_background_cancel_by_label_v2(NULL, NULL)") == 0
    assert sqlstate(conn, "SELECT pg_background_cancel_by_label(%s)", "x\\") == "22025"
    assert outcome(conn, job).completed is False
    assert call(conn, "cancel_all") == 1


def test_cancel_by_label_leaves_ended_ones_alone(conn: Connection, connect: Connect) -> None:
    ended = launch(conn, "SELECT 1", label="mine")
    assert wait(conn, ended)
    others = launch(connect(), FOREVER, label="mine")
    assert call(conn, "cancel_by_label", "mine", 100) == 0
    assert state(conn, ended) == "stopped"
    assert outcome(conn, others).completed is False


def test_cancel_by_label_with_grace(conn: Connection) -> None:
    """One grace period for all: those that ignore the cancel end with their processes."""
    jobs = [launch_counting(conn) for _ in range(2)]
    query(conn, "SELECT pg_background_detach_all()")
    labelled = [launch(conn, SWALLOWS_CANCELS, label="deaf") for _ in range(2)]
    for job in labelled:
        wait_until_asleep(conn, job.pid)
    assert call(conn, "cancel_by_label", "deaf", 1000) == 2
    assert [state(conn, job) for job in labelled] == ["canceled"] * 2
    for job in jobs:
        query(conn, "SELECT pg_terminate_backend(%s)", job.pid)


def test_after_set_role(conn: Connection, make_role: MakeRole) -> None:
    """Only those that the current role may act on."""
    one, two = (make_role("NOLOGIN", member_of=("pgbackground_role",)) for _ in range(2))
    jobs = {}
    for role in (one, two):
        query(conn, f"SET ROLE {role}")
        jobs[role] = launch(conn, FOREVER, label="x")
    for function in ("cancel_all", "detach_all"):
        query(conn, f"SET ROLE {one}")
        assert call(conn, function) == 1
        query(conn, "RESET ROLE")
        if function == "cancel_all":
            assert states(conn, jobs[one]) == ["canceled"]
            assert outcome(conn, jobs[two]).completed is False
    assert call(conn, "cancel_by_label", "x") == 1
    assert states(conn, jobs[two]) == ["canceled"]
