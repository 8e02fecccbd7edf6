"""Limits of time in a job: PostgreSQL's own and pg_background.worker_timeout."""

from __future__ import annotations

import pytest
from psycopg import errors as e

from ..support.fix_db import Connect, Connection
from ..support.jobs import FOREVER, launch, launch_within, result, run, state, submit, wait, wait_until_gone
from ..support.server import Server
from ..support.workers import launch_in, only_worker

COUNTERS = "SELECT workers_failed, workers_canceled, workers_timed_out FROM pg_background_stats()"
MESSAGE = r"canceling background job due to pg_background\.worker_timeout"


def test_statement_timeout_is_an_error(conn: Connection) -> None:
    handle = launch_within(conn, FOREVER, statement_timeout="100")
    assert wait(conn, handle)
    assert state(conn, handle) == "error"
    with pytest.raises(e.QueryCanceled, match="canceling statement due to statement timeout"):
        result(conn, handle)
    assert conn.execute(COUNTERS).fetchone() == (1, 0, 0)


def test_statement_timeout_is_for_each_statement(conn: Connection) -> None:
    """As in a session: together they take more than the limit, each a small part of it."""
    job = "SELECT pg_sleep(0.02);" * 35 + "SELECT pg_sleep(0), 1"
    handle = launch_within(conn, job, statement_timeout="600")
    assert result(conn, handle, "v text, a int") == [("", 1)]


def test_statement_timeout_set_in_the_job(conn: Connection) -> None:
    with pytest.raises(e.QueryCanceled, match="statement timeout"):
        run(conn, "SET statement_timeout = 50; SELECT pg_sleep(3600)")
    assert run(conn, "SHOW statement_timeout") == [("0",)]


def test_statement_timeout_taken_back_in_the_job(conn: Connection) -> None:
    """That of the statement which does it is not the next one's."""
    conn.execute("SET statement_timeout = '1s'")
    handle = launch(conn, "SET statement_timeout = 0; SELECT pg_sleep(1.2)")
    conn.execute("RESET statement_timeout")
    assert wait(conn, handle)
    assert state(conn, handle) == "stopped"


def test_lock_timeout_is_an_error(conn: Connection, connect: Connect) -> None:
    conn.execute("CREATE TABLE locked (a int)")
    holder = connect(autocommit=False)
    holder.execute("LOCK TABLE locked")
    conn.execute("SET lock_timeout = 50")
    handle = launch(conn, "INSERT INTO locked VALUES (1)")
    assert wait(conn, handle)
    assert state(conn, handle) == "error"
    with pytest.raises(e.LockNotAvailable):
        result(conn, handle)
    assert conn.execute(COUNTERS).fetchone() == (1, 0, 0)


@pytest.mark.pg(">= 17")
@pytest.mark.parametrize("job", [FOREVER, "SELECT pg_sleep(0.02); " * 10_000], ids=["one", "many"])
def test_transaction_timeout_ends_the_worker(conn: Connection, job: str) -> None:
    # Long enough for the launch, whose own transaction it limits too.
    conn.execute("SET transaction_timeout = 1000")
    handle = launch(conn, job)
    conn.execute("RESET transaction_timeout")
    assert wait(conn, handle)
    assert state(conn, handle) == "error"
    with pytest.raises(e.TransactionTimeout):
        result(conn, handle)
    wait_until_gone(conn, handle.pid)
    assert run(conn, "SELECT 1", "a int") == [(1,)]


def test_worker_timeout(conn: Connection, server: Server) -> None:
    mark = server.log.mark()
    conn.execute("SET pg_background.worker_timeout = '100ms'")
    handle = launch(conn, FOREVER)
    assert wait(conn, handle)
    assert state(conn, handle) == "timed_out"
    with pytest.raises(
        e.QueryCanceled, match=r"canceling background job due to pg_background\.worker_timeout"
    ):
        result(conn, handle)
    assert conn.execute(COUNTERS).fetchone() == (0, 0, 1)
    server.log.wait_for(rf"\[{handle.pid}\].* LOG:  {MESSAGE}", mark)


def test_worker_timeout_is_for_the_whole_job(conn: Connection) -> None:
    conn.execute("CREATE TABLE made (a int)")
    conn.execute("SET pg_background.worker_timeout = '300ms'")
    handle = launch(conn, "INSERT INTO made VALUES (1);" + "SELECT pg_sleep(0.05);" * 1000)
    assert wait(conn, handle)
    assert state(conn, handle) == "timed_out"
    assert conn.execute("SELECT count(*) FROM made").fetchone() == (0,)


def test_worker_timeout_of_a_submitted_job(conn: Connection) -> None:
    conn.execute("SET pg_background.worker_timeout = '50ms'")
    handle = submit(conn, FOREVER)
    assert wait(conn, handle)
    assert state(conn, handle) == "timed_out"


def test_worker_timeout_does_not_reach_the_next_job(server: Server, connect: Connect) -> None:
    with only_worker(server):
        conn = connect()
        conn.execute("SET pg_background.worker_timeout = '1s'")
        first = launch(conn, "SELECT 1")
        assert result(conn, first, "a int") == [(1,)]
        conn.execute("RESET pg_background.worker_timeout")
        second = launch(conn, "SELECT pg_sleep(1.1), 2")
        assert second.pid == first.pid
        assert result(conn, second, "v text, a int") == [("", 2)]


def test_worker_timeout_of_a_job_that_catches_it(conn: Connection) -> None:
    conn.execute("SET pg_background.worker_timeout = '100ms'")
    handle = launch(
        conn,
        "DO $$ BEGIN LOOP BEGIN PERFORM pg_sleep(3600); "
        "EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END $$",
    )
    assert wait(conn, handle)
    assert state(conn, handle) == "timed_out"


def test_statement_timeout_below_worker_timeout(conn: Connection) -> None:
    conn.execute("SET pg_background.worker_timeout = '1h'")
    handle = launch_within(conn, FOREVER, statement_timeout="50")
    assert wait(conn, handle)
    assert state(conn, handle) == "error"


def test_idle_timeouts_do_not_end_workers(conn: Connection) -> None:
    """They are for sessions that wait for their client; a worker between jobs has none."""
    conn.execute("SET idle_in_transaction_session_timeout = 10")
    conn.execute("SET idle_session_timeout = 0")
    handle = launch(conn, "SELECT pg_sleep(0.1), 1")
    assert result(conn, handle, "v text, a int") == [("", 1)]
    launch_in(conn, handle.pid, "SELECT 1")
