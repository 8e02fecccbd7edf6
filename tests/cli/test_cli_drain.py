"""`pg-background drain`: counts, exit codes, and who may."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator

import psycopg
import pytest

from ..support.fix_cli import Cli
from ..support.fix_db import Connect, Connection, MakeRole
from ..support.jobs import FOREVER, cancel, detach, launch, run, state
from ..support.server import Server
from ..support.waiting import wait_until_sql


@pytest.fixture(autouse=True)
def _resumed(server: Server) -> Iterator[None]:
    """However the test ends, other tests can launch."""
    yield
    server.execute("SELECT pg_background_resume_server()", "template_pg_background")


def test_until_resumed(cli: Cli, server: Server, conn: Connection, db: str) -> None:
    done = cli("drain", server.dsn(db), "--timeout", "0")
    assert (done.returncode, done.stdout) == (0, "finished: 0, canceled: 0, running: 0\n")
    assert "--resume" in done.stderr
    with pytest.raises(psycopg.errors.TooManyConnections):
        launch(conn, "SELECT 1")
    done = cli("drain", server.dsn(db), "--resume")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "jobs can be launched again\n")
    assert run(conn, "SELECT 1", "n int") == [(1,)]


def test_running_jobs_are_canceled_in_the_end(cli: Cli, server: Server, conn: Connection, db: str) -> None:
    handles = [launch(conn, FOREVER) for _ in range(2)]
    done = cli("drain", server.dsn(db), "--timeout", "0.01")
    assert (done.returncode, done.stdout) == (0, "finished: 0, canceled: 2, running: 0\n")
    assert {state(conn, handle) for handle in handles} == {"canceled"}
    for handle in handles:
        detach(conn, handle)


def test_what_still_runs_is_an_exit_code(cli: Cli, server: Server, conn: Connection, db: str) -> None:
    """A job that nothing ends would run for ever: the extension's answer is exchanged instead."""
    conn.execute("ALTER EXTENSION pg_background DROP FUNCTION pg_background_drain_server(int)")
    conn.execute("DROP FUNCTION pg_background_drain_server(int)")
    conn.execute(
        """
        CREATE FUNCTION pg_background_drain_server(timeout_ms int)
        RETURNS TABLE (finished int, canceled int, running int) LANGUAGE sql AS 'SELECT 1, $1, 2'
        """
    )
    done = cli("drain", server.dsn(db), PG_BACKGROUND_DRAIN_TIMEOUT="1.5")
    assert (done.returncode, done.stdout) == (1, "finished: 1, canceled: 1500, running: 2\n")


def test_statement_timeout_does_not_end_the_wait(cli: Cli, server: Server, connect: Connect, db: str) -> None:
    conn = connect()
    handle = launch(conn, FOREVER)
    done = cli("drain", server.dsn(db), "--timeout", "1", PGOPTIONS="-c statement_timeout=900")
    assert (done.returncode, done.stdout) == (0, "finished: 0, canceled: 1, running: 0\n"), done.stderr
    detach(conn, handle)


def test_interrupted(cli: Cli, server: Server, connect: Connect, db: str) -> None:
    """Ctrl-C ends the wait; what it leaves is said."""
    conn = connect()
    handle = launch(conn, FOREVER)
    drain = cli.start("drain", server.dsn(db), "--timeout", "600")
    wait_until_sql(
        conn,
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pg-background' "
        "AND query LIKE '%%drain_server%%' AND state = 'active' AND wait_event_type = 'Extension'",
        expected=1,
    )
    drain.send_signal(signal.SIGINT)
    output, errors = drain.communicate(timeout=30)
    assert drain.returncode != 0
    assert output == ""
    assert "jobs are refused until" in errors
    assert "Traceback" not in errors
    cancel(conn, handle)
    detach(conn, handle)


def test_not_a_superuser(cli: Cli, server: Server, db: str, make_role: MakeRole) -> None:
    role = make_role(member_of=("pgbackground_role",))
    for options in (["--timeout", "0"], ["--resume"]):
        done = cli("drain", server.dsn(db, user=role), *options)
        assert_clear_error(done, 6, "permission denied")


def test_database_without_the_extension(cli: Cli, server: Server) -> None:
    done = cli("drain", server.dsn("template1"))
    assert_clear_error(
        done, 6, 'the database "template1" does not have the extension\nhint: name one that does'
    )


def test_no_such_server(cli: Cli, open_tmp_path: object) -> None:
    assert_clear_error(cli("drain", f"host={open_tmp_path}"), 3, "can't connect: ")


def test_bad_usage(cli: Cli) -> None:
    assert cli("drain", "--timeout", "-1").returncode == 2
    assert cli("drain", "--timeout", "soon").returncode == 2


def assert_clear_error(done: subprocess.CompletedProcess[str], code: int, text: str) -> None:
    """Check that a command failed with one message, not with a traceback, and printed no result."""
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("error: ")
    assert text in done.stderr
    assert "Traceback" not in done.stderr
