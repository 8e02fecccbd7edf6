"""A backfill that is stopped or killed is gone on with: nothing is done twice or left out."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from typing import Any

import psycopg
import pytest

from pg_background import AsyncClient, BackfillError
from pg_background.backfill.pace import Rate, next_size

from ..support.calls import value
from ..support.fix_db import Connect, Connection
from ..support.fix_standby import Pair
from ..support.server import Server
from ..support.waiting import wait_until_sql

COUNT = "UPDATE t SET times = times + 1 WHERE {range}"

RANGES = "SELECT count(*) FROM pg_background_backfill_range WHERE state = 'done'"


@pytest.fixture(autouse=True)
def table(request: pytest.FixtureRequest) -> None:
    """A table `t` whose rows count how often they were changed."""
    if "conn" in request.fixturenames:
        request.getfixturevalue("conn").execute(
            "CREATE TABLE t AS SELECT n AS k, 0 AS times FROM generate_series(1, 1000) AS n;"
            " ALTER TABLE t ADD PRIMARY KEY (k); ANALYZE t"
        )


def once(conn: Connection) -> None:
    """See that each row was changed once."""
    assert conn.execute("SELECT DISTINCT times FROM t").fetchall() == [(1,)]


async def test_stopped_by_another(
    aclient: AsyncClient[Any], server: Server, db: str, conn: Connection
) -> None:
    async with await AsyncClient.connect(server.dsn(db)) as other:
        fill = aclient.backfill(COUNT, "t", batch_size=10)
        asked: list[bool] = []

        def ask(progress: Any) -> None:
            if progress.ranges_done == 2:
                with server.connect(db) as session:
                    session.execute("UPDATE pg_background_backfill SET state = 'stopping'")
                asked.append(True)

        report = await fill.run(progress=ask)
        assert (report.state, report.is_complete, asked) == ("stopped", False, [True])
        assert 2 <= report.ranges_done < 100
        # There is nobody to be asked any more.
        assert not await other.backfill(name="t").stop()
        report = await other.backfill(name="t", batch_size=200).resume()
        assert (report.state, report.is_complete, report.rows) == ("done", True, 1000)
        # What is done stays so.
        assert await other.backfill(name="t").resume() == await other.backfill(name="t").report()
    once(conn)


async def test_interrupted(aclient: AsyncClient[Any], conn: Connection, connect: Connect) -> None:
    """What runs is rolled back; the state says that nobody works at it."""
    blocker = connect(autocommit=False)
    held_up = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND backend_type = 'pg_background' AND wait_event_type = 'Lock'"
    )

    class Told(BaseException):
        pass

    def interrupt(progress: Any) -> None:
        if progress.ranges_done == 1:
            blocker.execute("SELECT FROM t WHERE k BETWEEN 301 AND 400 FOR UPDATE")
        if progress.ranges_done == 4:
            # The fourth range, as another has overtaken it.
            wait_until_sql(conn, held_up, expected=1)
            raise Told

    with pytest.raises(Told):
        await aclient.backfill(COUNT, "t", batch_size=100, jobs=2, lock_timeout=60).run(progress=interrupt)
    # Its jobs are gone while they still wait.
    wait_until_sql(
        conn,
        "SELECT count(*) FROM pg_background_jobs WHERE database = current_database()"
        " AND state IN ('queued', 'starting', 'running')",
        expected=0,
    )
    # What is detached is listed no more, and goes on.
    wait_until_sql(conn, held_up, expected=0)
    blocker.rollback()
    report = await aclient.backfill(name="t").report()
    assert report.state == "stopped"
    assert (await aclient.backfill(name="t").resume()).is_complete
    once(conn)


async def test_a_task_that_is_cancelled(aclient: AsyncClient[Any], conn: Connection) -> None:  # async only
    fill = aclient.backfill(COUNT + " AND pg_sleep(0.001) IS NOT NULL", "t", batch_size=10)
    begun = asyncio.Event()
    task = asyncio.create_task(fill.run(progress=lambda _: begun.set()))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await fill.report()).state == "stopped"
    await fill.resume()
    once(conn)


KILLED = """
import sys, pg_background as bg
with bg.connect(sys.argv[1]) as client:
    client.backfill(sys.argv[2], "t", batch_size=50, jobs=2, lock_timeout=60).run()
