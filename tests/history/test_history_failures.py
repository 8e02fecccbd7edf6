"""Whatever becomes of the history, it is no matter of the jobs."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from ..support.calls import value
from ..support.fix_db import Connect, Connection
from ..support.fix_server import FreshServer
from ..support.fix_standby import MakePair
from ..support.histories import labels, row, writers
from ..support.jobs import closed_gate, launch, result, run, start, wait
from ..support.outcomes import outcome
from ..support.points import Scene
from ..support.server import Server
from ..support.waiting import wait_until, wait_until_equal

FAILED = "could not write the history of background jobs"


@pytest.fixture
def keeper(conn: Connection) -> Connection:
    """A session whose jobs go into the history."""
    conn.execute("SET pg_background.history = on")
    return conn


def test_the_table_is_gone(keeper: Connection, server: Server) -> None:
    """One with its name that is not part of the extension is not written."""
    keeper.execute("ALTER EXTENSION pg_background DROP VIEW pg_background_history")
    keeper.execute("ALTER EXTENSION pg_background DROP TABLE pg_background_history_rows")
    keeper.execute("ALTER EXTENSION pg_background DROP SEQUENCE pg_background_history_rows_id_seq")
    for _ in range(3):
        assert run(keeper, "SELECT 1", "n int") == [(1,)]
    wait_until(lambda: writers(keeper))
    wait_until(lambda: not writers(keeper))
    assert value(keeper, "SELECT count(*) FROM pg_background_history_rows") == 0
    keeper.execute("DROP VIEW pg_background_history")
    keeper.execute("DROP TABLE pg_background_history_rows")
    assert run(keeper, "SELECT 1", "n int") == [(1,)]


def test_a_table_that_depends_on_it(keeper: Connection) -> None:
    """Is none of its members: the name alone does not make it the history."""
    keeper.execute("ALTER EXTENSION pg_background DROP VIEW pg_background_history")
    keeper.execute("ALTER EXTENSION pg_background DROP TABLE pg_background_history_rows")
    # As an index or a function may, a superuser makes it go with the extension.
    keeper.execute(
        "INSERT INTO pg_depend SELECT 'pg_class'::regclass, 'pg_background_history_rows'::regclass, 0,"
        " 'pg_extension'::regclass, oid, 0, 'n' FROM pg_extension WHERE extname = 'pg_background'"
    )
    assert run(keeper, "SELECT 1", "n int") == [(1,)]
    wait_until(lambda: writers(keeper))
    wait_until(lambda: not writers(keeper))
    assert value(keeper, "SELECT count(*) FROM pg_background_history_rows") == 0


def test_the_extension_is_gone_and_comes_again(keeper: Connection) -> None:
    assert wait(keeper, launch(keeper, "SELECT 1", label="first"))
    row(keeper, "first")
    keeper.execute("DROP EXTENSION pg_background")
    keeper.execute("CREATE EXTENSION pg_background")
    assert wait(keeper, launch(keeper, "SELECT 1", label="second"))
    row(keeper, "second")
    assert labels(keeper) == ["second"]


def test_rows_that_the_table_refuses(keeper: Connection, server: Server) -> None:
    """They are left out, and the others are not."""
    mark = server.log.mark()
    keeper.execute("ALTER TABLE pg_background_history_rows ADD CHECK (label <> 'refused')")
    handles = [launch(keeper, "SELECT 1", label=label) for label in ("before", "refused", "after")]
    assert all(wait(keeper, handle) for handle in handles)
    assert server.log.wait_for(f"LOG:  {FAILED}: new row for relation", mark)
    assert server.log.wait_for("LOG:  background jobs that are left out of the history: 1", mark)
    wait_until_equal(lambda: sorted(labels(keeper)), ["after", "before"])
    assert outcome(keeper, handles[1]).state == "stopped"


def test_the_table_is_locked(keeper: Connection, connect: Connect) -> None:
    """Jobs go on, and their rows come when it is free."""
    with connect(autocommit=False) as locker:
        locker.execute("LOCK TABLE pg_background_history_rows")
        for number in range(5):
            assert run(keeper, "SELECT 1", "n int") == [(1,)]
            assert wait(keeper, launch(keeper, "SELECT 1", label=str(number)))
        wait_until(
            lambda: value(
                keeper,
                "SELECT count(*) FROM pg_locks WHERE NOT granted"
                " AND relation = 'pg_background_history_rows'::regclass",
            )
        )
    for number in range(5):
        row(keeper, str(number))


def test_in_another_schema(keeper: Connection) -> None:
    assert wait(keeper, launch(keeper, "SELECT 1", label="here"))
    row(keeper, "here")
    keeper.execute("CREATE SCHEMA elsewhere")
    keeper.execute("ALTER EXTENSION pg_background SET SCHEMA elsewhere")
    keeper.execute("SET search_path = elsewhere, public")
    assert wait(keeper, launch(keeper, "SELECT 1", label="there"))
    row(keeper, "there")
    assert labels(keeper) == ["here", "there"]


def test_more_jobs_than_there_are_entries(fresh_server: FreshServer) -> None:
    server = fresh_server({"pg_background.max_jobs": 16, "pg_background.reserved_jobs": 0})
    with server.connect() as keeper, server.connect(autocommit=False) as locker:
        keeper.execute("CREATE EXTENSION IF NOT EXISTS pg_background")
        keeper.execute("SET pg_background.history = on")
        locker.execute("LOCK TABLE pg_background_history_rows")
        mark = server.log.mark()
        for number in range(40):
            assert run(keeper, f"SELECT {number}", "n int") == [(number,)]
        locker.rollback()

        def missing() -> int:
            # Told as it comes to be known, in one line or in several.
            return sum(map(int, re.findall(r"missing in the history.*: (\d+)\n", server.log.since(mark))))

        wait_until(lambda: len(labels(keeper)) + missing() == 40)
        assert missing() >= 20


@pytest.mark.parametrize("end", ["error", "fatal"])
def test_the_process_that_writes_fails(scene: Scene, end: str) -> None:
    keeper = scene.connect()
    keeper.execute("SET pg_background.history = on")
    with scene.point("history_before_commit", end):
        mark = scene.server.log.mark()
        assert run(keeper, "SELECT 1", "n int") == [(1,)]
        scene.server.log.wait_for(f"{end}.* at debug point history_before_commit", mark)
        assert labels(keeper) == []
    wait_until_equal(lambda: len(labels(keeper)), 1)


@pytest.mark.crashes
def test_the_process_that_writes_is_terminated(keeper: Connection) -> None:
    """It writes what is due first, and another one comes for what is due later."""
    assert wait(keeper, launch(keeper, "SELECT 1", label="first"))
    row(keeper, "first")
    ((pid,),) = wait_until(lambda: writers(keeper))
    keeper.execute("SELECT pg_terminate_backend(%s)", [pid])
    assert wait(keeper, launch(keeper, "SELECT 1", label="second"))
    row(keeper, "second")
    wait_until(lambda: (pid,) not in writers(keeper))
    assert labels(keeper) == ["first", "second"]


def test_a_database_that_takes_no_connections(
    keeper: Connection, connect: Connect, make_db: Callable[[str], str], server: Server
) -> None:
    """Its jobs are forgotten: nobody tries for ever."""
    closed = make_db("closed")
    session = connect(closed)
    session.execute("SET pg_background.history = on")
    with closed_gate(connect(closed)) as gate:
        handle = launch(session, gate.sql)
        keeper.execute(f"ALTER DATABASE {closed} ALLOW_CONNECTIONS false".encode())
        mark = server.log.mark()
    assert wait(session, handle)
    refused = r'"pg_background history" \(PID \d+\) exited with exit code 1'
    server.log.wait_for(refused, mark)
    for _ in range(2):
        # The next process of this database comes after the others' turn.
        assert wait(keeper, launch(keeper, "SELECT 1", label="open"))
    wait_until_equal(lambda: labels(keeper), ["open", "open"])
    assert len(re.findall(refused, server.log.since(mark))) == 1


def test_a_database_without_the_extension(
    keeper: Connection, connect: Connect, make_db: Callable[[str], str]
) -> None:
    plain = make_db("plain")
    with connect(plain) as session:
        session.execute("DROP EXTENSION pg_background")
    keeper.execute(f"ALTER DATABASE {plain} SET pg_background.jobs_from_other_databases = on".encode())
    keeper.execute(f"ALTER DATABASE {plain} SET pg_background.history = on".encode())
    handle = start(keeper, "SELECT 1", database=plain, label="there")
    assert result(keeper, handle, "n int") == [(1,)]
    assert wait(keeper, launch(keeper, "SELECT 1", label="here"))
    row(keeper, "here")


def test_in_the_database_of_the_job(
    conn: Connection, connect: Connect, make_db: Callable[[str], str]
) -> None:
    """By the setting that is in force there."""
    there = make_db("there")
    conn.execute(f"ALTER DATABASE {there} SET pg_background.jobs_from_other_databases = on".encode())
    conn.execute(f"ALTER DATABASE {there} SET pg_background.history = on".encode())
    handle = start(conn, "SELECT 1", database=there, label="away")
    assert result(conn, handle, "n int") == [(1,)]
    row(connect(there), "away")
    assert labels(conn) == []


def test_on_a_standby(make_pair: MakePair) -> None:
    pair = make_pair({"pg_background.history": "on"})
    pair.primary.execute("CREATE EXTENSION IF NOT EXISTS pg_background")
    pair.replay()
    with pair.standby.connect() as session:
        for _ in range(3):
            assert run(session, "SELECT 1", "n int") == [(1,)]
        assert writers(session) == []
        assert labels(session) == []
