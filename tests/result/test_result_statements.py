"""What each kind of statement gives: its rows, or the command tags of all."""

from __future__ import annotations

import pytest

from ..support.calls import query, read, result_failure, tags, value
from ..support.fix_db import Connection
from ..support.jobs import launch, result, run, wait

SETUP = "CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, 'x'), (2, 'y'), (3, NULL)"

#: Statements with rows, and the column list for these.
ROWS = {
    "select": ("SELECT a, b FROM t ORDER BY a", "a int, b text"),
    "values": ("VALUES (1, 'x'), (2, NULL)", "a int, b text"),
    "table": ("TABLE t", "a int, b text"),
    "with": ("WITH c AS (SELECT 1 AS a) SELECT a, a + 1 FROM c", "a int, b int"),
    "with insert": (
        "WITH c AS (INSERT INTO t VALUES (9, 'n') RETURNING a, b) SELECT a, b FROM c",
        "a int, b text",
    ),
    "insert returning": ("INSERT INTO t VALUES (4, 'z') RETURNING *", "a int, b text"),
    "update returning": ("UPDATE t SET a = a * 10 WHERE a > 1 RETURNING a, upper(b)", "a int, b text"),
    "delete returning": ("DELETE FROM t RETURNING b, a", "b text, a int"),
    "update returning nothing": ("UPDATE t SET a = 0 WHERE false RETURNING a", "a int"),
    "empty": ("SELECT a FROM t WHERE false", "a int"),
    "show": ("SHOW work_mem", "work_mem text"),
    "show all": (
        "SHOW ALL",
        "name text, setting text, description text",
    ),
    "explain": ("EXPLAIN (COSTS off) SELECT * FROM t", "plan text"),
    "explain json": ("EXPLAIN (COSTS off, FORMAT json) SELECT * FROM t", "plan json"),
    "explain xml": ("EXPLAIN (COSTS off, FORMAT yaml) DELETE FROM t", "plan text"),
    "fetch": ("DECLARE c CURSOR FOR SELECT a FROM t ORDER BY a; FETCH 2 FROM c", "a int"),
    "fetch none": ("DECLARE c CURSOR FOR SELECT a FROM t; FETCH 0 FROM c", "a int"),
    "fetch backward": (
        "DECLARE c SCROLL CURSOR FOR SELECT a FROM t ORDER BY a; MOVE LAST IN c; FETCH BACKWARD ALL IN c",
        "a int",
    ),
    "execute": ("PREPARE p (int) AS SELECT $1, b FROM t; EXECUTE p (5)", "a int, b text"),
    "call": ("CALL outs(2, NULL, NULL)", "twice int, word text"),
    "set returning": ("SELECT generate_series(1, 3), unnest(ARRAY['a'])", "a int, b text"),
    "for update": ("SELECT a FROM t ORDER BY a FOR UPDATE", "a int"),
    "unlabelled": ("SELECT 1, 1, 'a', 'a'", "a int, b int, c text, d text"),
    "union": ("SELECT 1 UNION ALL SELECT 2", "a int"),
}

#: Statements without rows.
NO_ROWS = [
    "INSERT INTO t VALUES (4, 'z'), (5, 'z')",
    "UPDATE t SET a = a + 1",
    "UPDATE t SET a = 0 WHERE false",
    "DELETE FROM t WHERE a = 1",
    pytest.param(
        "MERGE INTO t USING (VALUES (1), (9)) v(a) ON t.a = v.a WHEN MATCHED THEN UPDATE SET b = 'm'"
        " WHEN NOT MATCHED THEN INSERT VALUES (v.a, 'i')",
        marks=pytest.mark.pg(">= 15"),
    ),
    "TRUNCATE t",
    "SELECT a INTO made FROM t",
    "CREATE TABLE made AS SELECT * FROM t",
    "CREATE TABLE made AS SELECT * FROM t WITH NO DATA",
    "CREATE MATERIALIZED VIEW made AS SELECT * FROM t",
    "CREATE TABLE made (a int PRIMARY KEY)",
    "CREATE INDEX ON t (a)",
    "CREATE VIEW made AS SELECT 1",
    "CREATE FUNCTION made() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE ROLE never_committed; DROP ROLE never_committed",
    "ALTER TABLE t ADD c int",
    "COMMENT ON TABLE t IS 'c'",
    "GRANT SELECT ON t TO PUBLIC",
    "ANALYZE t",
    "SET work_mem = '5MB'",
    "RESET work_mem",
    "LOCK t; UNLISTEN *",
    "NOTIFY c, 'payload'",
    "DO $$ BEGIN END $$",
    "CALL nothing()",
    "PREPARE p AS SELECT 1",
    "PREPARE p AS INSERT INTO t VALUES (7); EXECUTE p",
    "DECLARE c CURSOR FOR SELECT * FROM t; MOVE 2 FROM c; CLOSE c",
    "DISCARD PLANS",
    "SET CONSTRAINTS ALL DEFERRED",
    "CHECKPOINT",
    "EXPLAIN SELECT 1; SELECT 1; DROP TABLE t",
]


