"""A server that was not started with the library: clear errors, and nothing that pg_restore would stop at."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ..support.calls import failure, query, value
from ..support.fix_server import FreshServer
from ..support.jobs import Connection, run
from ..support.server import Server

CALLS = [
    "SELECT pg_background_launch('SELECT 1')",
    "SELECT pg_background_launch('SELECT 1', 0, 'label')",
    "SELECT pg_background_launch_v2('SELECT 1')",
    "SELECT pg_background_submit('SELECT 1')",
    "SELECT pg_background_submit_v2('SELECT 1', 100)",
    "SELECT * FROM pg_background_result(1, 1) AS (a text)",
    "SELECT * FROM pg_background_result_v2(1, 1) AS (a text)",
    "SELECT pg_background_wait(1, 1)",
    "SELECT pg_background_wait_v2_timeout(1, 1, 0)",
    "SELECT pg_background_cancel(1, 1)",
    "SELECT pg_background_cancel_v2_grace(1, 1, 1)",
    "SELECT pg_background_detach(1, 1)",
    "SELECT * FROM pg_background_list",
    "SELECT * FROM pg_background_list_v2()"
    " AS (a int, b int8, c timestamptz, d oid, e int, f text, g text, h text, i bool)",
    "SELECT * FROM pg_background_stats()",
    "SELECT * FROM pg_background_get_progress(1, 1)",
    "SELECT * FROM pg_background_registry()",
]


@pytest.fixture
def unloaded(fresh_server: FreshServer) -> Server:
    """A server whose configuration does not name the library."""
    return fresh_server({"shared_preload_libraries": ""})


@pytest.fixture
def session(unloaded: Server) -> Iterator[Connection]:
    with unloaded.connect() as conn:
        yield conn


def test_create_extension_warns_and_works(session: Connection) -> None:
    notices: list[tuple[str | None, ...]] = []
    session.add_notice_handler(
        lambda diag: notices.append((diag.severity_nonlocalized, diag.message_primary, diag.message_hint))
    )
    query(session, "DROP EXTENSION pg_background")
    query(session, "CREATE EXTENSION pg_background")
    ((severity, message, hint),) = notices
    assert severity == "WARNING"
    assert "not loaded" in str(message)
    assert hint == "Add pg_background to shared_preload_libraries and restart the server."
    assert value(session, "SELECT count(*) FROM pg_extension WHERE extname = 'pg_background'") == 1


def test_calls_say_what_to_do(session: Connection) -> None:
    for call in CALLS * 2:
        found = failure(session, call)
        assert (found.sqlstate, found.hint) == (
            "55000",
            "Add pg_background to shared_preload_libraries and restart the server.",
        ), call
    assert query(session, "SELECT 1") == [(1,)]


def test_loaded_by_a_session(session: Connection) -> None:
    """Too late for shared memory: all is as before."""
    query(session, "LOAD 'pg_background'")
    for call in CALLS:
        assert failure(session, call).sqlstate == "55000", call
    assert query(session, "SELECT 1") == [(1,)]


def test_loaded_for_each_session(fresh_server: FreshServer) -> None:
    server = fresh_server({"shared_preload_libraries": "", "session_preload_libraries": "pg_background"})
    with server.connect() as conn:
        assert failure(conn, CALLS[0]).sqlstate == "55000"


def test_database_of_such_a_server_is_dumped_and_restored(unloaded: Server) -> None:
    unloaded.execute("CREATE DATABASE restored")
    with unloaded.connect("restored") as conn:
        # What a dump has in it.
        query(conn, "SELECT pg_catalog.set_config('search_path', '', false)")
        query(conn, "CREATE EXTENSION IF NOT EXISTS pg_background WITH SCHEMA public")
        query(conn, "COMMENT ON EXTENSION pg_background IS 'Run SQL'")
    unloaded.restart({"shared_preload_libraries": "pg_background"})
    with unloaded.connect("restored") as conn:
        assert run(conn, "SELECT 'after the restart'") == [("after the restart",)]
