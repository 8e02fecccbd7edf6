"""Output that can't be written to disk: the job, launch or read says why it fails, and nothing is left."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from ..support.calls import at_the_same_time, query, result_error, value, wait_until_in_extension
from ..support.fix_db import Connection
from ..support.fix_server import FreshServer
from ..support.jobs import Handle, closed_gate, detach, launch, result, run, state, wait
from ..support.registry import registry, wait_until_quiet
from ..support.server import Server
from ..support.tablespaces import make_tablespace
from ..support.workers import launch_in

#: Processes of the server can make no file larger than this, as if the disk were full. Those of the WAL,
#: of 16 MB, are smaller.
LIMIT = 20 << 20

#: It writes no data, as there is none to be saved.
TOO_MUCH = "SELECT repeat('x', 10000) FROM generate_series(1, 3000)"
MUCH = "SELECT repeat('x', 10000) FROM generate_series(1, 1000)"


@pytest.fixture
def server(fresh_server: FreshServer) -> Server:
    """A server with one worker, which stays."""
    server = fresh_server({"pg_background.max_total_workers": 1, "pg_background.worker_idle_timeout": "1h"})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, before[1]))
    try:
        # Its processes inherit the limit.
        server.restart()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    return server


@pytest.fixture
def session(server: Server) -> Iterator[Connection]:
    with server.connect() as conn:
        yield conn


def assert_nothing_is_left(conn: Connection) -> None:
    wait_until_quiet(conn, area_bytes=0)
    assert registry(conn).entries == 0
    assert value(conn, "SELECT count(*) FROM pg_ls_tmpdir()") == 0


def test_job_whose_output_does_not_fit(session: Connection) -> None:
    handle = launch(session, TOO_MUCH)
    assert wait(session, handle)
    assert state(session, handle) == "error"
    error = result_error(session, handle)
    assert error.diag.message_primary == "could not write to temporary file: File too large"
    assert_nothing_is_left(session)
    # The same worker.
    again = launch_in(session, handle.pid, MUCH)
    assert wait(session, again)
    assert len(result(session, again)) == 1000
    assert_nothing_is_left(session)


def test_rows_that_are_read_as_they_come_need_no_disk(session: Connection, server: Server) -> None:
    query(session, "SET work_mem = '1GB'")
    with server.connect() as other, at_the_same_time(session) as call:
        with closed_gate(other) as gate:
            handle = launch(session, f"{gate.sql}; {TOO_MUCH}")
            reading = call(result, session, handle)
            wait_until_in_extension(other, session)
        assert len(reading.result()) == 3000
    assert_nothing_is_left(session)


def test_detach_of_a_job_whose_output_did_not_fit(session: Connection) -> None:
    handle = launch(session, TOO_MUCH)
    assert wait(session, handle)
    detach(session, handle)
    assert_nothing_is_left(session)


def test_reader_whose_rows_do_not_fit(session: Connection) -> None:
    """Half-read is read: the job's output is gone, and its file with it."""
    handle = launch(session, TOO_MUCH)
    query(session, "SET work_mem = 64")
    assert result_error(session, handle).diag.message_primary
    assert_nothing_is_left(session)
    query(session, "RESET work_mem")
    assert run(session, "SELECT 1", "a int") == [(1,)]


@pytest.fixture
def broken_tablespace(server: Server, open_tmp_path: Path) -> Iterator[str]:
    """A tablespace in which no temporary file can be made, whoever the server is."""
    obstacle = make_tablespace(server, open_tmp_path, "broken") / "pgsql_tmp"
    obstacle.write_text("a file where a folder should be")
    yield "broken"
    obstacle.unlink()
    server.execute("DROP TABLESPACE broken")


def test_job_that_can_make_no_file(session: Connection, broken_tablespace: str) -> None:
    query(session, f"SET temp_tablespaces = {broken_tablespace}")
    handle = launch(session, MUCH)
    assert wait(session, handle)
    assert state(session, handle) == "error"
    assert "pgsql_tmp" in (result_error(session, handle).diag.message_primary or "")
    query(session, "RESET temp_tablespaces")
    assert len(run(session, MUCH)) == 1000
    assert_nothing_is_left(session)


def test_launch_that_can_not_move_unread_results(
    server: Server, broken_tablespace: str, session: Connection
) -> None:
    """It fails, and they stay readable."""
    with server.alter_system({"temp_tablespaces": broken_tablespace}), server.connect() as conn:
        handles: list[Handle] = []

        def fill() -> None:
            for n in range(64):
                job = f"SELECT '{n}' || repeat('x', 99) FROM generate_series(1, 900)"
                handle = launch(conn, job, queue_size=1 << 20)
                handles.append(handle)
                assert wait(conn, handle)

        with pytest.raises(psycopg.Error, match="pgsql_tmp"):
            fill()
        assert len(handles) > 20
        assert registry(conn).live == 0
        for n, handle in enumerate(handles):
            assert result(conn, handle) == [(f"{n}" + "x" * 99,)] * 900
        assert run(conn, "SELECT 1", "a int") == [(1,)]
    assert_nothing_is_left(session)