"""


async def test_a_process_that_is_killed(
    aclient: AsyncClient[Any], server: Server, db: str, conn: Connection, connect: Connect
) -> None:
    """Its jobs still run, and whoever goes on waits for them."""
    blocker = connect(autocommit=False)
    blocker.execute("SELECT FROM t WHERE k = 500 FOR UPDATE")
    process = subprocess.Popen([sys.executable, "-c", KILLED, server.dsn(db), COUNT])
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype IN ('transactionid', 'tuple')"
    wait_until_sql(conn, f"SELECT ({waiting}) > 0 AND to_regclass('pg_background_backfill') IS NOT NULL")
    # All the others are done meanwhile, and two more are launched by whoever goes on.
    wait_until_sql(conn, RANGES, expected=19)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (await aclient.backfill(name="t").report()).state == "running"
    # Its range is in another's hands, and not given up however often it is tried.
    tried: list[int] = []

    def release(progress: Any) -> None:
        tried.append(progress.retries)
        blocker.rollback()

    report = await aclient.backfill(name="t", lock_timeout=0.05, retries=1).resume(progress=release)
    assert (report.is_complete, report.rows, tried[0]) == (True, 1000, 1)
    assert report.waited["retry"] > 0
    once(conn)


async def test_two_at_once(aclient: AsyncClient[Any], server: Server, db: str, conn: Connection) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, server.dsn(db), COUNT + " AND pg_sleep(0.002) IS NOT NULL"]
    )
    wait_until_sql(conn, "SELECT to_regclass('pg_background_backfill_range') IS NOT NULL", expected=True)
    wait_until_sql(conn, "SELECT count(*) > 0 FROM pg_background_backfill_range")
    report = await aclient.backfill(name="t", jobs=2, lock_timeout=60).resume()
    assert process.wait() == 0
    assert report.is_complete
    once(conn)


async def test_locks_that_others_hold(aclient: AsyncClient[Any], conn: Connection, connect: Connect) -> None:
    blocker = connect(autocommit=False)
    blocker.execute("SELECT FROM t WHERE k = 150 FOR UPDATE")

    def release(progress: Any) -> None:
        # The pauses double: this one is long enough that a busy machine has nothing else to do meanwhile.
        if progress.retries == 5:
            blocker.rollback()

    fill = aclient.backfill(COUNT, "t", batch_size=100, lock_timeout=0.01)
    report = await fill.run(progress=release)
    assert (report.is_complete, report.retries) == (True, 5)
    assert report.waited["retry"] > 0
    once(conn)
    # Not for ever.
    blocker.execute("SELECT FROM t WHERE k = 150 FOR UPDATE")
    report = await aclient.backfill(COUNT, "t", name="again", lock_timeout=0.01, retries=1).run()
    assert [(error.sqlstate, error.tries) for error in report.errors] == [("55P03", 1)]


async def test_a_worker_that_dies(aclient: AsyncClient[Any], conn: Connection) -> None:
    """It is not known whether it had committed: the range itself tells."""
    conn.execute(
        "CREATE SEQUENCE deaths;"
        " CREATE FUNCTION lives(k int) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN"
        "   IF k = 150 AND nextval('deaths') = 1 THEN"
        "     PERFORM pg_terminate_backend(pg_backend_pid()), pg_sleep(60);"
        "   END IF; RETURN true; END $$"
    )
    report = await aclient.backfill(COUNT + " AND lives(k)", "t", batch_size=100, jobs=2).run()
    assert (report.is_complete, report.retries) == (True, 1)
    once(conn)


async def test_a_ceiling_of_rows(aclient: AsyncClient[Any], conn: Connection) -> None:
    report = await aclient.backfill(COUNT, "t", batch_size=200, jobs=2, max_rows_per_second=4000).run()
    assert report.is_complete
    assert report.waited["rows"] > 0
    once(conn)


@pytest.mark.usefixtures("conn")
async def test_rows_that_are_not_changed_are_free(
    aclient: AsyncClient[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A range is counted with all its rows when it begins, and in the end with those that it has changed."""
    ends: list[tuple[int, int]] = []
    end = Rate.end

    def note(self: Rate, expected: int, changed: int) -> None:
        ends.append((expected, changed))
        end(self, expected, changed)

    monkeypatch.setattr(Rate, "end", note)
    report = await aclient.backfill(
        COUNT + " AND k % 100 = 1", "t", batch_size=200, max_rows_per_second=100_000
    ).run()
    assert (report.is_complete, report.rows) == (True, 10)
    assert ends == [(200, 2)] * 5


async def test_what_was_waited_is_kept(aclient: AsyncClient[Any], conn: Connection) -> None:
    """Of all who have worked at it."""

    def stop(progress: Any) -> None:
        if progress.ranges_done == 2:
            conn.execute("UPDATE pg_background_backfill SET state = 'stopping'")

    fill = aclient.backfill(COUNT, "t", batch_size=100, jobs=1, max_rows_per_second=400)
    first = await fill.run(progress=stop)
    assert first.state == "stopped"
    assert first.waited["rows"] > 0
    last = await aclient.backfill(name="t", max_rows_per_second=1_000_000).resume()
    assert last.is_complete
    assert last.waited["rows"] >= first.waited["rows"]


async def test_as_many_jobs_as_were_said(aclient: AsyncClient[Any], conn: Connection) -> None:
    conn.execute(
        "CREATE FUNCTION alone() RETURNS bool LANGUAGE plpgsql AS $$ BEGIN"
        "   IF NOT pg_try_advisory_xact_lock(41) THEN RAISE 'another is at work'; END IF;"
        "   PERFORM pg_sleep(0.05); RETURN true; END $$"
    )
    report = await aclient.backfill(COUNT + " AND (SELECT alone())", "t", batch_size=200, jobs=1).run()
    assert [error.message for error in report.errors] == []
    assert report.is_complete
    once(conn)


