# Made from test_client_sources_async.py by tools/async_to_sync.py: edit that one.
"""What a client is made from: a DSN, a connection, a pool or an engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest
from psycopg.pq import TransactionStatus
from psycopg_pool import ConnectionPool
from sqlalchemy import create_engine

from pg_background import Client, ConnectionLost
from pg_background.client.statements import NOTIFY_ENDS

from ..support.fix_client import Place
from ..support.fix_db import Connection
from ..support.jobs import FOREVER, closed_gate

KINDS = ("DSN", "connection", "autocommit", "pool", "engine")


@pytest.fixture(params=KINDS)
def origin(request: pytest.FixtureRequest, place: Place) -> Iterator[Any]:
    """Each kind in turn."""
    with ExitStack() as stack:
        if request.param == "pool":
            yield stack.enter_context(ConnectionPool(place.dsn(), min_size=1, open=False))
        elif request.param == "engine":
            engine = create_engine(place.url("postgresql+psycopg"))
            yield engine
            engine.dispose()
        elif request.param == "DSN":
            yield place.dsn()
        else:
            yield stack.enter_context(
                psycopg.Connection.connect(place.dsn(), autocommit=request.param == "autocommit")
            )


def test_each_kind(origin: Any, side: Connection) -> None:
    with Client.connect(origin) as client:
        assert client.run("SELECT %s", [1]) == [(1,)]
        with pytest.raises(psycopg.errors.DivisionByZero):
            client.run("SELECT 1/0")
        jobs = [client.launch("SELECT %s", [n]) for n in range(10)]
        assert client.wait_all(jobs)
        assert [(job.result()).value() for job in jobs] == list(range(10))
        with closed_gate(side) as gate:
            job = client.launch(f"{gate.sql}; SELECT generate_series(1, 5)")
            assert not job.wait(0.3)
        assert [len(page) for page in job.fetch(2)] == [2, 2, 1]
        failing = client.launch("SELECT 1 / (n - 3) FROM generate_series(1, 5) AS n")
        with pytest.raises(psycopg.errors.DivisionByZero):
            _ = list(failing.fetch(2))


def test_what_was_given_stays_open(place: Place) -> None:
    with psycopg.Connection.connect(place.dsn()) as connection:
        with Client(connection) as client:
            client.run("SELECT 1")
            assert connection.info.transaction_status == TransactionStatus.IDLE
        assert not connection.closed


def test_an_open_transaction_stays_as_it_is(place: Place) -> None:
    with psycopg.Connection.connect(place.dsn()) as connection:
        client = Client(connection)
        connection.execute("CREATE TABLE t (a int)")
        with pytest.raises(psycopg.errors.DivisionByZero):
            client.run("SELECT 1/0")
        with pytest.raises(psycopg.errors.StringDataRightTruncation):
            client.launch("SELECT 1", label="x" * 65)
        assert connection.info.transaction_status == TransactionStatus.INTRANS
        connection.execute("SET LOCAL work_mem = '3MB'")
        assert (client.run("SHOW work_mem", timeout=60)).value() == "3MB"
        connection.execute("INSERT INTO t VALUES (1)")
        connection.rollback()
        assert (client.run("SELECT to_regclass('t')")).value() is None


def test_a_failed_transaction_is_the_callers(place: Place) -> None:
    with psycopg.Connection.connect(place.dsn()) as connection:
        client = Client(connection)
        with pytest.raises(psycopg.errors.DivisionByZero):
            connection.execute("SELECT 1/0")
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            client.run("SELECT 1")
        connection.rollback()
        assert client.run("SELECT 1") == [(1,)]


def test_what_no_client_is_made_from(place: Place) -> None:
    with pytest.raises(TypeError, match="not from int"):
        Client(5)  # type: ignore[call-overload]
    connection = psycopg.Connection.connect(place.dsn())
    with pytest.raises(TypeError, match="only beside a DSN"):
        Client(connection, connect_timeout=1)
    connection.close()
    with pytest.raises(psycopg.OperationalError):
        Client.connect("host=/nowhere")


def test_connection_parameters(place: Place) -> None:
    with Client(place.dsn(), options="-c work_mem=4321kB") as client:
        assert (client.run("SHOW work_mem")).value() == "4321kB"


def test_a_database_without_the_extension(place: Place) -> None:
    with pytest.raises(
        psycopg.ProgrammingError, match=r'"template1" does not have the extension[^$]*CREATE EX'
    ):
        Client.connect(place.server.dsn("template1"))


def test_the_extension_in_a_schema_of_its_own(place: Place) -> None:
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
        with Client.connect(dsn) as client:
            job = client.launch("SELECT %s", [1])
            assert client.wait_all([job], progress=lambda *_: None)
            assert job.result() == [(1,)]
            assert (client.stats()).workers_launched == 1
    finally:
        place.server.execute("DROP DATABASE moved WITH (FORCE)")


def test_a_broken_connection_is_replaced(place: Place, side: Connection) -> None:
    with Client.connect(place.dsn()) as client:
        with closed_gate(side) as gate:
            job = client.launch(f"{gate.sql}; SELECT 7")
            assert not job.wait(0.01)
            side.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'pg_background' AND backend_type = 'client backend' "
                "AND datname = current_database()"
            )
            assert not job.wait(0.3)
        assert job.result() == [(7,)]


def test_what_changes_a_job_is_not_sent_twice(place: Place, side: Connection) -> None:
    """Unlike what is only asked: it may have been done before the connection broke."""
    with Client.connect(place.dsn()) as client:
        job = client.launch(FOREVER)
        end = "SELECT count(pg_terminate_backend(pid, 20000)) FROM pg_stat_activity WHERE pid = %s"
        with client.session.connection() as connection:
            pid = connection.info.backend_pid
        for change in (job.cancel, job.detach):
            assert side.execute(end, [pid]).fetchone() == (1,)
            with pytest.raises(ConnectionLost, match="whether the job goes on is not known"):
                change()
            with client.session.connection() as connection:
                pid = connection.info.backend_pid
        assert job.state == "running"
        job.discard()


def test_a_broken_connection_that_cannot_be(place: Place, side: Connection) -> None:
    with psycopg.Connection.connect(place.dsn()) as connection:
        client = Client(connection)
        with closed_gate(side) as gate:
            job = client.launch(gate.sql)
            connection.close()
            with pytest.raises(ConnectionLost, match="the job goes on in the server") as caught:
                job.result()
            assert caught.value.job_continues
            with pytest.raises(ConnectionLost) as caught:
                client.launch("SELECT 1")
            assert caught.value.job_continues is None
        with Client.connect(place.dsn()) as another:
            assert (another.attach(job.handle).result()).rowcount == 1


def test_an_engine_without_a_server(place: Place) -> None:
    """The error is psycopg's, as with other sources."""
    engine = create_engine(place.url("postgresql+psycopg").replace(f"/{place.database}?", "/nowhere?"))
    with pytest.raises(psycopg.OperationalError, match='"nowhere" does not exist'):
        Client.connect(engine)


