"""The process that writes the history ends when it is asked to, and does all of its work."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ..support.calls import query, value
from ..support.fix_db import Connect, Connection
from ..support.fix_server import FreshServer
from ..support.histories import labels, row, writers
from ..support.jobs import cancel, launch, run, start, wait, wait_until_asleep
from ..support.points import Scene
from ..support.server import Server
from ..support.waiting import wait_until, wait_until_equal

OLD_ROWS = 100_000

#: Old rows are deleted in a hundred goes, of which each takes a while.
OLD = f"""
INSERT INTO pg_background_history_rows (role_oid, label, state, finished_at)
  SELECT 10, 'old', 'stopped', now() - interval '8 days' FROM generate_series(1, {OLD_ROWS});
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN PERFORM pg_catalog.pg_sleep(0.5); RETURN NULL; END $$;
CREATE TRIGGER slow AFTER DELETE ON pg_background_history_rows EXECUTE FUNCTION slow();
"""


def old_rows(conn: Connection) -> int:
    return int(value(conn, "SELECT count(*) FROM pg_background_history_rows WHERE label = 'old'"))


@pytest.fixture
def own_server(fresh_server: FreshServer) -> Server:
    """One on which all jobs go into the history, and the process that writes soon has no more to do."""
    server = fresh_server({"pg_background.history": "on", "pg_background.worker_idle_timeout": "100ms"})
    server.execute("CREATE EXTENSION IF NOT EXISTS pg_background")
    return server


@pytest.fixture
def pruned(own_server: Server) -> Server:
    """One that has begun to delete old rows."""
    with own_server.connect() as conn:
        conn.execute(OLD.encode())
        assert wait(conn, launch(conn, "SELECT 1"))
        wait_until(lambda: old_rows(conn) < OLD_ROWS)
    return own_server


def test_old_rows_go_while_jobs_go_on(conn: Connection) -> None:
    """Also where more jobs end than can be written."""
    conn.execute("SET pg_background.history = on")
    conn.execute(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_catalog.pg_sleep(0.05); RETURN NEW; END $$"
    )
    conn.execute(
        "CREATE TRIGGER slow BEFORE INSERT ON pg_background_history_rows"
        " FOR EACH ROW WHEN (NEW.label IS NULL) EXECUTE FUNCTION slow()"
    )
    conn.execute(
        "INSERT INTO pg_background_history_rows (role_oid, label, state, finished_at)"
        " SELECT 10, 'old', 'stopped', now() - interval '8 days'"
    )

    def run_some() -> bool:
        for _ in range(50):
            assert run(conn, "SELECT 1", "n int") == [(1,)]
        return old_rows(conn) == 0

    wait_until(run_some)


def test_the_server_stops_while_old_rows_are_deleted(pruned: Server) -> None:
    pruned.restart()
    with pruned.connect() as conn:
        assert old_rows(conn) > 0


def test_they_are_for_ever_from_now_on(pruned: Server) -> None:
    """Once that is said no more of them go, and the process leaves."""
    with pruned.connect() as conn, pruned.alter_system({"pg_background.history_retention": -1}):
        # What it writes meanwhile makes it read the configuration.
        assert wait(conn, launch(conn, "SELECT 1", label="meanwhile"))
        row(conn, "meanwhile")
        wait_until(lambda: not writers(conn))
        assert old_rows(conn) > 0


def test_the_server_stops_while_a_trigger_takes_long(own_server: Server) -> None:
    with own_server.connect() as conn:
        conn.execute(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM pg_catalog.pg_sleep(3600); RETURN NEW; END $$"
        )
        conn.execute(
            "CREATE TRIGGER slow BEFORE INSERT ON pg_background_history_rows"
            " FOR EACH ROW EXECUTE FUNCTION slow()"
        )
        assert wait(conn, launch(conn, "SELECT 1"))
        ((pid,),) = wait_until(lambda: writers(conn))
        wait_until_asleep(conn, pid)
    assert own_server.cluster.stop("fast", timeout=30)


def test_a_row_that_ends_the_process(scene: Scene) -> None:
    """It is left out, after some tries: processes are not started for it for ever."""
    keeper = scene.connect()
    keeper.execute("SET pg_background.history = on")
    mark = scene.server.log.mark()
    with scene.point("history_before_commit", "fatal"):
        assert wait(keeper, launch(keeper, "SELECT 1", label="ends it"))
        scene.server.log.wait_for("LOG:  background jobs that are left out of the history: 1", mark)
    assert wait(keeper, launch(keeper, "SELECT 1", label="after it"))
    row(keeper, "after it")
    assert labels(keeper) == ["after it"]


def test_an_error_is_no_end_of_the_process(conn: Connection, server: Server, db: str) -> None:
    """Although the owner of the database can have it so in sessions."""
    conn.execute(f"ALTER DATABASE {db} SET exit_on_error = on".encode())
    conn.execute("ALTER TABLE pg_background_history_rows ADD CHECK (label <> 'refused')")
    conn.execute("SET pg_background.history = on")
    mark = server.log.mark()
    assert wait(conn, launch(conn, "SELECT 1", label="refused"))
    server.log.wait_for("LOG:  background jobs that are left out of the history: 1", mark)
    assert "FATAL" not in server.log.since(mark)


def test_another_table_takes_its_name_meanwhile(scene: Scene) -> None:
    """The owner of the schema can do that, and would have his triggers run as the owner of the history."""
    keeper, schemas = scene.connect(), scene.connect()
    keeper.execute("SET pg_background.history = on")
    assert wait(keeper, launch(keeper, "SELECT 1", label="first"))
    row(keeper, "first")
    keeper.execute("CREATE SCHEMA evil")
    keeper.execute(
        "CREATE TABLE evil.pg_background_history_rows (LIKE pg_background_history_rows INCLUDING ALL)"
    )
    mark = scene.server.log.mark()
    with scene.point("history_before_rows") as point:
        assert wait(keeper, launch(keeper, "SELECT 1", label="second"))
        point.reached()
        schemas.execute("ALTER SCHEMA public RENAME TO away")
        schemas.execute("ALTER SCHEMA evil RENAME TO public")
    scene.server.log.wait_for("LOG:  could not write the history .*: another table has taken the name", mark)
    written = "SELECT label FROM {}.pg_background_history_rows ORDER BY id"
    wait_until_equal(lambda: query(schemas, written.format("away")), [("first",), ("second",)])
    assert query(schemas, written.format("public")) == []


def test_one_in_another_database_that_never_ran(
    conn: Connection, connect: Connect, make_db: Callable[[str], str]
) -> None:
    """It is in the history there, by the setting that is in force there."""
    there, without = make_db("there"), make_db("without")
    conn.execute(f"ALTER DATABASE {there} SET pg_background.history = on".encode())
    conn.execute("SET pg_background.max_workers = 1")
    for name in (there, without):
        runs = start(conn, "SELECT pg_sleep(3600)", database=name, label="runs")
        queued = start(conn, "SELECT 1", database=name, on_full="queue", label="never ran")
        cancel(conn, queued)
        cancel(conn, runs)
        assert wait(conn, runs)
    wait_until_equal(lambda: sorted(labels(connect(there))), ["never ran", "runs"])
    conn.execute("SET pg_background.history = on")
    assert wait(conn, launch(conn, "SELECT 1", label="after them"))
    row(conn, "after them")
    assert labels(connect(without)) == []
