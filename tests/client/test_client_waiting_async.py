"""Waiting for jobs, one or very many, takes up nothing: neither in the server nor of the client."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.rows import TupleRow

from pg_background import AsyncClient, AsyncJob
from pg_background.client import _watch_async as watching
from pg_background.client import many_async as many
from pg_background.client._watch_async import AsyncWatch
from pg_background.client.many_async import AsyncEnds
from pg_background.client.model import Handle, Outcome

from ..support.fix_client import Place
from ..support.fix_db import Connection
from ..support.fix_server import FreshServer
from ..support.jobs import closed_gate
from ..support.waiting import wait_until_sql

AnyClient = AsyncClient[TupleRow]

#: The client's sessions.
SESSIONS = """
FROM pg_stat_activity AS a WHERE application_name = 'pg_background' AND backend_type = 'client backend'
AND datname = current_database()
"""

#: Those that only listen.
LISTENING = f"{SESSIONS} AND query LIKE 'LISTEN%'"

#: Those at work, or with a snapshot or a lock: none, but for the moment of a question.
AT_WORK = f"""
SELECT count(*) {SESSIONS}
AND (state <> 'idle' OR backend_xmin IS NOT NULL OR EXISTS (SELECT FROM pg_locks AS l WHERE l.pid = a.pid))
"""


async def test_a_thousand_jobs_over_one_connection(fresh_server: FreshServer) -> None:
    server = fresh_server({"pg_background.max_jobs": 1100})
    async with await AsyncClient.connect(server.dsn()) as aclient:
        with server.connect() as side, closed_gate(side) as gate:
            jobs = [
                await aclient.launch(f"SELECT {n} FROM ({gate.sql}) AS gate", on_full="queue")
                for n in range(1000)
            ]
            assert await aclient.wait_any(jobs, 0.05) is None
            wait_until_sql(side, AT_WORK, expected=0)
            # One that works, one that listens.
            wait_until_sql(side, f"SELECT count(*) <= 2 {SESSIONS}")
            assert await jobs[-1].state == "queued"
        ended = [job async for job in aclient.as_completed(jobs)]
        assert len(set(ended)) == 1000
        assert sorted([(await job.result()).value() for job in ended]) == list(range(1000))


@pytest.fixture
def sleepless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients listen soon, and then rely on notices alone."""
    monkeypatch.setattr(watching, "LATE", 0.002)
    monkeypatch.setattr(watching, "SAFE", 3600.0)


async def listening(aclient: AnyClient, job: AsyncJob[TupleRow]) -> None:
    """Wait until the client hears of a job's end."""
    while not aclient.session.is_listening:
        assert not await job.wait(0.01)


@pytest.mark.usefixtures("sleepless")
async def test_finished_jobs_announce_themselves(aclient: AnyClient, side: Connection) -> None:
    with closed_gate(side) as gate:
        jobs = [await aclient.launch(f"{gate.sql}; SELECT 1 / {n}") for n in range(3)]
        await listening(aclient, jobs[0])
    assert await aclient.wait_all(jobs)
    assert [await job.state for job in jobs] == ["error", "stopped", "stopped"]


@pytest.mark.usefixtures("sleepless")
async def test_what_gives_no_notice_is_asked_for(aclient: AnyClient, side: Connection) -> None:
    """Jobs of other databases notify there; those of others may not notify at all."""
    with closed_gate(side) as gate:
        near = await aclient.launch(gate.sql)
        await listening(aclient, near)
        far = await aclient.launch("SELECT pg_sleep(0.05)", database="postgres")
        assert (await far.result()).rowcount == 1
        row = side.execute("SELECT pid, cookie FROM pg_background_launch('SELECT pg_sleep(0.05)')").fetchone()
        assert row is not None
        assert await aclient.attach(*row).wait()


async def test_a_listener_that_is_lost(
    aclient: AnyClient, side: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "LATE", 0.002)
    with closed_gate(side) as gate:
        job = await aclient.launch(gate.sql)
        await listening(aclient, job)
        side.execute(f"SELECT pg_terminate_backend(pid, 60000) {LISTENING}".encode())
        # Another one comes.
        while side.execute(f"SELECT count(*) {LISTENING}".encode()).fetchone() == (0,):
            assert not await job.wait(0.01)
        await listening(aclient, job)
    assert await job.wait()


