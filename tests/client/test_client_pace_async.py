"""Round trips, which are what a job costs a client; what is remembered of a query never deceives."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest
from psycopg.rows import TupleRow, dict_row

from pg_background import AsyncClient
from pg_background.client import _looking_async as looking
from pg_background.client import _watch_async as watching
from pg_background.client.many_async import results_in_order

from ..support.fix_client import Place
from ..support.fix_db import Connection, MakeRole
from ..support.jobs import closed_gate

AnyClient = AsyncClient[TupleRow]

#: So often psycopg has prepared what it sends.
TIMES = 8


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine makes no job one that takes long."""
    monkeypatch.setattr(looking, "LOOK_MS", 60_000)


class Trips:
    """How often the server was asked and answered."""

    count = 0


@asynccontextmanager
async def counted(client: AnyClient) -> AsyncIterator[Trips]:
    trips = Trips()
    async with client.session.connection() as connection:
        pgconn = connection.pgconn
    with tempfile.TemporaryFile("w+") as trace:
        pgconn.trace(trace.fileno())
        try:
            yield trips
        finally:
            pgconn.untrace()
        trace.seek(0)
        trips.count = sum("\tSync" in line or "\tQuery\t" in line for line in trace)


@pytest.mark.parametrize(
    ("query", "status"), [("SELECT 1 AS a, 'x'", "SELECT 1"), ("SET DateStyle = ISO", "SET"), ("", None)]
)
async def test_a_run_is_two_round_trips(aclient: AnyClient, query: str, status: str | None) -> None:
    for _ in range(TIMES):
        await aclient.run(query)
    async with counted(aclient) as trips:
        assert (await aclient.run(query)).statusmessage == status
    # What has no tag gives no sign that it was read.
    assert trips.count == (2 if status else 4)


async def test_launch_and_result_are_two_round_trips(aclient: AnyClient) -> None:
    for _ in range(TIMES):
        await (await aclient.launch("SELECT %s::int4", [1])).result()
        await (await aclient.submit("SELECT 1")).result()
    async with counted(aclient) as trips:
        assert (await (await aclient.launch("SELECT %s::int4", [2])).result()).value() == 2
    assert trips.count == 2
    async with counted(aclient) as trips:
        assert (await (await aclient.submit("SELECT 1")).result()).rowcount == 1
    assert trips.count == 2


async def test_a_job_of_map_is_two_round_trips(aclient: AnyClient) -> None:
    async def values(count: int) -> list[int]:
        results = aclient.map("SELECT %s::int4", range(count), concurrency=4)
        return [result.value() async for result in results]

    await values(TIMES)
    async with counted(aclient) as trips:
        assert await values(100) == list(range(100))
    assert trips.count == 200


async def test_map_has_so_many_under_way() -> None:
    """Quick ones too, of which a server may never see two at once."""
    jobs: list[Quick] = []
    unfinished: list[int] = []

    async def launch(_: object) -> Any:
        jobs.append(Quick(len(jobs)))
        unfinished.append(sum(not job.is_over for job in jobs))
        return jobs[-1]

    results: AsyncIterator[Any] = results_in_order(launch, range(9), concurrency=3)
    assert [result async for result in results] == list(range(9))
    assert max(unfinished) == 3


class Quick:
    """A job that ends when it is looked for."""

    is_watched = False

    def __init__(self, number: int) -> None:
        self.number = number
        self.is_over = False

    async def is_over_soon(self) -> bool:
        self.is_over = True
        return True

    async def result(self) -> int:
        self.is_over = True
        return self.number


async def test_columns_that_change(aclient: AnyClient, side: Connection) -> None:
    """The same query has other columns, each time after its former ones were learned."""
    side.execute("CREATE TABLE t (a int4, b numeric(6, 2)); INSERT INTO t VALUES (1, 2.5)")
    seen = []
    for change in (
        "SELECT",
        "ALTER TABLE t RENAME COLUMN a TO c",
        "ALTER TABLE t ALTER COLUMN c TYPE text",
        "ALTER TABLE t ALTER COLUMN b TYPE numeric(9, 3)",
        "ALTER TABLE t ADD COLUMN d int4",
        "ALTER TABLE t DROP COLUMN d",
        "ALTER TABLE t DROP COLUMN b",
        "ALTER TABLE t RENAME COLUMN c TO \"a%s {b} 'c'\"",
        "ALTER TABLE t RENAME TO u; CREATE TABLE t ()",
    ):
        side.execute(change.encode())
        for _ in range(2):
            result = await aclient.run("TABLE t", row_factory=dict_row)
            columns = [(column.name, column.type_display) for column in result.columns]
        seen.append((columns, list(result)))
    assert [columns for columns, _ in seen] == [
        [("a", "int4"), ("b", "numeric(6,2)")],
        [("c", "int4"), ("b", "numeric(6,2)")],
        [("c", "text"), ("b", "numeric(6,2)")],
        [("c", "text"), ("b", "numeric(9,3)")],
        [("c", "text"), ("b", "numeric(9,3)"), ("d", "int4")],
        [("c", "text"), ("b", "numeric(9,3)")],
        [("c", "text")],
        [("a%s {b} 'c'", "text")],
        [],
    ]
    assert [list(row.values()) for row in seen[-2][1]] == [["1"]]
    assert seen[-1][1] == []


