"""`pg-background top` on several servers, some of which do not answer."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from pg_background import Cluster
from pg_background.cluster.node_job import NodeJob
from pg_background.top import ClusterSource, SourceError, TopApp
from pg_background.watching import SourceLost

from ..support.fix_cluster import Nodes, OnNodes
from ..support.jobs import FOREVER
from ..support.screens import confirmed, shows
from ..support.terminal_top import leaves_top


async def test_jobs_of_all_nodes(plain_nodes: Nodes, cluster: Cluster) -> None:
    """A cancel reaches the job on its node; a node that is down is told, and the rest is shown."""
    jobs = {name: cluster.launch(FOREVER, node=name, label=f"seen on {name}") for name in ("one", "two")}
    app = TopApp(ClusterSource(plain_nodes.by_name()), interval=0.2)
    async with app.run_test(size=(160, 40), notifications=True) as pilot:
        await shows(pilot, app, lambda text: "3 nodes: one, two, three" in text and "seen on two" in text)
        await pilot.press("slash", *"seen on two", "enter")
        await shows(pilot, app, lambda text: "seen on one" not in text)
        await pilot.press("enter")
        await shows(pilot, app, lambda text: FOREVER in text.partition("SQL")[2])
        await pilot.press("escape")
        await confirmed(pilot, app, "c")
        await asyncio.to_thread(jobs["two"].wait)
        await pilot.press("escape")
        with plain_nodes.down(3):
            await shows(pilot, app, lambda text: "2 of 3 nodes" in text and "three does not answer: " in text)
            await shows(pilot, app, lambda text: "seen on one" in text)
    assert jobs["two"].last_state == "canceled"
    jobs["one"].cancel()


async def test_a_server_that_does_not_answer(plain_nodes: Nodes) -> None:
    """It costs the others one short wait; what it answers later is taken."""
    silent = asyncio.Event()
    held: list[asyncio.StreamWriter] = []

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)
        await silent.wait()

    listening = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    source = ClusterSource(
        {"one": plain_nodes.dsns()[0], "mute": f"host=127.0.0.1 port={port}"}, patience=0.5
    )
    for _ in range(2):
        snapshot = await source.poll()
        while "one" in snapshot.missing:
            snapshot = await source.poll()
        assert snapshot.nodes == ("one", "mute")
        assert str(snapshot.missing["mute"]) == "no answer for 0.5 s"
        assert isinstance(snapshot.missing["mute"], SourceLost)
    # Asked once, and not once a poll.
    assert len(held) == 1
    silent.set()
    for writer in held:
        writer.close()
    await source.close()
    listening.close()


async def test_no_server_answers(plain_nodes: Nodes) -> None:
    source = ClusterSource({"a": "host=/nowhere", "b": "host=/nowhere/else"})
    with pytest.raises(SourceLost, match=r"a: .*; b: "):
        await source.poll()
    await source.close()
    source = ClusterSource({"a": "host=/nowhere", "b": plain_nodes[0].dsn("template1")})
    with pytest.raises(SourceError, match="extension") as caught:
        await source.poll()
    assert not isinstance(caught.value, SourceLost)
    await source.close()


async def test_a_job_that_is_on_no_node(plain_nodes: Nodes, cluster: Cluster) -> None:
    job = cluster.launch(FOREVER, node="two")
    source = ClusterSource(plain_nodes.by_name())
    with pytest.raises(SourceError, match=f"no node that answers has the job with PID {job.pid}"):
        await source.cancel(job.handle, 0)
    seen = await source.poll()
    (found,) = [each for each in seen.jobs if each.handle == job.handle]
    assert isinstance(found, NodeJob)
    assert found.node_handle == job.node_handle
    assert (await source.inspect(job.handle)).sql == FOREVER
    await source.cancel(job.handle, 0)
    await asyncio.to_thread(job.wait)
    await source.close()


def test_command_on_a_terminal(bgs: OnNodes) -> None:
    leaves_top(partial(bgs.cli.start, "top", *bgs.which, "--interval", "0.2"), "3 nodes: one, two, three")
