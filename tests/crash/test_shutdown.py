"""The server stops, whatever its workers do, and starts again."""

from __future__ import annotations

from typing import Literal

import pytest

from ..support.fix_server import FreshServer
from ..support.jobs import FOREVER, launch, run, state, submit, wait, wait_until_asleep
from ..support.registry import registry
from ..support.server import Server
from ..support.workers import SWALLOWS_CANCELS, wait_until_idle

MODES: tuple[Literal["smart", "fast", "immediate"], ...] = ("smart", "fast", "immediate")


def start_again(server: Server) -> None:
    """Start the server; nothing of the time before is left, and launches work."""
    server.start()
    with server.connect() as conn:
        assert registry(conn)[:3] == (0, 0, 0)
        assert conn.execute("SELECT count(*) FROM pg_ls_tmpdir()").fetchone() == (0,)
        assert run(conn, "SELECT 1", "a int") == [(1,)]


@pytest.mark.parametrize("mode", MODES)
def test_with_idle_workers(fresh_server: FreshServer, mode: Literal["smart", "fast", "immediate"]) -> None:
    server = fresh_server({"pg_background.worker_idle_timeout": "1h"})
    with server.connect() as conn:
        handles = [submit(conn, "SELECT pg_sleep(0.05)") for _ in range(3)]
        for handle in handles:
            assert wait(conn, handle)
            wait_until_idle(conn, handle.pid)
    server.cluster.stop(mode, timeout=30)
    start_again(server)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("job", [FOREVER, SWALLOWS_CANCELS], ids=["sleeping", "swallowing"])
def test_with_running_workers(
    fresh_server: FreshServer, mode: Literal["smart", "fast", "immediate"], job: str
) -> None:
    server = fresh_server()
    with server.connect() as conn:
        conn.execute("CREATE TABLE kept (a int)")
        handles = [submit(conn, f"INSERT INTO kept VALUES (1); {job}") for _ in range(3)]
        for handle in handles:
            wait_until_asleep(conn, handle.pid)
    server.cluster.stop(mode, timeout=30)
    start_again(server)
    assert server.execute("SELECT count(*) FROM kept") == 0


@pytest.mark.parametrize("mode", MODES)
def test_with_unread_output_on_disk(
    fresh_server: FreshServer, mode: Literal["smart", "fast", "immediate"]
) -> None:
    server = fresh_server()
    with server.connect() as conn:
        handle = launch(conn, "SELECT repeat('x', 1000) FROM generate_series(1, 10000)")
        assert wait(conn, handle)
        assert registry(conn).spill_bytes > 0
    server.cluster.stop(mode, timeout=30)
    start_again(server)


def test_fast_with_waiters(fresh_server: FreshServer) -> None:
    """Sessions that wait for a job are told that the server stops, as all are."""
    server = fresh_server()
    conn = server.connect()
    handle = launch(conn, FOREVER)
    wait_until_asleep(conn, handle.pid)
    assert state(conn, handle) == "running"
    conn.pgconn.send_query(f"SELECT pg_background_wait({handle.pid}, {handle.cookie})".encode())
    conn.pgconn.flush()
    server.cluster.stop("fast", timeout=30)
    conn.close()
    start_again(server)
