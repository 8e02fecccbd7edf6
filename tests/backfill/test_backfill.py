# Made from test_backfill_async.py by tools/async_to_sync.py: edit that one.
"""A backfill goes over each row once, by all kinds of keys; its plan and its report are true."""

from __future__ import annotations

import itertools
from typing import Any

import psycopg
import pytest

from pg_background import BackfillError, Client

from ..support.calls import value
from ..support.fix_db import Connection, MakeRole
from ..support.server import Server

COUNT = "UPDATE t SET times = times + 1 WHERE {range}"


def make(
    conn: Connection, keys: str, rows: str = "generate_series(1, 1000) AS n", primary: str = "k"
) -> None:
    """Make a table `t` whose rows count how often they were changed."""
    conn.execute(f"CREATE TABLE t AS SELECT {keys}, 0 AS times FROM {rows}".encode())
    if primary:
        conn.execute(f"ALTER TABLE t ADD PRIMARY KEY ({primary})".encode())
    conn.execute("ANALYZE t")


def once(conn: Connection) -> None:
    """See that each row was changed once."""
    assert conn.execute("SELECT DISTINCT times FROM t").fetchall() == [(1,)]


@pytest.mark.parametrize(
    ("keys", "primary"),
    [
        ("n::int4 AS k", "k"),
        ("n * 9000000000 - 4500000000000 AS k", "k"),
        ("n::numeric / 7 AS k", "k"),
        ("pg_catalog.gen_random_uuid() AS k", "k"),
        (r"'it''s \ ' || n AS k", "k"),
        ("n::text::varchar(9) AS k", "k"),
        ("n::text::char(9) AS k", "k"),
        ("timestamp '2026-01-01' + n * interval '1 microsecond' AS k", "k"),
        ("timestamptz '2026-01-01' + n * interval '1 day' AS k", "k"),
        ("CASE n WHEN 1 THEN '-infinity' ELSE date '2026-01-01' + n END AS k", "k"),
        ('n % 7 AS a, (n / 7)::text AS "The B"', 'a, "The B"'),
    ],
)
def test_each_row_once_by_a_key(client: Client[Any], conn: Connection, keys: str, primary: str) -> None:
    make(conn, keys, primary=primary)
    report = client.backfill(COUNT, "t", batch_size=70, jobs=3).run()
    assert (report.state, report.rows, report.ranges_failed, report.ranges_open) == ("done", 1000, 0, 0)
    once(conn)
    assert report.ranges_done == 15
    assert report.is_complete
    assert report.seconds is not None


def test_settings_of_the_session_do_not_matter(server: Server, db: str, conn: Connection) -> None:
    make(conn, "timestamptz '2026-01-01' + n * interval '1 day' AS k, E'\\\\' || n AS b", primary="k, b")
    options = "-c datestyle=SQL,DMY -c timezone=Asia/Tokyo -c default_transaction_isolation=serializable"
    if server.major < 19:
        options += " -c standard_conforming_strings=off"
    with Client.connect(server.dsn(db, options=options)) as other:
        other.backfill(COUNT, "t", batch_size=100).run()
    once(conn)


def test_ranges_of_the_size_that_was_said(client: Client[Any], conn: Connection) -> None:
    make(conn, "n AS k", rows="generate_series(1, 7) AS n")
    report = client.backfill(COUNT, "t", batch_size=1).run()
    assert (report.ranges_done, report.rows) == (7, 7)
    once(conn)


def test_rows_without_a_key(client: Client[Any], conn: Connection) -> None:
    make(conn, "nullif(n % 300, 0) AS k", primary="")
    conn.execute("CREATE INDEX ON t (k)")
    report = client.backfill(COUNT, "t", key="k", batch_size=100).run()
    once(conn)
    assert report.rows == 1000
    # Those without any key but NULL.
    conn.execute("UPDATE t SET k = NULL, times = 0")
    report = client.backfill(COUNT, "t", key="k", name="nulls").run()
    once(conn)
    assert (report.ranges_done, report.rows) == (1, 1000)


def test_an_empty_table(client: Client[Any], conn: Connection) -> None:
    make(conn, "n AS k", "generate_series(1, 0) AS n")
    for key in (None, "ctid"):
        report = client.backfill(COUNT, "t", key=key, name=f"by {key}").run()
        assert (report.state, report.ranges_done, report.is_complete) == ("done", 0, True)


