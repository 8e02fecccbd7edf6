"""What a client is made from: a DSN, a connection, a pool or an engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import psycopg
import pytest
import pytest_asyncio
from psycopg.pq import TransactionStatus
from psycopg_pool import AsyncConnectionPool
from sqlalchemy.ext.asyncio import create_async_engine

from pg_background import AsyncClient, ConnectionLost
from pg_background.client.statements import NOTIFY_ENDS

from ..support.fix_client import Place
from ..support.fix_db import Connection
from ..support.jobs import FOREVER, closed_gate

KINDS = ("DSN", "connection", "autocommit", "pool", "engine")


@pytest_asyncio.fixture(params=KINDS)
async def origin(request: pytest.FixtureRequest, place: Place) -> AsyncIterator[Any]:
    """Each kind in turn."""
    async with AsyncExitStack() as stack:
        if request.param == "pool":
            yield await stack.enter_async_context(AsyncConnectionPool(place.dsn(), min_size=1, open=False))
        elif request.param == "engine":
            engine = create_async_engine(place.url("postgresql+psycopg"))
            yield engine
            await engine.dispose()
        elif request.param == "DSN":
            yield place.dsn()
        else:
            yield await stack.enter_async_context(
                await psycopg.AsyncConnection.connect(place.dsn(), autocommit=request.param == "autocommit")
            )


async def test_each_kind(origin: Any, side: Connection) -> None:
    async with await AsyncClient.connect(origin) as client:
        assert await client.run("SELECT %s", [1]) == [(1,)]
        with pytest.raises(psycopg.errors.DivisionByZero):
            await client.run("SELECT 1/0")
        jobs = [await client.launch("SELECT %s", [n]) for n in range(10)]
        assert await client.wait_all(jobs)
        assert [(await job.result()).value() for job in jobs] == list(range(10))
        with closed_gate(side) as gate:
            job = await client.launch(f"{gate.sql}; SELECT generate_series(1, 5)")
            assert not await job.wait(0.3)
        assert [len(page) async for page in job.fetch(2)] == [2, 2, 1]
        failing = await client.launch("SELECT 1 / (n - 3) FROM generate_series(1, 5) AS n")
        with pytest.raises(psycopg.errors.DivisionByZero):
            _ = [page async for page in failing.fetch(2)]


async def test_what_was_given_stays_open(place: Place) -> None:
    async with await psycopg.AsyncConnection.connect(place.dsn()) as connection:
        async with AsyncClient(connection) as client:
            await client.run("SELECT 1")
            assert connection.info.transaction_status == TransactionStatus.IDLE
        assert not connection.closed


async def test_an_open_transaction_stays_as_it_is(place: Place) -> None:
    async with await psycopg.AsyncConnection.connect(place.dsn()) as connection:
        client = AsyncClient(connection)
        await connection.execute("CREATE TABLE t (a int)")
        with pytest.raises(psycopg.errors.DivisionByZero):
            await client.run("SELECT 1/0")
        with pytest.raises(psycopg.errors.StringDataRightTruncation):
            await client.launch("SELECT 1", label="x" * 65)
        assert connection.info.transaction_status == TransactionStatus.INTRANS
        await connection.execute("SET LOCAL work_mem = '3MB'")
        assert (await client.run("SHOW work_mem", timeout=60)).value() == "3MB"
        await connection.execute("INSERT INTO t VALUES (1)")
        await connection.rollback()
        assert (await client.run("SELECT to_regclass('t')")).value() is None


async def test_a_failed_transaction_is_the_callers(place: Place) -> None:
    async with await psycopg.AsyncConnection.connect(place.dsn()) as connection:
        client = AsyncClient(connection)
        with pytest.raises(psycopg.errors.DivisionByZero):
            await connection.execute("SELECT 1/0")
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            await client.run("SELECT 1")
        await connection.rollback()
        assert await client.run("SELECT 1") == [(1,)]


async def test_what_no_client_is_made_from(place: Place) -> None:
    with pytest.raises(TypeError, match="not from int"):
        AsyncClient(5)  # type: ignore[call-overload]
    connection = await psycopg.AsyncConnection.connect(place.dsn())
    with pytest.raises(TypeError, match="only beside a DSN"):
        AsyncClient(connection, connect_timeout=1)
    await connection.close()
    with pytest.raises(psycopg.OperationalError):
        await AsyncClient.connect("host=/nowhere")


async def test_connection_parameters(place: Place) -> None:
    async with AsyncClient(place.dsn(), options="-c work_mem=4321kB") as client:
        assert (await client.run("SHOW work_mem")).value() == "4321kB"


async def test_a_database_without_the_extension(place: Place) -> None:
    with pytest.raises(
        psycopg.ProgrammingError, match=r'"template1" does not have the extension[^$]*CREATE EX'
    ):
        await AsyncClient.connect(place.server.dsn("template1"))


async def test_the_extension_in_a_schema_of_its_own(place: Place) -> None:
    """Beside functions of the same names that the search_path finds first."""
    place.server.execute("CREATE DATABASE moved")
    place.server.execute('CREATE SCHEMA "my jobs"; CREATE EXTENSION pg_background SCHEMA "my jobs"', "moved")
    place.server.execute(
        "CREATE FUNCTION pg_background_outcome(int, bigint) RETURNS int LANGUAGE sql AS 'SELECT 1/0';"
        "CREATE FUNCTION unnest(int[]) RETURNS int LANGUAGE sql AS 'SELECT 1/0'",
        "moved",
    )
    try:
        dsn = place.server.dsn("moved", options="-c search_path=public,pg_catalog")
        async with await AsyncClient.connect(dsn) as client:
            job = await client.launch("SELECT %s", [1])
            assert await client.wait_all([job], progress=lambda *_: None)
            assert await job.result() == [(1,)]
            assert (await client.stats()).workers_launched == 1
    finally:
        place.server.execute("DROP DATABASE moved WITH (FORCE)")


async def test_a_broken_connection_is_replaced(place: Place, side: Connection) -> None:
    async with await AsyncClient.connect(place.dsn()) as client:
        with closed_gate(side) as gate:
            job = await client.launch(f"{gate.sql}; SELECT 7")
            assert not await job.wait(0.01)
            side.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'pg_background' AND backend_type = 'client backend' "
                "AND datname = current_database()"
            )
            assert not await job.wait(0.3)
        assert await job.result() == [(7,)]


async def test_what_changes_a_job_is_not_sent_twice(place: Place, side: Connection) -> None:
    """Unlike what is only asked: it may have been done before the connection broke."""
    async with await AsyncClient.connect(place.dsn()) as client:
        job = await client.launch(FOREVER)
        end = "SELECT count(pg_terminate_backend(pid, 20000)) FROM pg_stat_activity WHERE pid = %s"
        async with client.session.connection() as connection:
            pid = connection.info.backend_pid
        for change in (job.cancel, job.detach):
            assert side.execute(end, [pid]).fetchone() == (1,)
            with pytest.raises(ConnectionLost, match="whether the job goes on is not known"):
                await change()
            async with client.session.connection() as connection:
                pid = connection.info.backend_pid
        assert await job.state == "running"
        await job.discard()


async def test_a_broken_connection_that_cannot_be(place: Place, side: Connection) -> None:
    async with await psycopg.AsyncConnection.connect(place.dsn()) as connection:
        client = AsyncClient(connection)
        with closed_gate(side) as gate:
            job = await client.launch(gate.sql)
            await connection.close()
            with pytest.raises(ConnectionLost, match="the job goes on in the server") as caught:
                await job.result()
            assert caught.value.job_continues
            with pytest.raises(ConnectionLost) as caught:
                await client.launch("SELECT 1")
            assert caught.value.job_continues is None
        async with await AsyncClient.connect(place.dsn()) as another:
            assert (await another.attach(job.handle).result()).rowcount == 1


async def test_an_engine_without_a_server(place: Place) -> None:
    """The error is psycopg's, as with other sources."""
    engine = create_async_engine(place.url("postgresql+psycopg").replace(f"/{place.database}?", "/nowhere?"))
    with pytest.raises(psycopg.OperationalError, match='"nowhere" does not exist'):
        await AsyncClient.connect(engine)