def test_a_connection_that_was_interrupted_before_it_was_ready(
    place: Place, side: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over it jobs would not tell of their ends."""
    with Client.connect(place.dsn()) as client:
        side.execute(
            "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity "
            "WHERE application_name = 'pg_background' AND datname = current_database()"
        )
        with pytest.raises(ConnectionLost):
            client.launch("SELECT 1")
        real = psycopg.Connection.execute

        def execute(connection: Any, query: Any, *arguments: Any, **options: Any) -> Any:
            if query == NOTIFY_ENDS:
                monkeypatch.undo()
                raise LookupError
            return real(connection, query, *arguments, **options)

        monkeypatch.setattr(psycopg.Connection, "execute", execute)
        with pytest.raises(LookupError):
            client.launch("SELECT 1")
        assert client.run("SELECT 1") == [(1,)]
        with client.session.connection() as connection:
            cursor = connection.execute("SELECT current_setting('pg_background.notify_channel')")
            assert cursor.fetchone() != ("",)


def test_a_client_that_is_closed_while_it_connects(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(place.dsn())
    opened = []
    real = psycopg.Connection.connect

    def connect(*arguments: Any, **options: Any) -> Any:
        opened.append(real(*arguments, **options))
        client.close()
        return opened[0]

    monkeypatch.setattr(psycopg.Connection, "connect", connect)
    with pytest.raises(psycopg.InterfaceError, match="the client is closed"):
        client.run("SELECT 1")
    assert [connection.closed for connection in opened] == [True]


def test_a_connection_that_was_left_busy_is_replaced(place: Place) -> None:
    """As by somebody who was interrupted again while psycopg ended the statement."""
    with Client.connect(place.dsn()) as client:
        with client.session.connection() as connection:
            connection.pgconn.send_query(b"SELECT 1")
        assert client.run("SELECT 1") == [(1,)]