@pytest.fixture
def ready(conn: Connection) -> Connection:
    query(conn, SETUP)
    query(
        conn,
        "CREATE PROCEDURE outs(a int, OUT twice int, INOUT word text) LANGUAGE sql"
        " AS 'SELECT a * 2, ''w''::text'; CREATE PROCEDURE nothing() LANGUAGE sql AS ''",
    )
    return conn


@pytest.mark.parametrize(("job", "columns"), ROWS.values(), ids=ROWS)
def test_rows(ready: Connection, job: str, columns: str) -> None:
    """As the same statement has them in a session, in a transaction that is taken back."""
    cursor = ready.execute(f"BEGIN; {job}".encode())
    while cursor.nextset():
        pass
    expected = cursor.fetchall()
    ready.execute("ROLLBACK")
    found = run(ready, job, columns)
    if job == "SHOW ALL":
        assert len(found) == len(expected)
    else:
        assert found == expected


@pytest.mark.parametrize("job", NO_ROWS)
def test_tags(ready: Connection, job: str) -> None:
    """As the same statements have them in a session."""
    expected = []
    ready.execute("BEGIN")
    cursor = ready.execute(job.encode())
    while True:
        expected.append(cursor.statusmessage)
        if not cursor.nextset():
            break
    ready.execute("ROLLBACK")
    assert tags(ready, job) == expected


@pytest.mark.pg(">= 17")
def test_merge_returning(ready: Connection) -> None:
    job = (
        "MERGE INTO t USING (VALUES (1), (9)) v(a) ON t.a = v.a WHEN MATCHED THEN DELETE"
        " WHEN NOT MATCHED THEN INSERT VALUES (v.a, 'i') RETURNING merge_action(), t.a"
    )
    assert sorted(run(ready, job, "how text, a int")) == [("DELETE", 1), ("INSERT", 9)]


@pytest.mark.parametrize(
    "job", ["", " ", ";", ";;; ;", "-- nothing", "/* nothing */", "-- nothing\n;\n", "\n\t"]
)
@pytest.mark.parametrize("columns", ["tag text", "a int", "a int, b json"])
def test_nothing(conn: Connection, job: str, columns: str) -> None:
    """No statement has no rows, of any kind."""
    assert run(conn, job, columns) == []


def test_empty_statements_between(conn: Connection) -> None:
    assert tags(conn, ";; CREATE TABLE a () ;; -- here\n; DROP TABLE a; /* there */") == [
        *("CREATE TABLE", "DROP TABLE"),
    ]


def test_many_tags(conn: Connection) -> None:
    job = "; ".join(["SELECT 1"] * 2000 + ["CREATE TABLE a ()"])
    assert tags(conn, job) == ["SELECT 1"] * 2000 + ["CREATE TABLE"]


def test_only_the_last_rows_are_kept(conn: Connection) -> None:
    """Whatever came before, of whatever shape."""
    assert run(conn, "SELECT 1, 2, 3; SELECT 'x'; SELECT 4", "n int") == [(4,)]


def test_also_rules(ready: Connection) -> None:
    query(ready, "CREATE TABLE log (a int)")
    query(ready, "CREATE RULE also AS ON INSERT TO t DO ALSO INSERT INTO log VALUES (NEW.a)")
    assert tags(ready, "INSERT INTO t VALUES (7), (8)") == ["INSERT 0 2"]
    assert query(ready, "SELECT a FROM log ORDER BY a") == [(7,), (8,)]
    assert run(ready, "INSERT INTO t VALUES (9) RETURNING a", "a int") == [(9,)]
    assert value(ready, "SELECT count(*) FROM log") == 3


