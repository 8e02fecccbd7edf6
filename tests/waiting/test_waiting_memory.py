"""A wait that lasts takes no more memory: the search for deadlocks, each deadlock_timeout, leaves nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from ..support.calls import at_the_same_time, query, value, wait_until_in_extension
from ..support.fix_db import Connect, Connection
from ..support.jobs import Handle, closed_gate, launch, start
from ..support.outcomes import handles
from ..support.server import Server
from ..support.waiting import wait_until

#: Sleeps of the waiting process between the two measurements; after each it searches.
SLEEPS = 400

#: Bytes that its memory may have grown by; 400 searches take over 5 MB.
GROWTH = 500_000

WAYS: dict[str, Callable[[Handle, str], str]] = {
    "wait": lambda job, _: f"SELECT pg_background_wait({job.pid}, {job.cookie})",
    "await": lambda job, _: f"CALL pg_background_await({job.pid}, {job.cookie})",
    "result": lambda job, _: f"SELECT * FROM pg_background_result({job.pid}, {job.cookie}) AS (a text)",
    "result_json": lambda job, _: f"SELECT * FROM pg_background_result_json({job.pid}, {job.cookie})",
    "describe": lambda job, _: f"SELECT * FROM pg_background_describe({job.pid}, {job.cookie})",
    "wait_any": lambda job, _: f"SELECT pg_background_wait_any('{handles(job)}'::pg_background_handle[])",
    "drain": lambda job, _: f"SELECT pg_background_drain('{handles(job, job)}'::pg_background_handle[])",
    "run": lambda _, sql: f"SELECT pg_background_run('{sql}')",
    "run_query": lambda _, sql: f"SELECT * FROM pg_background_run_query('{sql}') AS (a text)",
    "start": lambda _, sql: f"SELECT pg_background_start('{sql}', on_full => 'wait')",
}


def memory_of(server: Server, conn: Connection, pid: int) -> int:
    """Bytes that a process uses in all its memory contexts, by its own account."""
    mark = server.log.mark()
    assert value(conn, "SELECT pg_log_backend_memory_contexts(%s)", pid)
    return int(server.log.wait_for(rf"\[{pid}\].* Grand total: .*; (\d+) used", mark)[1])


def sleeps_of(pid: int) -> int:
    """How often a process has gone to sleep."""
    found = re.search(
        r"^voluntary_ctxt_switches:\s*(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE
    )
    assert found is not None
    return int(found[1])


@pytest.mark.parametrize("way", WAYS)
def test_a_long_wait(server: Server, conn: Connection, connect: Connect, way: str) -> None:
    session = connect(options="-c deadlock_timeout=1ms -c pg_background.max_workers=1")
    pid = session.info.backend_pid
    with closed_gate(connect()) as gate, at_the_same_time(session) as call:
        # What describes itself at once is nothing to wait for: the job of `describe` waits for its turn.
        busy = None if way.startswith("run") else launch(session, gate.sql)
        job = busy or Handle(0, 0)
        if way == "describe":
            job = start(session, "SELECT 1", on_full="queue")
        waiting = call(query, session, WAYS[way](job, gate.sql))
        wait_until_in_extension(conn, session)
        before = sleeps_of(pid)
        wait_until(lambda: sleeps_of(pid) > before + 20)
        # By now all that is kept for good is there.
        memory = memory_of(server, conn, pid)
        before = sleeps_of(pid)
        wait_until(lambda: sleeps_of(pid) > before + SLEEPS, what=f"{SLEEPS} sleeps")
        assert memory_of(server, conn, pid) < memory + GROWTH
        gate.open()
        waiting.result()
        gate.close()
