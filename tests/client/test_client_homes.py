"""A client in a second event loop, and in a forked process: it works there, or says at once why it can't."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool
from sqlalchemy.ext.asyncio import create_async_engine

from pg_background import AsyncClient, AsyncJob

from ..support.fix_client import Place

AnyClient = AsyncClient[TupleRow]

#: So long that a connection listens for its end: in both loops.
NOTIFIED = "SELECT pg_sleep(0.5), 7"

#: Not over before something else is done.
LONG = "SELECT pg_sleep(2), 7"


def in_two_loops(client: AnyClient) -> list[Any]:
    """Launch in one event loop, read in another one, and run something in each."""

    async def first() -> AsyncJob[TupleRow]:
        assert (await client.run(NOTIFIED)).one()[1] == 7
        waiting = asyncio.ensure_future((await client.launch(LONG)).wait())
        job = await client.launch(LONG)
        # Ended by the loop's end, in the middle of a wait.
        assert not await job.wait(0.01)
        assert not waiting.done()
        return job

    async def second(job: AsyncJob[TupleRow]) -> list[Any]:
        read = [(await job.result()).one()[1], (await client.run(NOTIFIED)).one()[1]]
        await client.close()
        return read

    return asyncio.run(second(asyncio.run(first())))


def test_a_dsn_in_two_event_loops(place: Place) -> None:
    assert in_two_loops(AsyncClient(place.dsn())) == [7, 7]


def test_a_connection_in_two_event_loops(place: Place) -> None:
    connection = asyncio.run(psycopg.AsyncConnection.connect(place.dsn(), autocommit=True))
    assert in_two_loops(AsyncClient(connection)) == [7, 7]
    asyncio.run(connection.close())


def test_an_engine_in_two_event_loops(place: Place) -> None:
    engine = create_async_engine(place.url("postgresql+psycopg"))
    assert in_two_loops(AsyncClient(engine)) == [7, 7]
    asyncio.run(engine.dispose())
    with warnings.catch_warnings():
        # What the first loop had checked out goes now, and not in the middle of another test.
        warnings.simplefilter("ignore")
        del engine
        gc.collect()


def test_a_pool_belongs_to_its_event_loop(place: Place) -> None:
    async def first() -> AnyClient:
        pool = AsyncConnectionPool(place.dsn(), min_size=1, open=False)
        await pool.open()
        client = AsyncClient(pool)
        assert (await client.run("SELECT 1")).value() == 1
        await pool.close()
        return client

    client = asyncio.run(first())
    for _ in range(2):
        with pytest.raises(RuntimeError, match="belongs to an event loop that is closed"):
            asyncio.run(client.run("SELECT 1"))


def test_two_event_loops_at_once(place: Place) -> None:
    client = AsyncClient(place.dsn())
    loop = asyncio.new_event_loop()
    try:
        assert loop.run_until_complete(client.run("SELECT 1")).value() == 1
        with pytest.raises(RuntimeError, match="used in another event loop: make one for each"):
            asyncio.run(client.run("SELECT 1"))
        assert loop.run_until_complete(client.run("SELECT 2")).value() == 2
        loop.run_until_complete(client.close())
    finally:
        loop.close()


BEGINNING = """
import os, sys, asyncio, traceback
import psycopg, psycopg_pool, sqlalchemy
import pg_background as bg

NOTIFIED, LONG = "SELECT pg_sleep(0.5), 7", "SELECT pg_sleep(2), 7"
dsn, url = sys.argv[1:]

def in_child(function):
    child = os.fork()
    if child == 0:
        status = 1
        try:
            function()
            status = 0
        except BaseException:
            traceback.print_exc()
        os._exit(status)
    return child

def end(child):
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

def fails(function, *words):
    try:
        function()
    except RuntimeError as error:
        assert all(word in str(error) for word in words), error
    else:
        raise AssertionError("it did not fail")
"""

FORKS = {
    "a DSN": """
        client = bg.connect(dsn)
        job = client.launch(LONG)
        # A thread asks, and one listens.
        assert not job.wait(0.2)
        with client.session.connection() as connection:
            session = connection.info.backend_pid
        def child():
            with client:
                assert client.run(NOTIFIED).one()[1] == 7
                assert job.wait()
                assert [other.result().one()[1] for other in [client.launch(NOTIFIED)]] == [7]
        end(in_child(child))
        # The parent's sessions have not noticed.
        assert job.result().one()[1] == 7
        assert client.run(NOTIFIED).one()[1] == 7
        with client.session.connection() as connection:
            assert connection.info.backend_pid == session
        client.close()
    """,
    "closed in the child": """
        client = bg.connect(dsn)
        assert client.run("SELECT 1").value() == 1
        end(in_child(client.close))
        assert client.run("SELECT 2").value() == 2
        client.close()
    """,
    "a connection": """
        connection = psycopg.connect(dsn, autocommit=True)
        client = bg.Client(connection)
        assert client.run("SELECT 1").value() == 1
        def child():
            fails(lambda: client.run("SELECT 1"), "was forked", "a new connection")
            fails(lambda: client.launch("SELECT 1"), "was forked")
            client.close()
        end(in_child(child))
        assert client.run("SELECT 2").value() == 2
        connection.close()
    """,
    "a pool": """
        pool = psycopg_pool.ConnectionPool(dsn, min_size=1, open=True)
        client = bg.Client(pool)
        assert client.run("SELECT 1").value() == 1
        end(in_child(lambda: fails(lambda: client.run("SELECT 1"), "pool", "forked")))
        assert client.run("SELECT 2").value() == 2
        pool.close()
    """,
    "an engine": """
        engine = sqlalchemy.create_engine(url)
        client = bg.Client(engine)
        assert client.run("SELECT 1").value() == 1
        def child():
            assert client.run(NOTIFIED).one()[1] == 7
        end(in_child(child))
        assert client.run(NOTIFIED).one()[1] == 7
        engine.dispose()
    """,
    "an executor": """
        with bg.Executor(dsn) as pool:
            assert pool.submit("SELECT 1").result().value() == 1
            end(in_child(lambda: fails(lambda: pool.submit("SELECT 1"), "forked", "executor")))
            assert pool.submit("SELECT 2").result().value() == 2
    """,
    "asyncio": """
        client = bg.AsyncClient(dsn)
        async def run():
            assert (await client.run(NOTIFIED)).one()[1] == 7
        asyncio.run(run())
        end(in_child(lambda: asyncio.run(run())))
        async def while_it_waits():
            job = await client.launch(LONG)
            assert not await job.wait(0.2)
            child = os.fork()
            if child == 0:
                # Not of its parent's loop, nor of its tasks.
                asyncio._set_running_loop(None)
                os._exit(0 if asyncio.new_event_loop().run_until_complete(client.run(NOTIFIED)) else 1)
            end(child)
            assert (await job.result()).one()[1] == 7
            await client.close()
        asyncio.run(while_it_waits())
    """,
}


@pytest.mark.parametrize("kind", FORKS)
def test_forks(place: Place, tmp_path: Path, kind: str) -> None:
    lines = [line[8:] for line in FORKS[kind].splitlines()]
    script = tmp_path / "fork.py"
    script.write_text(BEGINNING + "\n".join(lines))
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "ignore::DeprecationWarning",
            script,
            place.dsn(),
            place.url("postgresql+psycopg"),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
