"""A server of a debug build, in whose named points tests stop and end processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count

import pytest

from pg_background.server import Installation, build

from .fix_crash import watch
from .fix_server import FreshServer
from .jobs import Connection
from .points import WORKERS, Scene
from .server import Server

_numbers = count(1)


@pytest.fixture(scope="session")
def points_server(fresh_cluster: FreshServer, installation: Installation) -> Server:
    """Its workers stay until they are asked to leave, and nobody's results outlive their session."""
    server = fresh_cluster(
        {
            "pg_background.max_total_workers": WORKERS,
            "pg_background.worker_idle_timeout": "1h",
            "pg_background.result_retention": 0,
            "pg_background.job_memory": "4MB",
        },
        extension=build(installation, options={"debug_points": "true"}),
    )
    server.execute("CREATE DATABASE scene TEMPLATE template0")
    server.execute("CREATE EXTENSION pg_background", "scene")
    server.execute("CREATE TABLE ran (a int)", "scene")
    return server


@pytest.fixture
def scene(points_server: Server, request: pytest.FixtureRequest) -> Iterator[Scene]:
    """Sessions in a database of their own, which no worker serves yet."""
    watch(request, points_server, points_server.log.mark())
    name = f"scene_{next(_numbers)}"
    points_server.execute(f"CREATE DATABASE {name} TEMPLATE scene")
    with ExitStack() as stack:

        def connect() -> Connection:
            conn = points_server.connect(name)
            stack.callback(conn.close)
            return conn

        yield Scene(points_server, connect)
    points_server.wait_ready()
    points_server.execute(f"DROP DATABASE {name} WITH (FORCE)")
    if points_server.execute("SELECT live + busy_workers FROM pg_background_registry()", "scene") != 0:
        # What a failed test has left there is not the next one's.
        points_server.restart()