@pytest.mark.parametrize(
    ("rule", "job", "columns", "rows"),
    [
        ("INSERT TO t DO ALSO SELECT NEW.a + 10", "INSERT INTO t VALUES (7), (8)", "a int", [(17,), (18,)]),
        ("INSERT TO t DO ALSO SELECT NEW.a + 10", "INSERT INTO t SELECT 1 WHERE false", "a int", []),
        ("INSERT TO t DO ALSO (SELECT 1; SELECT 'second')", "INSERT INTO t VALUES (7)", "a int", [(1,)]),
        ("UPDATE TO t DO ALSO SELECT OLD.a", "UPDATE t SET a = a * 10 WHERE a = 2", "a int", [(2,)]),
        (
            "INSERT TO t WHERE NEW.a > 5 DO INSTEAD SELECT 'instead', NEW.a",
            "INSERT INTO t VALUES (5), (6)",
            "a text, b int",
            [("instead", 6)],
        ),
        ("DELETE TO t WHERE OLD.a > 2 DO INSTEAD SELECT OLD.a", "DELETE FROM t", "a int", [(3,)]),
    ],
)
def test_rules_that_select_beside_the_statement(
    ready: Connection, rule: str, job: str, columns: str, rows: list[tuple[object, ...]]
) -> None:
    """Their rows are the result of a statement that has none; of several, the first that a session shows."""
    query(ready, f"CREATE RULE r AS ON {rule}")
    ready.execute("BEGIN")
    cursor = ready.execute(job.encode())
    while cursor.description is None and cursor.nextset():
        pass
    assert cursor.fetchall() == rows
    expected = query(ready, "SELECT a FROM t ORDER BY a")
    ready.execute("ROLLBACK")
    assert run(ready, job, columns) == rows
    assert query(ready, "SELECT a FROM t ORDER BY a") == expected


def test_rules_that_select_beside_what_is_returned(ready: Connection) -> None:
    """What RETURNING asks for is the result, also where a session shows the rule's rows before it."""
    query(ready, "CREATE RULE r AS ON UPDATE TO t DO ALSO SELECT 'from the rule'")
    assert run(ready, "UPDATE t SET a = 9 WHERE a = 2 RETURNING a", "a int") == [(9,)]
    assert run(ready, "UPDATE t SET a = 8 WHERE a = 9", "a text") == [("from the rule",)]


def test_instead_rules(ready: Connection) -> None:
    query(
        ready,
        "CREATE VIEW v AS SELECT a FROM t;"
        " CREATE RULE i AS ON INSERT TO v DO INSTEAD INSERT INTO t VALUES (NEW.a * 2) RETURNING a;"
        " CREATE RULE n AS ON DELETE TO v DO INSTEAD NOTHING",
    )
    assert tags(ready, "INSERT INTO v VALUES (50)") == ["INSERT 0 1"]
    assert run(ready, "INSERT INTO v VALUES (60) RETURNING a", "a int") == [(120,)]
    assert tags(ready, "DELETE FROM v") == ["DELETE 0"]


def test_listen(conn: Connection) -> None:
    """PostgreSQL's own error: no client would hear."""
    assert result_failure(conn, launch(conn, "LISTEN c"))[:2] == (
        "0A000",
        "cannot execute LISTEN within a background process",
    )


@pytest.mark.parametrize(
    ("rule", "job", "columns", "rows"),
    [
        ("SELECT NEW.a + 1, 'x'::text", "INSERT INTO v VALUES (5)", "a int, b text", [(6, "x")]),
        ("SELECT a FROM t ORDER BY a", "INSERT INTO v VALUES (5)", "a int", [(1,), (2,), (3,)]),
        ("SELECT 1 WHERE false", "INSERT INTO v VALUES (5)", "a int", []),
        (
            "(INSERT INTO t VALUES (NEW.a); SELECT count(*) FROM t; SELECT 'second')",
            "INSERT INTO v VALUES (5)",
            "n int8",
            [(4,)],
        ),
        (
            "(SELECT 'first'; SELECT 2)",
            "PREPARE p AS INSERT INTO v VALUES (5); EXECUTE p",
            "a text",
            [("first",)],
        ),
        ("SELECT 'row'", "DO $$ BEGIN END $$; INSERT INTO v VALUES (5)", "a text", [("row",)]),
    ],
)
def test_rules_that_select_instead(
    ready: Connection, rule: str, job: str, columns: str, rows: list[tuple[object, ...]]
) -> None:
    """Their rows are the result; of several, the first, as a session's cursor shows it first."""
    query(ready, f"CREATE VIEW v AS SELECT a FROM t; CREATE RULE i AS ON INSERT TO v DO INSTEAD {rule}")
    ready.execute("BEGIN")
    cursor = ready.execute(job.encode())
    while cursor.description is None and cursor.nextset():
        pass
    assert cursor.fetchall() == rows
    ready.execute("ROLLBACK")
    assert run(ready, job, columns) == rows


def test_rules_that_return_and_select_instead(ready: Connection) -> None:
    """What RETURNING asks for is the result."""
    query(
        ready,
        "CREATE VIEW v AS SELECT a FROM t; CREATE RULE i AS ON INSERT TO v DO INSTEAD"
        " (SELECT 'first'; INSERT INTO t VALUES (NEW.a) RETURNING a * 10)",
    )
    assert run(ready, "INSERT INTO v VALUES (5) RETURNING a", "a int") == [(50,)]
    assert run(ready, "INSERT INTO v VALUES (6)", "a text") == [("first",)]