async def test_a_connection_that_was_interrupted_before_it_was_ready(
    place: Place, side: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over it jobs would not tell of their ends."""
    async with await AsyncClient.connect(place.dsn()) as client:
        side.execute(
            "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity "
            "WHERE application_name = 'pg_background' AND datname = current_database()"
        )
        with pytest.raises(ConnectionLost):
            await client.launch("SELECT 1")
        real = psycopg.AsyncConnection.execute

        async def execute(connection: Any, query: Any, *arguments: Any, **options: Any) -> Any:
            if query == NOTIFY_ENDS:
                monkeypatch.undo()
                raise LookupError
            return await real(connection, query, *arguments, **options)

        monkeypatch.setattr(psycopg.AsyncConnection, "execute", execute)
        with pytest.raises(LookupError):
            await client.launch("SELECT 1")
        assert await client.run("SELECT 1") == [(1,)]
        async with client.session.connection() as connection:
            cursor = await connection.execute("SELECT current_setting('pg_background.notify_channel')")
            assert await cursor.fetchone() != ("",)


async def test_a_client_that_is_closed_while_it_connects(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = AsyncClient(place.dsn())
    opened = []
    real = psycopg.AsyncConnection.connect

    async def connect(*arguments: Any, **options: Any) -> Any:
        opened.append(await real(*arguments, **options))
        await client.close()
        return opened[0]

    monkeypatch.setattr(psycopg.AsyncConnection, "connect", connect)
    with pytest.raises(psycopg.InterfaceError, match="the client is closed"):
        await client.run("SELECT 1")
    assert [connection.closed for connection in opened] == [True]


async def test_a_connection_that_was_left_busy_is_replaced(place: Place) -> None:
    """As by somebody who was interrupted again while psycopg ended the statement."""
    async with await AsyncClient.connect(place.dsn()) as client:
        async with client.session.connection() as connection:
            connection.pgconn.send_query(b"SELECT 1")
        assert await client.run("SELECT 1") == [(1,)]