def test_by_ctid(client: Client[Any], conn: Connection) -> None:
    make(conn, "n AS k, repeat('x', 500) AS filler", primary="")
    again = "UPDATE t SET times = 1 WHERE {range} AND times = 0"
    with pytest.raises(BackfillError, match="no unique key"):
        client.backfill(again, "t").run()
    fill = client.backfill(again, "t", key="ctid", batch_size=60)
    assert any("by ctid" in warning for warning in (fill.plan()).warnings)
    report = fill.run()
    once(conn)
    assert report.rows == 1000
    assert report.ranges_done > 10


def test_by_ctid_of_a_table_that_has_grown(client: Client[Any], conn: Connection) -> None:
    """A range is as big as was asked for, though the statistics know of a row alone."""
    make(conn, "n AS k", "generate_series(1, 1) AS n", primary="")
    conn.execute("INSERT INTO t SELECT n, 0 FROM generate_series(1, 20000) AS n")
    again = "UPDATE t SET times = 1 WHERE {range} AND times = 0"
    assert (client.backfill(again, "t", key="ctid", batch_size=1000).run()).is_complete
    once(conn)
    assert value(conn, "SELECT max(rows) < 2000 FROM pg_background_backfill_range")


def test_partitions(client: Client[Any], conn: Connection) -> None:
    conn.execute("CREATE TABLE t (k int PRIMARY KEY, times int) PARTITION BY RANGE (k)")
    conn.execute("CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (1) TO (333)")
    conn.execute("CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (333) TO (2000)")
    conn.execute("INSERT INTO t SELECT n, 0 FROM generate_series(1, 1000) AS n; ANALYZE t")
    with pytest.raises(BackfillError, match="partitions"):
        client.backfill(COUNT, "t", key="ctid").plan()
    fill = client.backfill(COUNT, "t", batch_size=100)
    assert (fill.plan()).estimated_rows == 1000
    fill.run()
    once(conn)
    conn.execute("UPDATE t SET times = 0")
    client.backfill(COUNT.replace("t SET", "t2 SET"), "t2", key="ctid").run()
    assert value(conn, "SELECT count(*) FROM t WHERE times = 1 AND k >= 333") == 668


def test_a_key_of_a_domain(client: Client[Any], conn: Connection) -> None:
    conn.execute("CREATE DOMAIN small AS int; CREATE DOMAIN smaller AS small CHECK (VALUE < 5000)")
    make(conn, "n::smaller AS k")
    client.backfill(COUNT, "t", batch_size=100).run()
    once(conn)


def test_statements_of_other_kinds(client: Client[Any], conn: Connection) -> None:
    make(conn, "n AS k")
    conn.execute("CREATE TABLE u AS SELECT n AS k, -n AS v FROM generate_series(1, 1000) AS n")
    statements = {
        "with an alias": "UPDATE t AS x SET times = 1 FROM u WHERE u.k = x.k AND {range:x};  ",
        "insert": "INSERT INTO u SELECT k, cardinality('{1,2}'::int[]) FROM t WHERE {range}",
        "select": "SELECT pg_catalog.abs(k) FROM t WHERE {range}",
        "delete": 'WITH gone AS (DELETE FROM t WHERE {range} RETURNING k) SELECT "gone".k FROM gone',
    }
    for name, statement in statements.items():
        report = client.backfill(statement, "t", name=name, batch_size=250).run()
        assert (report.rows, report.is_complete) == (1000, True), name
    assert value(conn, "SELECT count(*) FROM u WHERE v = 2") == 1000
    assert value(conn, "SELECT count(*) FROM t") == 0


def test_a_place_is_none_in_strings_names_and_comments(client: Client[Any], conn: Connection) -> None:
    conn.execute(
        """CREATE TABLE "{range}" AS SELECT n AS k, '' AS "a's" FROM generate_series(1, 9) AS n;
        ALTER TABLE "{range}" ADD PRIMARY KEY (k)"""
    )
    statement = """/* {range} */ UPDATE "{range}" AS "x'{range}" -- {range}
        SET "a's" = '{range}' || E'\\'{range}' || $a${range}$b$$a$ WHERE {range:"x'{range}"}"""
    report = client.backfill(statement, '"{range}"', batch_size=5).run()
    assert (report.is_complete, report.rows, report.ranges_done) == (True, 9, 2)
    assert value(conn, """SELECT DISTINCT "a's" FROM "{range}" """) == "{range}'{range}{range}$b$"


