# Made from test_client_pace_async.py by tools/async_to_sync.py: edit that one.
"""Round trips, which are what a job costs a client; what is remembered of a query never deceives."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg.rows import TupleRow, dict_row

from pg_background import Client
from pg_background.client import _looking as looking
from pg_background.client import _watch as watching
from pg_background.client.many import results_in_order

from ..support.fix_client import Place
from ..support.fix_db import Connection, MakeRole
from ..support.jobs import closed_gate

AnyClient = Client[TupleRow]

#: So often psycopg has prepared what it sends.
TIMES = 8


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine makes no job one that takes long."""
    monkeypatch.setattr(looking, "LOOK_MS", 60_000)


class Trips:
    """How often the server was asked and answered."""

    count = 0


@contextmanager
def counted(client: AnyClient) -> Iterator[Trips]:
    trips = Trips()
    with client.session.connection() as connection:
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
def test_a_run_is_two_round_trips(client: AnyClient, query: str, status: str | None) -> None:
    for _ in range(TIMES):
        client.run(query)
    with counted(client) as trips:
        assert (client.run(query)).statusmessage == status
    # What has no tag gives no sign that it was read.
    assert trips.count == (2 if status else 4)


def test_launch_and_result_are_two_round_trips(client: AnyClient) -> None:
    for _ in range(TIMES):
        (client.launch("SELECT %s::int4", [1])).result()
        (client.submit("SELECT 1")).result()
    with counted(client) as trips:
        assert ((client.launch("SELECT %s::int4", [2])).result()).value() == 2
    assert trips.count == 2
    with counted(client) as trips:
        assert ((client.submit("SELECT 1")).result()).rowcount == 1
    assert trips.count == 2


def test_a_job_of_map_is_two_round_trips(client: AnyClient) -> None:
    def values(count: int) -> list[int]:
        results = client.map("SELECT %s::int4", range(count), concurrency=4)
        return [result.value() for result in results]

    values(TIMES)
    with counted(client) as trips:
        assert values(100) == list(range(100))
    assert trips.count == 200


def test_map_has_so_many_under_way() -> None:
    """Quick ones too, of which a server may never see two at once."""
    jobs: list[Quick] = []
    unfinished: list[int] = []

    def launch(_: object) -> Any:
        jobs.append(Quick(len(jobs)))
        unfinished.append(sum(not job.is_over for job in jobs))
        return jobs[-1]

    results: Iterator[Any] = results_in_order(launch, range(9), concurrency=3)
    assert list(results) == list(range(9))
    assert max(unfinished) == 3


class Quick:
    """A job that ends when it is looked for."""

    is_watched = False

    def __init__(self, number: int) -> None:
        self.number = number
        self.is_over = False

    def is_over_soon(self) -> bool:
        self.is_over = True
        return True

    def result(self) -> int:
        self.is_over = True
        return self.number


def test_columns_that_change(client: AnyClient, side: Connection) -> None:
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
            result = client.run("TABLE t", row_factory=dict_row)
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


def test_rows_that_change(client: AnyClient, side: Connection) -> None:
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
            result = client.run(query)
            assert result.column(0) == values
            assert result.statusmessage == f"SELECT {len(values)}"
        side.execute("TRUNCATE t; INSERT INTO t VALUES (0)")
        job = client.launch(query)
        with pytest.raises(psycopg.errors.DivisionByZero):
            job.result()
        assert job.state == "error"


def test_tags_that_change(client: AnyClient, side: Connection) -> None:
    side.execute("CREATE TABLE s (a int4); CREATE TABLE t (a int4)")
    for count in range(4):
        result = client.run("INSERT INTO t SELECT a FROM s")
        assert (result.statusmessage, result.rowcount, list(result)) == (f"INSERT 0 {count}", count, [])
        side.execute("INSERT INTO s VALUES (1)")
    side.execute("DROP TABLE t")
    with pytest.raises(psycopg.errors.UndefinedTable):
        client.run("INSERT INTO t SELECT a FROM s")