@pytest.mark.parametrize("statement", ["CREATE INDEX CONCURRENTLY ON t (a)", "REINDEX TABLE CONCURRENTLY t"])
async def test_what_waits_for_all_snapshots(aclient: AnyClient, side: Connection, statement: str) -> None:
    side.execute("CREATE TABLE t AS SELECT generate_series(1, 100) AS a")
    result = await aclient.run(statement)
    assert result.statusmessage == statement.split(" TABLE")[0].split(" CONC")[0]


async def test_the_same_over_a_connection_that_begins_transactions(place: Place) -> None:
    async with await psycopg.AsyncConnection.connect(place.dsn()) as connection:
        await connection.execute("CREATE TABLE t AS SELECT generate_series(1, 100) AS a")
        await connection.commit()
        async with AsyncClient(connection) as client:
            assert (await client.run("CREATE INDEX CONCURRENTLY ON t (a)")).statusmessage == "CREATE INDEX"


async def test_a_wait_in_a_transaction_that_holds_the_job_up(place: Place) -> None:
    async with await psycopg.AsyncConnection.connect(place.dsn()) as connection:
        await connection.execute("CREATE TABLE t (a int)")
        await connection.commit()
        await connection.execute("LOCK TABLE t")
        client = AsyncClient(connection)
        job = await client.launch("SELECT count(*) FROM t")
        with pytest.raises(psycopg.errors.DeadlockDetected, match="open transaction"):
            await job.wait()
        await connection.rollback()
        assert await job.result() == [(0,)]


async def test_the_client_works_while_it_waits(aclient: AnyClient, side: Connection) -> None:
    with closed_gate(side) as gate:
        held_up = await aclient.launch(gate.sql)
        assert [
            result.value() async for result in aclient.map("SELECT %s", [[n] for n in range(20)])
        ] == list(range(20))
        assert not await held_up.done()
    assert await held_up.wait()


async def test_as_completed_takes_them_as_they_end(aclient: AnyClient, side: Connection) -> None:
    with closed_gate(side) as gate:
        last = await aclient.launch(gate.sql, label="last")
        first = await aclient.launch("SELECT 1", label="first")
        ends = aclient.as_completed([last, first])
        assert await anext(ends) is first
    assert await anext(ends) is last
    assert [job async for job in aclient.as_completed([last, first])] == [last, first]
    none: list[AsyncJob[TupleRow]] = []
    assert [job async for job in aclient.as_completed(none)] == []