@pytest.mark.parametrize(
    ("statement", "table", "options", "message"),
    [
        ("UPDATE t SET times = 1", "t", {}, "no {range}"),
        ("UPDATE t SET times = 1 WHERE {range}; DROP TABLE t", "t", {}, "can't be run"),
        ("UPDATE t SET times = 1 -- WHERE {range}", "t", {}, "no {range}"),
        ("UPDATE t SET times = 1 /* /* */ WHERE {range} */", "t", {}, "no {range}"),
        ("UPDATE t SET times = length('{range}')", "t", {}, "no {range}"),
        ("VACUUM t {range}", "t", {}, "can't be run"),
        ("CREATE TABLE u AS SELECT * FROM t WHERE {range}", "t", {}, "can't be run"),
        ("UPDATE t SET nothing = 1 WHERE {range}", "t", {}, "nothing"),
        (COUNT, "nowhere", {}, "nowhere"),
        (COUNT, "v", {}, "not a table"),
        (COUNT, "t", {"key": "missing"}, "missing"),
        (COUNT, "t", {"key": ["k", "nullable"]}, "NULL"),
        (COUNT, "t", {"key": "j"}, "can be a key"),
    ],
)
def test_what_is_refused(
    client: Client[Any],
    conn: Connection,
    statement: str,
    table: str,
    options: dict[str, Any],
    message: str,
) -> None:
    make(conn, "n AS k, n AS nullable, to_jsonb(n) AS j")
    conn.execute("CREATE VIEW v AS TABLE t")
    fill = client.backfill(statement, table, **options)
    for attempt in (fill.plan, fill.run):
        with pytest.raises(BackfillError, match=message):
            attempt()
    assert value(conn, "SELECT sum(times) FROM t") == 0
    assert value(conn, "SELECT to_regclass('pg_background_backfill') IS NULL")


def test_options_that_can_not_be(client: Any) -> None:
    for options in (
        {"batch_size": 0},
        {"jobs": 0},
        {"target_seconds": -1},
        {"max_lag": -1},
        {"on_error": "x"},
    ):
        with pytest.raises(BackfillError):
            client.backfill(COUNT, "t", **options)
    with pytest.raises(TypeError, match="no option speed"):
        client.backfill(COUNT, "t", speed=3)
    with pytest.raises(TypeError, match="a statement and a table"):
        client.backfill(COUNT)


def test_the_plan(client: Client[Any], conn: Connection) -> None:
    make(conn, "n AS k, n AS other", "generate_series(1, 2000) AS n")
    plan = client.backfill(COUNT, "public.t", batch_size=300, jobs=2, max_lag=5).plan()
    assert (plan.table, list(plan.key), plan.estimated_ranges) == ('"public"."t"', ["k"], 7)
    assert "OPERATOR(pg_catalog.<=) '2000'::pg_catalog.int4" in plan.example
    assert "Update on t" in "\n".join(plan.explain)
    assert "5 bytes that a standby has not replayed" in str(plan)
    assert not plan.warnings
    (warning,) = (client.backfill(COUNT, "t", key="other").plan()).warnings[:1]
    assert "no index" in warning
    # Nothing was begun.
    assert value(conn, "SELECT to_regclass('pg_background_backfill') IS NULL")


def test_errors_are_rows_of_the_report(client: Client[Any], conn: Connection) -> None:
    make(conn, "n AS k")
    conn.execute("ALTER TABLE t ADD CHECK (times < 1 OR k NOT BETWEEN 450 AND 550)")
    fill = client.backfill(COUNT, "t", batch_size=100, jobs=2)
    report = fill.run()
    assert (report.state, report.ranges_done, report.ranges_failed, report.rows) == ("done", 8, 2, 800)
    assert not report.is_complete
    assert [(error.low, error.high, error.sqlstate) for error in report.errors] == [
        (["400"], ["500"], "23514"),
        (["500"], ["600"], "23514"),
    ]
    assert "above 400, up to 500" in str(report)
    # What was wrong is put right, and what is left is done.
    conn.execute("ALTER TABLE t DROP CONSTRAINT t_check")
    report = client.backfill(name="t").resume()
    once(conn)
    assert (report.is_complete, report.rows, report.ranges_failed) == (True, 1000, 0)