def test_rows_that_a_rule_adds(client: AnyClient, side: Connection) -> None:
    """They are as many as they like, beside what was inserted."""
    side.execute(
        "CREATE TABLE t (a int4);"
        "CREATE RULE shows AS ON INSERT TO t DO ALSO SELECT count(*) FROM t GROUP BY a % 2"
    )
    for n in range(3):
        result = client.run("INSERT INTO t SELECT 1 + count(*) FROM t")
        assert (result.statusmessage, len(result)) == ("INSERT 0 1", min(n + 1, 2))
        result = client.run("UPDATE t SET a = a RETURNING a")
        assert (result.statusmessage, len(result)) == (f"UPDATE {n + 1}", n + 1)


def test_rows_that_a_rule_adds_later(client: AnyClient, side: Connection) -> None:
    side.execute("CREATE TABLE t (a int4)")
    for _ in range(2):
        assert list(client.run("INSERT INTO t VALUES (1)")) == []
    side.execute("CREATE RULE shows AS ON INSERT TO t DO ALSO SELECT 'x' AS shown")
    for _ in range(2):
        assert list(client.run("INSERT INTO t VALUES (1)")) == [("x",)]


def test_what_counts_no_rows(client: AnyClient) -> None:
    for query, status in (
        ("SHOW work_mem", "SHOW"),
        ("EXPLAIN SELECT 1", "EXPLAIN"),
        ("VALUES (1)", "SELECT 1"),
    ):
        for _ in range(3):
            result = client.run(query)
            assert (result.statusmessage, len(result)) == (status, 1)


def test_a_role_that_may_not_look(place: Place, make_role: MakeRole, side: Connection) -> None:
    """It has what clients need for jobs that take long."""
    role = make_role()
    side.execute(f"GRANT USAGE ON SCHEMA {place.schema} TO {role}".encode())
    for function in (
        "start(text, text[], text, int4, int4, name, bool, bool, text)",
        *("outcome(int4, int8)", "describe(int4, int8)", "result(int4, int8)"),
    ):
        side.execute(f"GRANT EXECUTE ON FUNCTION pg_background_{function} TO {role}".encode())
    try:
        with Client.connect(place.dsn(user=role)) as client:
            for _ in range(2):
                assert (client.run("SELECT 1")).value() == 1
    finally:
        side.execute(f"DROP OWNED BY {role}".encode())


def test_notices_come_each_time(client: AnyClient) -> None:
    hello = "DO $$BEGIN RAISE NOTICE 'hello'; END$$"
    for query in (hello, f"{hello}; SELECT 1"):
        for _ in range(3):
            assert [notice.message for notice in (client.run(query)).notices] == ["hello"]


def test_rows_without_columns_each_time(client: AnyClient) -> None:
    for count in (2, 2, 0, 3):
        result = client.run(f"SELECT FROM generate_series(1, {count})")
        assert list(result) == [()] * count


def test_a_known_query_submitted(client: AnyClient) -> None:
    """Its rows are dropped at their source, whatever is known of them."""
    for query in ("SELECT 1", "SET DateStyle = ISO"):
        for _ in range(2):
            client.run(query)
        assert list((client.submit(query)).result()) == []


def test_a_known_query_in_another_database(client: AnyClient) -> None:
    query = "SELECT current_database()::text AS a"
    here = (client.run(query)).value()
    for _ in range(2):
        assert (client.run(query, database="postgres")).value() == "postgres"
        assert (client.run(query)).value() == here


def test_quick_jobs_do_not_tell_their_ends(
    client: AnyClient, side: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To do so costs more than they do. The next that takes long does not, and those that follow it do."""

    def tells() -> bool:
        with client.session.connection() as connection:
            cursor = connection.execute("SELECT current_setting('pg_background.notify_channel')")
            return cursor.fetchone() != ("",)

    assert tells()
    for _ in range(2):
        client.run("SELECT 1")
    assert not tells()
    monkeypatch.setattr(looking, "LOOK_MS", 1)
    monkeypatch.setattr(watching, "LATE", 0.002)
    with closed_gate(side) as gate:
        job = client.launch(gate.sql)
        while not client.session.is_listening:
            assert not job.wait(0.01)
        assert not tells()
        second = client.launch(gate.sql)
        assert tells()
    assert client.wait_all([job, second])
