"""Servers that are asked: what they answer, and what becomes of one that doesn't."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest
from psycopg.conninfo import make_conninfo

from pg_background.cli.options.database import Database
from pg_background.exporter.gathering import Gathering
from pg_background.exporter.labels import Labels
from pg_background.exporter.watched import Answer, Watched

from ..support.fix_db import Connect, Connection, MakeRole
from ..support.jobs import cancel, closed_gate, launch, submit, wait, wait_for_state
from ..support.server import Server
from ..support.waiting import DEADLINE, wait_until

#: What is never answered in the test, and what always is: neither is waited for to its end.
SHORT, LONG = 0.5, DEADLINE


@pytest.fixture
def watch(server: Server, db: str) -> Iterator[Callable[..., Watched]]:
    """Makes watched servers of the test's database, by a role; all are closed at the end."""
    made: list[Watched] = []

    def make(
        name: str = "here",
        *,
        dsn: str = "",
        limit: float = LONG,
        globs: tuple[str, ...] = (),
        **parameters: str,
    ) -> Watched:
        connect = Database(make_conninfo(dsn or server.dsn(db), **parameters)).connect
        made.append(Watched(name, connect, labels=Labels(globs), limit=limit))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def monitor(make_role: MakeRole) -> str:
    """A role with pg_monitor and nothing else."""
    return make_role(member_of=("pg_monitor",))


def answer(watched: Watched) -> Answer:
    """Ask, and wait for the answer."""
    return watched.ask().result(DEADLINE)


def owner(found: Answer, query: str, db: str) -> dict[str, object]:
    """Return the row of a database."""
    (row,) = [row for row in found.rows[query] if row["database"] == db]
    return dict(row)


def test_a_role_with_pg_monitor_sees_what_others_did(
    watch: Callable[..., Watched], monitor: str, conn: Connection, db: str
) -> None:
    for job in ("SELECT 1", "SELECT 1/0", "CREATE TABLE t AS SELECT generate_series(1, 1000)"):
        wait(conn, submit(conn, job))
    with closed_gate(conn) as gate:
        running = launch(conn, gate.sql)
        wait_for_state(conn, running, "running")
        found = answer(watch(user=monitor))
        cancel(conn, running)
    assert found.failure == ""
    totals = owner(found, "totals", db)
    assert (totals["launched"], totals["completed"], totals["failed"], totals["lost"]) == (4, 2, 1, 0)
    assert 0 < time.time() - float(str(totals["since"])) < 86400
    assert float(str(owner(found, "resources", db)["wal_bytes"])) > 0
    live = owner(found, "live", db)
    assert (live["state"], live["jobs"]) == ("running", 1)
    assert 0 <= float(str(live["age"])) < DEADLINE
    (limits,) = found.rows["limits"]
    assert limits["busy"] >= 1
    assert limits["entries_limit"] == 1024
    for row in found.rows["histograms"]:
        if row["database"] == db:
            assert row["jobs"][-1] == 3
            assert row["jobs"] == sorted(row["jobs"])
            assert row["le"][-1] == float("inf")
            assert 0 < row["seconds"] < DEADLINE


def test_what_is_dropped_is_one_series(
    watch: Callable[..., Watched], conn: Connection, connect: Connect, make_db: Callable[[str], str]
) -> None:
    """Labels of metrics must differ, and dropped databases have no names by which they do."""
    for number in range(2):
        name = make_db(f"gone{number}")
        with connect(name) as other:
            wait(other, submit(other, "SELECT 1"))
            other.close()
        conn.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
    found = answer(watch())
    for query in ("totals", "resources"):
        owners = [(row["database"], row["role"]) for row in found.rows[query]]
        assert len(owners) == len(set(owners))
        assert ("", "postgres") in owners
    buckets = [(row["database"], row["role"], row["metric"]) for row in found.rows["histograms"]]
    assert len(buckets) == len(set(buckets))


def test_labels_are_those_that_were_named(watch: Callable[..., Watched], conn: Connection, db: str) -> None:
    with closed_gate(conn) as gate:
        handles = [launch(conn, gate.sql, label=label) for label in ("import-1", "import-2", "100%", "other")]
        handles.append(launch(conn, gate.sql))
        for handle in handles:
            wait_for_state(conn, handle, "running")
        found = answer(watch(globs=("100%", "import-?", "import-*")))
        for handle in handles:
            cancel(conn, handle)
    counted = {row["label"]: row["jobs"] for row in found.rows["live"] if row["database"] == db}
    assert counted == {"import-?": 2, "100%": 1, "": 2}


def test_a_role_without_pg_monitor(watch: Callable[..., Watched], make_role: MakeRole) -> None:
    found = answer(watch(user=make_role()))
    assert found.failure == (
        "permission denied for view pg_background_totals (hint: GRANT pg_monitor TO the role)"
    )
    assert found.rows == {}


def test_a_database_without_the_extension(watch: Callable[..., Watched], server: Server) -> None:
    found = answer(watch(dsn=server.dsn("template1")))
    assert found.failure.startswith('the database "template1" does not have the extension (hint: ')