def test_an_error_that_stops_it(client: Client[Any], conn: Connection) -> None:
    make(conn, "n AS k")
    conn.execute("ALTER TABLE t ADD CHECK (times < 1 OR k <> 150)")
    report = client.backfill(COUNT, "t", batch_size=100, on_error="stop").run()
    assert (report.state, report.ranges_done, report.ranges_failed, report.is_cut) == ("stopped", 1, 1, False)
    conn.execute("ALTER TABLE t DROP CONSTRAINT t_check")
    assert (client.backfill(name="t").resume()).is_complete
    once(conn)


def test_rows_that_come_and_go_meanwhile(client: Client[Any], conn: Connection) -> None:
    """What was there at the beginning, and still is, is changed; what comes behind the highest key is not."""
    make(conn, "n * 10 AS k")

    def meddle(progress: Any) -> None:
        if progress.ranges_done == 3:
            conn.execute("INSERT INTO t VALUES (5, 0), (9995, 0), (20000, 0)")
            conn.execute("DELETE FROM t WHERE k BETWEEN 5000 AND 5990")

    report = client.backfill(COUNT, "t", batch_size=100).run(progress=meddle)
    assert report.is_complete
    assert conn.execute("SELECT k FROM t WHERE times = 0 ORDER BY k").fetchall() == [(5,), (20000,)]
    assert value(conn, "SELECT count(*) FROM t WHERE times = 1") == 901


def test_a_table_that_is_dropped(client: Client[Any], conn: Connection) -> None:
    make(conn, "n AS k")

    def drop(progress: Any) -> None:
        conn.execute("DROP TABLE IF EXISTS t")

    fill = client.backfill(COUNT, "t", batch_size=100)
    with pytest.raises(psycopg.errors.UndefinedTable):
        fill.run(progress=drop)
    report = fill.report()
    assert (report.state, report.ranges_done, report.rows) == ("stopped", 1, 100)


def test_without_rights(server: Server, db: str, conn: Connection, make_role: MakeRole) -> None:
    make(conn, "n AS k")
    role = make_role(member_of=("pgbackground_role",))
    with Client.connect(server.dsn(db, user=role)) as other:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            other.backfill(COUNT, "t").plan()
        conn.execute(f"GRANT SELECT ON t TO {role}".encode())
        with pytest.raises(BackfillError, match="permission denied for table t"):
            other.backfill(COUNT, "t").plan()
        conn.execute(f"GRANT UPDATE ON t TO {role}; REVOKE CREATE ON SCHEMA public FROM PUBLIC".encode())
        with pytest.raises(BackfillError, match="can't be kept in schema public"):
            other.backfill(COUNT, "t").run()
        with pytest.raises(BackfillError, match="can't be kept in schema nowhere"):
            other.backfill(COUNT, "t", schema="nowhere").run()
        schema = _own_schema(conn, role)
        with pytest.raises(BackfillError, match="may not see"):
            other.backfill(COUNT, "t", max_active=0, schema=schema).run()
        assert (other.backfill(COUNT, "t", schema=schema, name="first").run()).is_complete
        # Found where it is, and owned by the role alone.
        again = "UPDATE t SET times = 1 WHERE {range}"
        assert (other.backfill(again, "t", name="50 %").run()).is_complete
        assert other.backfill(name="first").forget()
        assert not other.backfill(name="first").forget()
        with pytest.raises(BackfillError, match="no backfill of the name first"):
            other.backfill(name="first").report()
        with pytest.raises(BackfillError, match="already"):
            other.backfill(again, "t", name="50 %").run()
    once(conn)
    owner = "SELECT relowner::regrole::text FROM pg_class WHERE relname = 'pg_background_backfill'"
    assert value(conn, owner) == role


def _own_schema(conn: Connection, role: str) -> str:
    conn.execute(f'CREATE SCHEMA "Its 100%" AUTHORIZATION {role}'.encode())
    return "Its 100%"


