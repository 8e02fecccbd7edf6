"""pg_background.traceparent: a job has that of its launch, in its settings, its log lines and its errors' context."""

from __future__ import annotations

import pytest

from ..support.calls import error_of, failure, query, result_error, value
from ..support.fix_db import Connect, Connection
from ..support.jobs import launch, result, run, wait
from ..support.server import Server

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OTHER = "00-ffffffffffffffffffffffffffffffff-0000000000000001-ff"
SHOW = "SELECT current_setting('pg_background.traceparent')"


def trace(conn: Connection, traceparent: str) -> None:
    """Set it in the session."""
    conn.execute("SELECT set_config('pg_background.traceparent', %s, false)", [traceparent])


def test_in_the_job(conn: Connection) -> None:
    assert run(conn, SHOW) == [("",)]
    trace(conn, TRACE)
    assert run(conn, SHOW) == [(TRACE,)]
    trace(conn, OTHER)
    assert run(conn, SHOW) == [(OTHER,)]
    trace(conn, "")
    assert run(conn, SHOW) == [("",)]


def test_a_worker_stays_warm(conn: Connection) -> None:
    """A trace is no other setting, for which all would be restored."""
    pids = set()
    for number in range(6):
        trace(conn, TRACE if number % 2 else "")
        pids |= set(run(conn, "SELECT pg_backend_pid()", "pid int"))
    assert len(pids) == 1


def test_of_the_launch(conn: Connection) -> None:
    """Not of what runs later, and what a job sets is not the next one's."""
    trace(conn, TRACE)
    assert run(conn, f"SELECT set_config('pg_background.traceparent', '{OTHER}', false)") == [(OTHER,)]
    assert run(conn, SHOW) == [(TRACE,)]
    trace(conn, "")
    assert run(conn, SHOW) == [("",)]


def test_a_job_within_a_job(conn: Connection) -> None:
    trace(conn, TRACE)
    inner = (
        "SELECT value FROM pg_background_launch($$ " + SHOW + " $$) AS h,"
        " pg_background_result(h.pid, h.cookie) AS r (value text)"
    )
    assert run(conn, inner) == [(TRACE,)]


def test_in_another_database(conn: Connection, connect: Connect, make_db, server: Server) -> None:
    there = make_db("there")
    conn.execute(f"ALTER DATABASE {there} SET pg_background.jobs_from_other_databases = on".encode())
    trace(conn, TRACE)
    row = query(conn, "SELECT pid, cookie FROM pg_background_start(%s, database => %s)", SHOW, there)[0]
    assert query(conn, "SELECT * FROM pg_background_result(%s, %s) AS r (value text)", *row) == [(TRACE,)]


def test_in_log_lines_and_errors(conn: Connection, server: Server) -> None:
    trace(conn, TRACE)
    mark = server.log.mark()
    handle = launch(conn, "DO $$ BEGIN RAISE LOG 'told'; END $$; SELECT 1 / 0")
    error = result_error(conn, handle)
    assert f"traceparent {TRACE}\nstatement 2 of 2\n" in (error.diag.context or "")
    assert server.log.wait_for(f"LOG:  told\n.* CONTEXT: .*\n\ttraceparent {TRACE}\n", mark)
    assert server.log.wait_for(f"ERROR:  division by zero\n.* CONTEXT:  traceparent {TRACE}\n", mark)


@pytest.mark.parametrize(
    "wrong",
    [
        "x",
        TRACE[:-1],
        TRACE + "0",
        TRACE.upper(),
        "01" + TRACE[2:],
        "ff" + TRACE[2:],
        TRACE.replace("-", "_"),
        "00-" + "0" * 32 + "-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-" + "0" * 16 + "-01",
    ],
)
def test_other_forms(conn: Connection, wrong: str) -> None:
    found = failure(conn, "SELECT set_config('pg_background.traceparent', %s, false)", wrong)
    assert found.sqlstate == "22023"
    assert value(conn, SHOW) == ""
    assert error_of(conn, "SET pg_background.traceparent = 'x'").sqlstate == "22023"


def test_unread_and_waited_for(conn: Connection) -> None:
    trace(conn, TRACE)
    handle = launch(conn, SHOW)
    assert wait(conn, handle)
    assert result(conn, handle) == [(TRACE,)]