def test_the_rate() -> None:
    now = [100.0]
    rate = Rate(100, lambda: now[0])
    assert rate.wait() == 0
    rate.begin(50)
    rate.begin(50)
    assert rate.wait() == pytest.approx(1)
    # The second half changed nothing.
    rate.end(50, 50)
    rate.end(50, 0)
    assert rate.wait() == pytest.approx(0.5)
    now[0] += 10
    assert rate.wait() == 0
    rate.begin(1)
    assert rate.wait() == pytest.approx(0.01)


def test_the_size_of_the_next_range() -> None:
    assert next_size(1000, 1000, 1.0, 1.0) == 1000
    assert next_size(1000, 1000, 1.5, 1.2) == 800
    assert next_size(1000, 1000, 0.0, 1.0) == 2000
    assert next_size(1000, 1000, 100, 1.0) == 500
    assert next_size(1, 1, 100, 1.0) == 1
    assert next_size(1_000_000, 1_000_000, 0.1, 1.0) == 1_000_000


async def test_a_ceiling_of_active_sessions(
    aclient: AsyncClient[Any], conn: Connection, connect: Connect
) -> None:
    """While others are at work no range begins."""
    busy = connect()
    pid = busy.info.backend_pid
    active = f"SELECT state = 'active' FROM pg_stat_activity WHERE pid = {pid}"

    def work(progress: Any) -> None:
        if progress.ranges_done == 1:
            busy.pgconn.send_query(b"SELECT pg_sleep(1)")
            wait_until_sql(conn, active)

    report = await aclient.backfill(COUNT, "t", batch_size=100, max_active=0).run(progress=work)
    assert report.is_complete
    assert report.waited["active"] > 0
    # It has waited until then.
    wait_until_sql(conn, active, expected=False)
    once(conn)


async def test_a_query_that_looks_hidden(
    aclient: AsyncClient[Any], conn: Connection, connect: Connect
) -> None:
    """Anybody can send the text that the server shows instead of a query."""
    other = connect()
    with pytest.raises(psycopg.errors.SyntaxError):
        other.execute("<insufficient privilege>")
    assert (await aclient.backfill(COUNT, "t", max_active=100).run()).is_complete
    once(conn)


async def test_a_ceiling_of_lag(pair: Pair) -> None:
    primary, standby = pair
    primary.execute("CREATE DATABASE lagging")
    primary.execute("CREATE EXTENSION pg_background", "lagging")
    primary.execute(
        "CREATE TABLE t AS SELECT n AS k, 0 AS times FROM generate_series(1, 1000) AS n;"
        " ALTER TABLE t ADD PRIMARY KEY (k)",
        "lagging",
    )
    pair.replay()
    try:
        async with await AsyncClient.connect(primary.dsn("lagging")) as client:
            told: list[Any] = []

            def pause(progress: Any) -> None:
                if progress.ranges_done == 1:
                    standby.execute("SELECT pg_wal_replay_pause()")
                told.append(progress.ranges_done)

            fill = client.backfill(COUNT, "t", batch_size=100, max_lag=0, on_error="stop")
            stopper = subprocess.Popen([sys.executable, "-c", STOPPER, primary.dsn("lagging")])
            report = await fill.run(progress=pause)
            assert stopper.wait() == 0
            assert report.state == "stopped"
            assert report.ranges_done < 10
            assert report.waited["lag"] > 0
            standby.execute("SELECT pg_wal_replay_resume()")
            report = await client.backfill(name="t", max_lag=100_000_000).resume()
            assert (report.is_complete, report.rows) == (True, 1000)
    finally:
        standby.execute("SELECT pg_wal_replay_resume()")
        primary.execute("DROP DATABASE lagging WITH (FORCE)")


#: Stops a backfill when a range is done and the standby stands still.
STOPPER = """
import sys, time, psycopg, pg_background as bg
with psycopg.connect(sys.argv[1], autocommit=True) as conn, bg.connect(sys.argv[1]) as client:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            row = conn.execute(
                "SELECT count(*) FROM pg_background_backfill_range WHERE state = 'done'"
            ).fetchone()
        except psycopg.errors.UndefinedTable:
            continue
        behind = conn.execute(
            "SELECT max(pg_current_wal_lsn() - replay_lsn) > 0 FROM pg_stat_replication"
        ).fetchone()
        if row[0] and behind[0]:
            # It waits by then, as it looks before each range.
            time.sleep(1)
            client.backfill(name="t").stop()
            break
"""


async def test_without_a_backfill(aclient: AsyncClient[Any], conn: Connection) -> None:
    fill = aclient.backfill(name="nothing")
    for attempt in (fill.resume, fill.stop, fill.report, fill.plan):
        with pytest.raises(BackfillError):
            await attempt()
    assert value(conn, "SELECT to_regclass('pg_background_backfill') IS NULL")