async def test_rows_that_change(aclient: AnyClient, side: Connection) -> None:
    """None, one of nulls alone, many, an error, and again."""
    side.execute("CREATE TABLE t (a int4)")
    query = "SELECT 6 / a AS a FROM t"
    for _ in range(2):
        for rows, values in (
            ("VALUES (1), (2)", [6, 3]),
            ("SELECT 1 WHERE false", []),
            ("VALUES (NULL)", [None]),
        ):
            side.execute(f"TRUNCATE t; INSERT INTO t {rows}".encode())
            result = await aclient.run(query)
            assert result.column(0) == values
            assert result.statusmessage == f"SELECT {len(values)}"
        side.execute("TRUNCATE t; INSERT INTO t VALUES (0)")
        job = await aclient.launch(query)
        with pytest.raises(psycopg.errors.DivisionByZero):
            await job.result()
        assert await job.state == "error"


async def test_tags_that_change(aclient: AnyClient, side: Connection) -> None:
    side.execute("CREATE TABLE s (a int4); CREATE TABLE t (a int4)")
    for count in range(4):
        result = await aclient.run("INSERT INTO t SELECT a FROM s")
        assert (result.statusmessage, result.rowcount, list(result)) == (f"INSERT 0 {count}", count, [])
        side.execute("INSERT INTO s VALUES (1)")
    side.execute("DROP TABLE t")
    with pytest.raises(psycopg.errors.UndefinedTable):
        await aclient.run("INSERT INTO t SELECT a FROM s")


async def test_rows_that_a_rule_adds(aclient: AnyClient, side: Connection) -> None:
    """They are as many as they like, beside what was inserted."""
    side.execute(
        "CREATE TABLE t (a int4);"
        "CREATE RULE shows AS ON INSERT TO t DO ALSO SELECT count(*) FROM t GROUP BY a % 2"
    )
    for n in range(3):
        result = await aclient.run("INSERT INTO t SELECT 1 + count(*) FROM t")
        assert (result.statusmessage, len(result)) == ("INSERT 0 1", min(n + 1, 2))
        result = await aclient.run("UPDATE t SET a = a RETURNING a")
        assert (result.statusmessage, len(result)) == (f"UPDATE {n + 1}", n + 1)


async def test_rows_that_a_rule_adds_later(aclient: AnyClient, side: Connection) -> None:
    side.execute("CREATE TABLE t (a int4)")
    for _ in range(2):
        assert list(await aclient.run("INSERT INTO t VALUES (1)")) == []
    side.execute("CREATE RULE shows AS ON INSERT TO t DO ALSO SELECT 'x' AS shown")
    for _ in range(2):
        assert list(await aclient.run("INSERT INTO t VALUES (1)")) == [("x",)]


async def test_what_counts_no_rows(aclient: AnyClient) -> None:
    for query, status in (
        ("SHOW work_mem", "SHOW"),
        ("EXPLAIN SELECT 1", "EXPLAIN"),
        ("VALUES (1)", "SELECT 1"),
    ):
        for _ in range(3):
            result = await aclient.run(query)
            assert (result.statusmessage, len(result)) == (status, 1)


async def test_a_role_that_may_not_look(place: Place, make_role: MakeRole, side: Connection) -> None:
    """It has what clients need for jobs that take long."""
    role = make_role()
    side.execute(f"GRANT USAGE ON SCHEMA {place.schema} TO {role}".encode())
    for function in (
        "start(text, text[], text, int4, int4, name, bool, bool, text)",
        *("outcome(int4, int8)", "describe(int4, int8)", "result(int4, int8)"),
    ):
        side.execute(f"GRANT EXECUTE ON FUNCTION pg_background_{function} TO {role}".encode())
    try:
        async with await AsyncClient.connect(place.dsn(user=role)) as client:
            for _ in range(2):
                assert (await client.run("SELECT 1")).value() == 1
    finally:
        side.execute(f"DROP OWNED BY {role}".encode())


async def test_notices_come_each_time(aclient: AnyClient) -> None:
    hello = "DO $$BEGIN RAISE NOTICE 'hello'; END$$"
    for query in (hello, f"{hello}; SELECT 1"):
        for _ in range(3):
            assert [notice.message for notice in (await aclient.run(query)).notices] == ["hello"]


async def test_rows_without_columns_each_time(aclient: AnyClient) -> None:
    for count in (2, 2, 0, 3):
        result = await aclient.run(f"SELECT FROM generate_series(1, {count})")
        assert list(result) == [()] * count


async def test_a_known_query_submitted(aclient: AnyClient) -> None:
    """Its rows are dropped at their source, whatever is known of them."""
    for query in ("SELECT 1", "SET DateStyle = ISO"):
        for _ in range(2):
            await aclient.run(query)
        assert list(await (await aclient.submit(query)).result()) == []


async def test_a_known_query_in_another_database(aclient: AnyClient) -> None:
    query = "SELECT current_database()::text AS a"
    here = (await aclient.run(query)).value()
    for _ in range(2):
        assert (await aclient.run(query, database="postgres")).value() == "postgres"
        assert (await aclient.run(query)).value() == here


async def test_quick_jobs_do_not_tell_their_ends(
    aclient: AnyClient, side: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To do so costs more than they do. The next that takes long does not, and those that follow it do."""

    async def tells() -> bool:
        async with aclient.session.connection() as connection:
            cursor = await connection.execute("SELECT current_setting('pg_background.notify_channel')")
            return await cursor.fetchone() != ("",)

    assert await tells()
    for _ in range(2):
        await aclient.run("SELECT 1")
    assert not await tells()
    monkeypatch.setattr(looking, "LOOK_MS", 1)
    monkeypatch.setattr(watching, "LATE", 0.002)
    with closed_gate(side) as gate:
        job = await aclient.launch(gate.sql)
        while not aclient.session.is_listening:
            assert not await job.wait(0.01)
        assert not await tells()
        second = await aclient.launch(gate.sql)
        assert await tells()
    assert await aclient.wait_all([job, second])