def test_tables_of_others_are_not_used(
    server: Server, db: str, conn: Connection, make_role: MakeRole
) -> None:
    """They may have triggers, which would run with the rights of whoever writes."""
    make(conn, "n AS k")
    role = make_role()
    conn.execute(f"GRANT CREATE ON SCHEMA public TO {role}".encode())
    with server.connect(db, user=role) as other:
        for name in ("pg_background_backfill", "pg_background_backfill_range"):
            other.execute(f"CREATE TABLE public.{name} ()".encode())
            other.execute(f"GRANT ALL ON public.{name} TO PUBLIC".encode())
    with Client.connect(server.dsn(db)) as mine:
        with pytest.raises(BackfillError, match="belongs to another role"):
            mine.backfill(COUNT, "t").run()
        conn.execute("CREATE SCHEMA mine")
        assert (mine.backfill(COUNT, "t", schema="mine").run()).is_complete


def test_among_look_alikes(server: Server, db: str, conn: Connection) -> None:
    """Only the statement is read by the caller's search_path."""
    make(conn, "n AS k")
    conn.execute("CREATE SCHEMA evil")
    for name in ("int4", "text"):
        conn.execute(f"CREATE DOMAIN evil.{name} AS pg_catalog.{name} CHECK (false)".encode())
    conn.execute(
        "CREATE FUNCTION evil.lies(a anyelement, b anyelement) RETURNS bool LANGUAGE sql"
        " AS 'SELECT 1 OPERATOR(pg_catalog./) 0 OPERATOR(pg_catalog.=) 0'"
    )
    for operator in ("=", "<", ">", "<=", ">=", "<>"):
        conn.execute(
            f"CREATE OPERATOR evil.{operator}"
            " (FUNCTION = evil.lies, LEFTARG = anyelement, RIGHTARG = anyelement)".encode()
        )
    conn.execute(
        "CREATE FUNCTION evil.clock_timestamp() RETURNS timestamptz LANGUAGE sql"
        " AS 'SELECT 1/0; SELECT now()'"
    )
    options = "-c search_path=evil,public,pg_catalog"
    with Client.connect(server.dsn(db, options=options)) as other:
        fill = other.backfill(
            "UPDATE t SET times = times + 1 WHERE {range}", "t", batch_size=300, schema="public"
        )
        assert (fill.plan()).estimated_rows == 1000
        report = fill.run()
        assert report.is_complete, report
    once(conn)


def test_the_progress_counts_rows(client: Client[Any], conn: Connection) -> None:
    make(conn, "nullif(n, 7) AS k", primary="")
    seen: list[Any] = []
    fill = client.backfill(COUNT, "t", key="k", batch_size=400)
    assert (fill.run(progress=lambda now: seen.append(now.rows_seen))).ranges_done == 4
    # The third range has less, and those without a key are the last.
    assert seen == [400, 800, 999, 1000]


def test_batches_follow_the_time_that_they_take(client: Client[Any], conn: Connection) -> None:
    make(conn, "n AS k", "generate_series(1, 5000) AS n")
    # A row takes two milliseconds, so that there is room for as many as make a tenth of a second.
    slow = "UPDATE t SET times = times + 1 WHERE {range} AND pg_sleep(0.002) IS NOT NULL"
    conn.execute("DELETE FROM t WHERE k > 600")
    report = client.backfill(slow, "t", batch_size=5, target_seconds=0.1).run()
    assert report.is_complete
    once(conn)
    sizes = [row[0] for row in conn.execute("SELECT size FROM pg_background_backfill_range ORDER BY number")]
    # A busy machine adds to the time of each, so that they grow by less.
    assert sizes[0] == 5 < max(sizes) <= 60
    assert all(later <= 2 * size for size, later in itertools.pairwise(sizes))


def test_a_client_of_somebodys_connection(server: Server, db: str, conn: Connection) -> None:
    make(conn, "n AS k")
    with psycopg.Connection.connect(server.dsn(db)) as own:
        mine = Client(own)
        with own.transaction(), pytest.raises(BackfillError, match="inside of a transaction"):
            mine.backfill(COUNT, "t").run()
        report = mine.backfill(COUNT, "t", batch_size=100, jobs=2).run()
        assert report.is_complete
    once(conn)