@pytest.mark.in_public
def test_an_earlier_catalogue_has_less(watch: Callable[..., Watched], conn: Connection, db: str) -> None:
    wait(conn, submit(conn, "SELECT 1"))
    conn.execute("""
        ALTER EXTENSION pg_background DROP VIEW pg_background_histograms;
        DROP VIEW pg_background_histograms;
        ALTER EXTENSION pg_background DROP VIEW pg_background_totals;
        ALTER VIEW pg_background_totals RENAME TO newer;
        CREATE VIEW pg_background_totals AS
        SELECT database, role, launched, completed, failed, canceled, timed_out, lost, execution_ms, queue_ms,
               since
        FROM newer
    """)
    found = answer(watch())
    assert found.failure == ""
    assert set(found.rows) == {"totals", "live", "limits"}
    assert owner(found, "totals", db)["launched"] == 1
    conn.execute("DROP VIEW pg_background_totals")
    assert set(answer(watch()).rows) == {"live", "limits"}


def test_another_extension_of_that_name(
    watch: Callable[..., Watched], switch_db: Callable[[str], str], switch_server: Server
) -> None:
    found = answer(watch(dsn=switch_server.dsn(switch_db("2.0"))))
    assert "older than 3.0" in found.failure


def test_a_session_that_was_ended_is_opened_again(
    watch: Callable[..., Watched], monitor: str, conn: Connection
) -> None:
    watched = watch(user=monitor)
    for _ in range(2):
        assert answer(watched).failure == ""
        (pid,) = pids(conn, monitor)
        conn.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])


def test_answers_are_shared(watch: Callable[..., Watched], monitor: str, conn: Connection) -> None:
    watched = watch(user=monitor)
    answer(watched)
    with stopped(conn, monitor):
        asked = [watched.ask() for _ in range(5)]
        assert len(set(asked)) == 1
    assert asked[0].result(DEADLINE).failure == ""
    assert len(pids(conn, monitor)) == 1


def test_asked_again_after_there_was_no_thread(
    watch: Callable[..., Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    watched = watch()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError):
            watched.ask()
    assert answer(watched).failure == ""


def test_one_that_hangs_is_given_up(watch: Callable[..., Watched], monitor: str, conn: Connection) -> None:
    hanging, well = watch("hanging", user=monitor, limit=SHORT), watch("well")
    told: list[str] = []
    gathering = Gathering([hanging, well], limit=SHORT, tell=told.append)
    wait_until(lambda: not any(each.failure for each in gathering.answers()))
    told.clear()
    with stopped(conn, monitor):
        failures = {each.server: each.failure for each in gathering.answers()}
        assert failures["hanging"].startswith("no answer within ")
        # It may be late on a busy machine, but not because of the other one.
        assert failures["well"] == "" or failures["well"].startswith("no answer within")
        # Its session was given up too: the next one is asked over another.
        wait_until(lambda: not gathering.answers()[0].failure)
    assert [line for line in told if line.startswith("hanging: ")][-1] == "hanging: it answers again"
    # The session that hung has ended.
    wait_until(lambda: len(pids(conn, monitor)) == 1)


def test_one_that_never_lets_in(watch: Callable[..., Watched]) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        port = silent.getsockname()[1]
        dsn = f"host=127.0.0.1 port={port} user=me connect_timeout=2"
        gathering = Gathering([watch("silent", dsn=dsn, limit=SHORT)], limit=SHORT)
        (found,) = gathering.answers()
        assert found.failure.startswith("no answer within ")
        # Nobody else tries meanwhile.
        before = threading.active_count()
        gathering.answers()
        assert threading.active_count() <= before
    wait_until(lambda: "can't connect" in gathering.answers()[0].failure)


def test_less_time_than_the_limit(watch: Callable[..., Watched], monitor: str, conn: Connection) -> None:
    """Of one who waits less only its own answer is given up: another may still get one."""
    watched = watch(user=monitor)
    answer(watched)
    gathering = Gathering([watched], limit=LONG)
    with stopped(conn, monitor):
        (found,) = gathering.answers(0.01)
        assert found.failure.startswith("no answer within ")
        other = watched.ask()
    assert other.result(DEADLINE).failure == ""


def test_only_changes_are_told(watch: Callable[..., Watched], tmp_path: object) -> None:
    told: list[str] = []
    gathering = Gathering([watch(dsn=f"host={tmp_path}")], tell=told.append)
    for _ in range(3):
        gathering.answers()
    (line,) = told
    assert line.startswith("here: can't connect: ")


def test_behind_a_pooler(watch: Callable[..., Watched], pooler: str, db: str) -> None:
    """Each transaction may be another session's."""
    watched = watch(dsn=pooler, dbname=db)
    for _ in range(8):
        assert answer(watched).failure == ""


def pids(conn: Connection, role: str) -> list[int]:
    """Return the processes of a role's sessions."""
    return [pid for (pid,) in conn.execute("SELECT pid FROM pg_stat_activity WHERE usename = %s", [role])]


@contextmanager
def stopped(conn: Connection, role: str) -> Iterator[None]:
    """Let a role's session do nothing, for the block."""
    (pid,) = pids(conn, role)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
