"""A worker that can't start is a prompt, clear error of the launch, and costs nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ...support.calls import Failure, at_the_same_time, failure, nothing_is_left, query, stats
from ...support.fix_db import Connection
from ...support.fix_server import FreshServer
from ...support.jobs import closed_gate, launch, result, run, wait, wait_until_gone
from ...support.server import Server
from ...support.waiting import wait_until, wait_until_sql

LAUNCH = "SELECT pg_background_launch('SELECT 1')"

NOT_STARTED = Failure(
    "53000", "could not start background process", None, "More details may be available in the server log."
)
NO_SLOT = Failure(
    "53000", "could not register background process", None, "You may need to increase max_worker_processes."
)


def assert_refused(conn: Connection, expected: Failure) -> None:
    """Each of several launches fails, and leaves nothing."""
    with nothing_is_left(conn):
        launched = stats(conn)["launched"]
        for _ in range(5):
            assert failure(conn, LAUNCH) == expected
        assert stats(conn)["launched"] == launched
        assert stats(conn)["active"] == 0
        assert query(conn, "SELECT * FROM pg_background_list") == []


@contextmanager
def exchanged_library(server: Server, text: str | None) -> Iterator[None]:
    """Put something, or nothing, in the place of the library, from where servers of tests load it."""
    folder = str(server.execute("SHOW dynamic_library_path")).partition(":")[0]
    if folder == "$libdir":
        folder = str(server.cluster.runtime.installation.pkglibdir)
    library = Path(folder) / "pg_background.so"
    hidden = library.rename(library.with_name("hidden"))
    try:
        if text is not None:
            library.write_text(text)
            library.chmod(0o755)
        yield
    finally:
        hidden.replace(library)


def test_library_that_is_gone(fresh_server: FreshServer) -> None:
    """As while a package is being exchanged. What comes after it works again."""
    server = fresh_server({"pg_background.worker_idle_timeout": "0"})
    with server.connect() as conn:
        assert run(conn, "SELECT 'before'") == [("before",)]
        # A session loads it at its first call of each function.
        for call in ("pg_background_registry()", "pg_background_stats()", "pg_background_list"):
            query(conn, f"SELECT * FROM {call}")
        mark = server.log.mark()
        with exchanged_library(server, None):
            assert_refused(conn, NOT_STARTED)
        server.log.wait_for(r"(FATAL|ERROR):  could not access file ", mark)
        assert run(conn, "SELECT 'after'") == [("after",)]


@pytest.mark.parametrize("text", ["", "not a library"], ids=["empty", "text"])
def test_library_that_is_exchanged(fresh_server: FreshServer, text: str) -> None:
    """A running server goes on with what it was started with."""
    server = fresh_server({"pg_background.worker_idle_timeout": "0"})
    with server.connect() as conn, exchanged_library(server, text):
        assert run(conn, "SELECT 'x'") == [("x",)]


@contextmanager
def no_forks(server: Server) -> Iterator[None]:
    """Let the postmaster start no process more; only its own user may say so."""

    def prlimit(*words: str) -> str:
        done = server.cluster.os_user.run(["prlimit", f"--pid={server.pid}", *words])
        assert done.returncode == 0, done
        return str(done.stdout).strip()

    soft = prlimit("--nproc", "--output=SOFT", "--noheadings", "--raw")
    prlimit("--nproc=1:")
    try:
        yield
    finally:
        prlimit(f"--nproc={soft}:")


def test_fork_failure(fresh_server: FreshServer) -> None:
    server = fresh_server({"pg_background.worker_idle_timeout": "0", "autovacuum": "off"})
    with server.connect() as conn:
        assert run(conn, "SELECT 'before'") == [("before",)]
        wait_until_sql(
            conn, "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_background'", expected=0
        )
        mark = server.log.mark()
        with no_forks(server):
            assert_refused(conn, NOT_STARTED)
        server.log.wait_for(r"could not fork (background )?worker process", mark)
        assert run(conn, "SELECT 'after'") == [("after",)]


def test_no_slot(fresh_server: FreshServer) -> None:
    """Taken by others, so that our own cap is not what refuses."""
    server = fresh_server({"max_worker_processes": 4, "pg_background.max_total_workers": 4})
    with server.connect() as holder, server.connect() as conn:
        with closed_gate(holder) as gate:
            # One slot is the keeper's, one that of the logical replication launcher.
            running = [launch(conn, gate.sql) for _ in range(2)]
            for _ in range(5):
                assert failure(conn, LAUNCH) == NO_SLOT
            assert stats(conn)["launched"] == stats(conn)["active"] == 2
        for handle in running:
            assert wait(conn, handle)
        assert run(conn, "SELECT 'after'") == [("after",)]


def test_our_own_cap(fresh_server: FreshServer) -> None:
    server = fresh_server({"pg_background.max_total_workers": 2})
    with server.connect() as holder, server.connect() as conn, server.connect() as other:
        with closed_gate(holder) as gate:
            running = [launch(conn, gate.sql), launch(other, gate.sql)]
            for session in (conn, other):
                found = failure(session, LAUNCH)
                assert found[:3] == ("53400", "too many background workers in the server", None)
                assert "pg_background.max_total_workers" in str(found.hint)
        for handle in running:
            assert wait(conn, handle)
        assert run(conn, "SELECT 'after'") == [("after",)]


def test_refusals_do_not_fill_log_or_history(fresh_server: FreshServer) -> None:
    """Neither when slots are short for long."""
    server = fresh_server({"max_worker_processes": 3, "pg_background.max_total_workers": 3})
    with server.connect() as holder, server.connect() as conn:
        query(conn, "SET log_min_messages = 'fatal'")
        with closed_gate(holder) as gate:
            running = launch(conn, gate.sql)
            wait_until_sql(
                holder,
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid = %s",
                [running.pid],
                expected=1,
            )
            mark = server.log.mark()
            with nothing_is_left(conn):
                for _ in range(30):
                    assert failure(conn, LAUNCH).sqlstate == "53000"
            assert server.log.since(mark) == ""
        assert wait(conn, running)


def test_end_of_a_process_that_still_connects(fresh_server: FreshServer) -> None:
    """Its job is lost, its place comes back, nobody hangs."""
    server = fresh_server({"pg_background.worker_idle_timeout": "0"})
    with server.connect() as blocker, server.connect() as conn, server.connect() as watcher:
        run(conn, "SELECT 'before'")
        query(conn, "SELECT pg_background_get_progress(1, 1)")
        blocker.execute("BEGIN")
        # Whoever logs in reads this.
        blocker.execute("LOCK pg_catalog.pg_db_role_setting IN ACCESS EXCLUSIVE MODE")
        with at_the_same_time(conn) as call:
            launching = call(launch, conn, "SELECT 1")
            stuck = "SELECT pid FROM pg_locks WHERE NOT granted AND relation = 'pg_db_role_setting'::regclass"
            ((pid,),) = wait_until(lambda: query(watcher, stuck))
            query(watcher, "SELECT pg_terminate_backend(%s)", pid)
            handle = launching.result()
            assert handle.pid == pid
            assert wait(conn, handle) is True
        blocker.execute("ROLLBACK")
        assert query(conn, "SELECT pid, state FROM pg_background_list") == [(pid, "lost")]
        with pytest.raises(Exception, match=f"lost connection to worker process with PID {pid}") as caught:
            result(conn, handle)
        assert getattr(caught.value, "sqlstate", None) == "08006"
        wait_until_gone(conn, pid)
        assert run(conn, "SELECT 'after'") == [("after",)]