async def test_time_limits_of_waits_for_many(aclient: AnyClient, side: Connection) -> None:
    with closed_gate(side) as gate:
        held_up = await aclient.launch(gate.sql)
        quick = await aclient.launch("SELECT 1")
        assert await aclient.wait_any([held_up, quick]) is quick
        assert await aclient.wait_any([held_up], 0.01) is None
        assert not await aclient.wait_all([held_up, quick], 0.01)
        with pytest.raises(TimeoutError, match=r"1 of 2 jobs have not ended in 0.01 s, and go on"):
            _ = [job async for job in aclient.as_completed([held_up, quick], timeout=0.01)]
    assert await aclient.wait_all([held_up, quick])
    with pytest.raises(ValueError, match="no jobs"):
        await aclient.wait_any([])


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long each wait for the next of several jobs is told to last."""
    told: list[float] = []

    class Noting(AsyncEnds[AsyncJob[TupleRow]]):
        async def next(self, timeout: float | None = None) -> AsyncJob[TupleRow] | None:
            assert timeout is not None
            told.append(timeout)
            return await super().next(timeout)

    monkeypatch.setattr(many, "AsyncEnds", Noting)
    return told


@pytest.mark.parametrize("wait", ["as_completed", "wait_all"])
async def test_a_time_limit_is_for_all_of_them(aclient: AnyClient, patience: list[float], wait: str) -> None:
    """Of it each waits for what the others have left."""
    jobs = [await aclient.launch("SELECT 1") for _ in range(3)]
    if wait == "wait_all":
        assert await aclient.wait_all(jobs, 60)
    else:
        assert len([job async for job in aclient.as_completed(jobs, timeout=60)]) == 3
    first, second, third = patience
    assert 60 > first > second > third


async def test_map_keeps_the_order_and_the_limit(aclient: AnyClient, side: Connection) -> None:
    side.execute("CREATE TABLE seen (n int)")
    query = """
        WITH busy AS MATERIALIZED (
            SELECT count(*) AS jobs FROM pg_stat_activity WHERE backend_type = 'pg_background'
            AND state = 'active' AND datname = current_database() AND query LIKE '%%only here%%'
        )
        SELECT %(n)s, jobs, pg_sleep(CASE WHEN %(n)s = 0 THEN 0.05 ELSE 0 END) FROM busy
    """
    params = [{"n": n} for n in range(12)]
    results = [result.one() async for result in aclient.map(query, params, concurrency=3)]
    assert [row[0] for row in results] == list(range(12))
    assert max(row[1] for row in results) <= 3
    with pytest.raises(ValueError, match="at least 1"):
        aclient.map(query, params, concurrency=0)


async def test_map_stops_at_the_first_error(aclient: AnyClient, side: Connection) -> None:
    results = aclient.map("SELECT pg_sleep(%s), 1 / %s", [(0, 1), (0, 0), (3600, 1)], concurrency=3)
    assert (await anext(results)).one()[1] == 1
    with pytest.raises(psycopg.errors.DivisionByZero):
        await anext(results)
    wait_until_sql(
        side,
        "SELECT count(*) FROM pg_background_jobs WHERE database = current_database() "
        "AND state = 'running' AND sql_preview LIKE 'SELECT pg_sleep(($1%%'",
        expected=0,
    )


async def test_leaving_map_cancels_what_runs(aclient: AnyClient, side: Connection) -> None:
    results = aclient.map("SELECT pg_sleep(%s)", [[0], [3600], [3600]], concurrency=3)
    await anext(results)
    await results.aclose()
    wait_until_sql(
        side,
        "SELECT count(*) FROM pg_background_jobs WHERE database = current_database() "
        "AND state = 'running' AND sql_preview LIKE 'SELECT pg_sleep(($1%%'",
        expected=0,
    )


async def test_closing_tells_who_waits(place: Place, side: Connection) -> None:
    client = await AsyncClient.connect(place.dsn())
    with closed_gate(side) as gate:
        job = await client.launch(gate.sql)
        assert not await job.wait(0)
        await client.close()
        with pytest.raises(RuntimeError, match="the client was closed"):
            await job.wait()
        with pytest.raises(psycopg.InterfaceError, match="the client is closed"):
            await client.run("SELECT 1")


async def test_a_wait_that_begins_when_the_client_is_closed(place: Place, side: Connection) -> None:
    calls: list[AsyncJob[TupleRow]] = []
    with closed_gate(side) as gate:
        client = await AsyncClient.connect(place.dsn())
        job = await client.launch(gate.sql)
        await client.close()
        job.add_done_callback(calls.append)
        with pytest.raises(RuntimeError, match="the client was closed"):
            await job.wait()
    assert calls == [job]


async def test_a_callback_that_fails_takes_none_from_the_others(aclient: AnyClient) -> None:
    """Also one that raises what ends a thread."""

    class EndOfThreadError(BaseException):
        pass

    def fail(error: BaseException) -> None:
        raise error

    watch = AsyncWatch(aclient.session._waits._watcher, is_notified=False)
    calls: list[str] = []
    watch.when_over(lambda: fail(LookupError()))
    watch.when_over(lambda: fail(EndOfThreadError()))
    watch.when_over(lambda: calls.append("called"))
    with pytest.raises(EndOfThreadError):
        watch.settle(None, RuntimeError("over"))
    assert calls == ["called"]


async def test_what_was_told_of_a_job_stays(aclient: AnyClient) -> None:
    """Its end comes once; who asks for it later is called at once."""
    watch = AsyncWatch(aclient.session._waits._watcher, is_notified=False)
    calls: list[str] = []
    watch.when_over(lambda: calls.append("before"))
    ended = Outcome(Handle(1, 2), "stopped", 1, "SELECT", None, None)
    watch.settle(ended)
    watch.settle(None, RuntimeError("the client was closed"))
    watch.when_over(lambda: calls.append("after"))
    assert (watch.outcome, watch.error) == (ended, None)
    assert calls == ["before", "after"]


async def test_no_notice_is_missed(aclient: AnyClient) -> None:
    """Jobs that end at about the time when the listener comes."""
    for n in range(20):
        job = await aclient.launch("SELECT pg_sleep(%s)", [n / 400])
        assert await job.wait()