def test_zero_columns(ready: Connection) -> None:
    """Each row is one without columns; no column list has none, so that one text reads the tags."""
    query(ready, "CREATE TABLE nothing_at_all (gone int); ALTER TABLE nothing_at_all DROP gone")
    job = "SELECT FROM generate_series(1, 3)"
    handle = launch(ready, job)
    assert value(ready, "SELECT count(*) FROM pg_background_describe(%s, %s)", *handle) == 0
    assert (
        query(
            ready,
            "SELECT row_to_json(r)::text FROM pg_background_result(NULL::nothing_at_all, %s, %s) r",
            *handle,
        )
        == [("{}",)] * 3
    )
    handle = launch(ready, job)
    wait(ready, handle)
    assert (
        query(ready, "SELECT row_count, command_tag FROM pg_background_result_info(%s, %s)", *handle)[0][0]
        == 3
    )
    assert query(ready, "SELECT pg_background_result_json(%s, %s)", *handle) == [({},)] * 3
    handle = launch(ready, job)
    assert result_failure(ready, handle, "a int, b int").detail == (
        "The query returns 0 columns, the column list has 2."
    )
    assert result(ready, handle) == [("SELECT 3",)]
    assert tags(ready, "INSERT INTO t VALUES (70); SELECT FROM t") == ["INSERT 0 1", "SELECT 4"]
    assert tags(ready, "DELETE FROM t; SELECT")[-1] == "SELECT 1"
    assert value(ready, "SELECT count(*) FROM t") == 0


@pytest.mark.parametrize("count", [2, 1000, 1600])
@pytest.mark.parametrize("type_", ["int", "text"])
def test_many_columns(conn: Connection, count: int, type_: str) -> None:
    job = "SELECT " + ", ".join(f"{n}::{type_}" if n % 7 else f"NULL::{type_}" for n in range(count))
    columns = ", ".join(f"c{n} {type_}" for n in range(count))
    expected = query(conn, job)
    assert run(conn, job, columns) == expected


@pytest.mark.parametrize(
    ("sent", "declared", "expected"),
    [
        ("1.005::numeric(5,2)", "numeric(5,2)", "1.01"),
        ("1.5::numeric(5,2)", "numeric", "1.50"),
        ("1.005", "numeric(5,2)", "1.01"),
        ("1.25::numeric(5,2)", "numeric(5,1)", "1.3"),
        ("'abc'::varchar(3)", "varchar(3)", "abc"),
        ("'abc'::varchar(3)", "varchar", "abc"),
        ("'abc'::varchar", "varchar(3)", "abc"),
        ("'abc  '::varchar(9)", "varchar(3)", "abc"),
        ("'ab'::char(4)", "char(4)", "ab"),
        ("B'101'::varbit(5)", "varbit(3)", "101"),
        ("'12:34:56.789'::time(3)", "time(0)", "12:34:57"),
        ("'1.5 days'::interval", "interval day", "1 day"),
        ("ARRAY[1.25]::numeric[]", "numeric(5,1)[]", "{1.3}"),
        ("NULL::numeric(5,2)", "numeric(3,1)", None),
    ],
)
def test_type_modifiers(conn: Connection, sent: str, declared: str, expected: str | None) -> None:
    assert read(conn, f"SELECT {sent}, 'next'", f"a {declared}, b text", "a::text, b") == [(expected, "next")]


def test_type_modifier_that_the_value_does_not_meet(conn: Connection) -> None:
    handle = launch(conn, "SELECT 1, 'abcd'::varchar")
    assert result_failure(conn, handle, "n int, a varchar(3)")[:2] == (
        "22001",
        "value too long for type character varying(3)",
    )
    handle = launch(conn, "SELECT 1234.5")
    assert result_failure(conn, handle, "a numeric(3,1)").sqlstate == "22003"


def test_notices_come_with_the_result(conn: Connection) -> None:
    """In their order, with all their fields, and nothing of what client_min_messages keeps away."""
    seen: list[tuple[str | None, ...]] = []
    conn.add_notice_handler(
        lambda diag: seen.append(
            (
                diag.severity_nonlocalized,
                diag.sqlstate,
                diag.message_primary,
                diag.message_detail,
                diag.message_hint,
            )
        )
    )
    job = (
        "DO $$ BEGIN RAISE NOTICE 'one'; RAISE DEBUG 'not this';"
        " RAISE WARNING USING MESSAGE = 'two', DETAIL = 'd', HINT = 'h', ERRCODE = '01ABC';"
        " RAISE INFO 'three'; END $$; SELECT 5"
    )
    handle = launch(conn, job)
    wait(conn, handle)
    assert seen == []
    assert result(conn, handle, "n int") == [(5,)]
    assert seen == [
        ("NOTICE", "00000", "one", None, None),
        ("WARNING", "01ABC", "two", "d", "h"),
        ("INFO", "00000", "three", None, None),
    ]
