"""Room for Citus' own workers; that it is loaded is told by its setting."""

from __future__ import annotations

import psycopg
import pytest

from ..support.fix_server import FreshServer
from ..support.jobs import FOREVER, Connection, launch


def most_at_once(conn: Connection) -> int:
    """Launch jobs until no more may be."""
    for number in range(100):
        try:
            launch(conn, FOREVER)
        except psycopg.errors.ConfigurationLimitExceeded:
            conn.execute("SELECT pg_background_cancel_all()")
            return number
    raise AssertionError("there is no limit")


@pytest.mark.parametrize("databases", [0, 2])
def test_room_for_citus(fresh_server: FreshServer, databases: int) -> None:
    """A process for each database, and one for each of its executors."""
    server = fresh_server(
        {
            "max_worker_processes": 14,
            "citus.max_background_task_executors": 4,
            "pg_background.worker_idle_timeout": 0,
        }
    )
    server.execute("ALTER DATABASE template1 ALLOW_CONNECTIONS false")
    for number in range(databases):
        server.execute(f"CREATE DATABASE more_{number} TEMPLATE template0")
    with server.connect() as conn:
        assert most_at_once(conn) == 14 - 3 - 4 - (1 + databases)


def test_a_limit_that_is_set_is_the_limit(fresh_server: FreshServer) -> None:
    server = fresh_server(
        {
            "max_worker_processes": 14,
            "citus.max_background_task_executors": 4,
            "pg_background.max_total_workers": 9,
        }
    )
    with server.connect() as conn:
        assert most_at_once(conn) == 9
