"""Results whose types have changed, or gone, between the job and its reader."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ..support.calls import (
    Failure,
    at_the_same_time,
    query,
    read_result,
    result_failure,
    sqlstate,
    value,
    wait_until_blocked,
    wait_until_in_extension,
)
from ..support.fix_db import Connect, Connection
from ..support.jobs import Gate, Handle, closed_gate, launch, result, run, wait
from ..support.server import Server
from ..support.waiting import wait_until_sql
from .test_describe import as_json, describe

SETUP = """
CREATE TYPE t AS (a int8, b int8);
CREATE TYPE outer_t AS (x int, y t, z t[]);
CREATE TABLE tab (a int8, b text);
INSERT INTO tab VALUES (1, 'x');
CREATE DOMAIN t_domain AS t;
CREATE TYPE t_range AS RANGE (subtype = t);
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TYPE mood_range AS RANGE (subtype = mood);
CREATE DOMAIN int_domain AS int8;
CREATE TYPE of_domain AS (d int_domain, ds int_domain[])
"""

T = "row(8388608, 9223372036854775807)::t"

#: An expression, its type, what may be done to the types, and the value as text and as JSON.
CHANGES = {
    "composite": (T, "t", "ALTER TYPE t ALTER ATTRIBUTE a TYPE bytea", {"a": 8388608, "b": 2**63 - 1}),
    "attribute added": (T, "t", "ALTER TYPE t ADD ATTRIBUTE c int", {"a": 8388608, "b": 2**63 - 1}),
    "attribute dropped": (T, "t", "ALTER TYPE t DROP ATTRIBUTE a", {"a": 8388608, "b": 2**63 - 1}),
    "attribute exchanged": (
        T,
        "t",
        "ALTER TYPE t DROP ATTRIBUTE a, ADD ATTRIBUTE a int8",
        {"a": 8388608, "b": 2**63 - 1},
    ),
    "attribute renamed": (T, "t", "ALTER TYPE t RENAME ATTRIBUTE a TO c", {"a": 8388608, "b": 2**63 - 1}),
    "nested": (
        f"row(1, {T}, ARRAY[{T}, NULL])::outer_t",
        "outer_t",
        "ALTER TYPE t ALTER ATTRIBUTE b TYPE text",
        {
            "x": 1,
            "y": {"a": 8388608, "b": 2**63 - 1},
            "z": [{"a": 8388608, "b": 2**63 - 1}, None],
        },
    ),
    "array": (
        f"ARRAY[{T}]",
        "t[]",
        "ALTER TYPE t ALTER ATTRIBUTE a TYPE bytea",
        [{"a": 8388608, "b": 2**63 - 1}],
    ),
    "domain": (
        f"{T}::t_domain",
        "t_domain",
        "ALTER TYPE t ALTER ATTRIBUTE a TYPE bytea CASCADE",
        {"a": 8388608, "b": 2**63 - 1},
    ),
    "range": (
        f"t_range({T}, NULL)",
        "t_range",
        "ALTER TYPE t ADD ATTRIBUTE c int",
        '["(8388608,9223372036854775807)",)',
    ),
    "multirange": (
        f"t_multirange(t_range({T}, NULL))",
        "t_multirange",
        "ALTER TYPE t ADD ATTRIBUTE c int",
        '{["(8388608,9223372036854775807)",)}',
    ),
    "row, column added": (
        "(SELECT tab FROM tab)",
        "tab",
        "ALTER TABLE tab ADD c int DEFAULT 5",
        {"a": 1, "b": "x"},
    ),
    "row, column dropped": ("(SELECT tab FROM tab)", "tab", "ALTER TABLE tab DROP a", {"a": 1, "b": "x"}),
    "row, column altered": (
        "(SELECT tab FROM tab)",
        "tab",
        "ALTER TABLE tab ALTER a TYPE text",
        {"a": 1, "b": "x"},
    ),
    "row, table dropped": ("(SELECT tab FROM tab)", "tab", "DROP TABLE tab", {"a": 1, "b": "x"}),
    "rows": (
        "(SELECT array_agg(tab) FROM tab)",
        "tab[]",
        "ALTER TABLE tab ALTER b TYPE bytea USING ''",
        [{"a": 1, "b": "x"}],
    ),
    "label renamed": ("'ok'::mood", "mood", "ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'", "ok"),
    "labels exchanged": (
        "'ok'::mood",
        "mood",
        "ALTER TYPE mood RENAME VALUE 'ok' TO 'x';"
        " ALTER TYPE mood RENAME VALUE 'sad' TO 'ok'; ALTER TYPE mood RENAME VALUE 'x' TO 'sad'",
        "ok",
    ),
    "labels in an array": ("'{ok}'::mood[]", "mood[]", "ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'", ["ok"]),
    "labels in a range": (
        "'[sad,ok]'::mood_range",
        "mood_range",
        "ALTER TYPE mood RENAME VALUE 'ok' TO 'o'",
        "[sad,ok]",
    ),
    "domain's base": (
        "row(5, ARRAY[6]::int_domain[])::of_domain",
        "of_domain",
        "DROP DOMAIN int_domain CASCADE; CREATE DOMAIN int_domain AS text;"
        " ALTER TYPE of_domain ADD ATTRIBUTE d int_domain, ADD ATTRIBUTE ds int_domain[]",
        {"d": 5, "ds": [6]},
    ),
    "type dropped": ("'ok'::mood", "mood", "DROP TYPE mood CASCADE", "ok"),
    "type exchanged": (
        T,
        "t",
        "DROP TYPE t CASCADE; CREATE TYPE t AS (a int8, b int8)",
        {"a": 8388608, "b": 2**63 - 1},
    ),
}


@pytest.fixture
def typed(conn: Connection) -> Connection:
    query(conn, SETUP)
    return conn


def finished(conn: Connection, job: str) -> Handle:
    handle = launch(conn, job)
    wait(conn, handle)
    return handle


@pytest.mark.parametrize(("expression", "type_", "change", "json"), CHANGES.values(), ids=CHANGES)
def test_changed(typed: Connection, expression: str, type_: str, change: str, json: object) -> None:
    """Not decoded as what it is now; its text and its fields are there."""
    job = f"SELECT 1 AS n, {expression} AS x, 'end' AS e"
    as_text = value(typed, f"SELECT ({expression})::text")
    handles = [finished(typed, job) for _ in range(3)]
    query(typed, change)
    if value(typed, "SELECT to_regtype(%s) IS NOT NULL", type_):
        failed = result_failure(typed, handles[0], f"n int, x {type_}, e text")
        assert failed.sqlstate == "42804"
        assert failed.detail is not None
        assert failed.detail.startswith('Column 2 is "x" of type ')
    assert [row[3] for row in describe(typed, handles[0])] == ["integer", "text", "text"]
    assert result(typed, handles[0], "n int, x text, e text") == [(1, as_text, "end")]
    assert result(typed, handles[1], "n int, x varchar, e text") == [(1, as_text, "end")]
    assert as_json(typed, handles[2]) == [{"n": 1, "x": json, "e": "end"}]


@pytest.mark.parametrize(("expression", "type_", "change", "json"), CHANGES.values(), ids=CHANGES)
def test_unchanged(typed: Connection, expression: str, type_: str, change: str, json: object) -> None:
    """As itself, as text and as JSON it is what a session has."""
    job = f"SELECT {expression} AS x FROM generate_series(1, 2)"
    expected = query(typed, f"SELECT x::text, pg_typeof(x)::text FROM ({job}) AS s")
    handles = [finished(typed, job) for _ in range(3)]
    assert [row[3] for row in describe(typed, handles[0])] == [type_]
    assert read_result(typed, handles[0], f"x {type_}", "x::text, pg_typeof(x)::text") == expected
    assert result(typed, handles[1], "x text") == [row[:1] for row in expected]
    assert as_json(typed, handles[2]) == [{"x": json}] * 2
    assert [{"x": json}] * 2 == [row[0] for row in query(typed, f"SELECT row_to_json(s) FROM ({job}) AS s")]


def test_the_reason_is_told(typed: Connection) -> None:
    handle = finished(typed, f"SELECT {T} AS x")
    query(typed, "ALTER TYPE t ALTER ATTRIBUTE a TYPE bytea")
    assert result_failure(typed, handle, "x t") == Failure(
        "42804",
        "remote query result rowtype does not match the specified FROM clause rowtype",
        'Column 1 is "x" of type t, which has changed since the job ran.',
        "Declare the column as text.",
    )


def test_a_label_that_was_added_changes_nothing(typed: Connection) -> None:
    handle = finished(typed, "SELECT 'ok'::mood AS m")
    query(typed, "ALTER TYPE mood ADD VALUE 'first' BEFORE 'sad'")
    assert read_result(typed, handle, "m mood", "m::text, m > 'first'") == [("ok", True)]


def test_a_type_that_was_renamed_is_the_same(typed: Connection) -> None:
    handle = finished(typed, f"SELECT {T} AS x, 'ok'::mood")
    query(typed, "ALTER TYPE t RENAME TO u; CREATE SCHEMA s; ALTER TYPE mood SET SCHEMA s")
    assert read_result(typed, handle, "x u, m s.mood", "(x).a, m::text") == [(8388608, "ok")]


def test_rows_read_stay_what_they_are(typed: Connection, connect: Connect) -> None:
    """Nobody changes the type before the reader's transaction has ended."""
    handle = finished(typed, f"SELECT {T} AS x")
    reader, other = connect(), connect()
    query(other, "SET lock_timeout = '10ms'")
    query(reader, "BEGIN")
    query(reader, f"DECLARE c CURSOR FOR SELECT (x).a FROM pg_background_result{tuple(handle)} AS (x t)")
    assert query(reader, "FETCH 1 FROM c") == [(8388608,)]
    assert sqlstate(other, "ALTER TYPE t ALTER ATTRIBUTE a TYPE bytea") == "55P03"
    query(reader, "COMMIT")
    query(other, "ALTER TYPE t ALTER ATTRIBUTE a TYPE bytea")


def test_a_temporary_table_of_the_job(conn: Connection) -> None:
    """Its rows can be read as values, though their type went with the table."""
    job = (
        "CREATE TEMP TABLE tt (a int, b text); INSERT INTO tt VALUES (1, 'x');"
        " CREATE TYPE pg_temp.m AS ENUM ('y');"
        " SELECT tt AS t, ARRAY[tt] AS ts, 'y'::pg_temp.m AS m FROM tt"
    )
    handles = [launch(conn, job), finished(conn, job)]
    for handle in handles:
        assert [row[3] for row in describe(conn, handle)] == ["text", "text", "text"]
    assert result(conn, handles[0], "t text, ts text, m text") == [("(1,x)", '{"(1,x)"}', "y")]
    row = {"a": 1, "b": "x"}
    assert as_json(conn, handles[1]) == [{"t": row, "ts": [row], "m": "y"}]


# ---- types that the job itself makes

#: What the job does, an expression, its type, and its text.
MADE = {
    "enum": ("CREATE TYPE made AS ENUM ('red')", "'red'::made", "made", "red"),
    "enums": ("CREATE TYPE made AS ENUM ('red')", "'{red}'::made[]", "made[]", "{red}"),
    "domain": ("CREATE DOMAIN made AS int", "7::made", "made", "7"),
    "composite": ("CREATE TYPE made AS (a int, b text)", "row(1, 'x')::made", "made", "(1,x)"),
    "row": ("CREATE TABLE made AS SELECT 1 AS a", "(SELECT made FROM made)", "made", "(1)"),
    "range": ("CREATE TYPE made AS RANGE (subtype = float8)", "'[1,2)'::made", "made", "[1,2)"),
    "changed": ("ALTER TYPE t ADD ATTRIBUTE c int", "row(1, 2, 3)::t", "t", "(1,2,3)"),
    "label": ("ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'", "'fine'::mood", "mood", "fine"),
}


def waiting_at_commit(conn: Connection, gate: Gate, job: str) -> Handle:
    """Launch a job that is done but for its commit, which comes when the gate opens."""
    query(
        conn,
        f"CREATE TABLE held (a int); CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN {gate.sql.replace('SELECT', 'PERFORM')}; RETURN NULL; END $$;"
        " CREATE CONSTRAINT TRIGGER hold AFTER INSERT ON held DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION hold()",
    )
    handle = launch(conn, f"INSERT INTO held VALUES (1); {job}")
    wait_until_blocked(conn, handle.pid)
    return handle


def read_json(conn: Connection, handle: Handle) -> object:
    return len(as_json(conn, handle))


def read_text(conn: Connection, handle: Handle) -> object:
    return result(conn, handle, "x text")


@pytest.mark.parametrize("read", [describe, read_text, read_json])
@pytest.mark.parametrize(("make", "expression", "type_", "text"), MADE.values(), ids=MADE)
def test_read_before_the_commit(
    typed: Connection,
    connect: Connect,
    make: str,
    expression: str,
    type_: str,
    text: str,
    read: Callable[[Connection, Handle], object],
) -> None:
    """Whoever reads waits until others can see the type."""
    reader = connect()
    with closed_gate(connect()) as gate, at_the_same_time(reader) as call:
        handle = waiting_at_commit(typed, gate, f"{make}; SELECT {expression} AS x")
        reading = call(read, reader, handle)
        wait_until_sql(
            typed,
            "SELECT wait_event_type IN ('Extension', 'Lock') FROM pg_stat_activity"
            " WHERE pid = %s AND state = 'active'",
            [reader.info.backend_pid],
        )
        gate.open()
        expected = {"describe": [(1, "x", type_, type_)], "read_text": [(text,)], "read_json": 1}
        assert reading.result() == expected[read.__name__]
        gate.close()


def test_a_type_that_never_came_to_be(typed: Connection, connect: Connect) -> None:
    """The job's error says why."""
    reader = connect()
    with closed_gate(connect()) as gate, at_the_same_time(reader) as call:
        handle = waiting_at_commit(typed, gate, "CREATE TYPE made AS (a int); SELECT row(1)::made AS x")
        reading = call(result, reader, handle, "x text")
        wait_until_in_extension(typed, reader)
        query(typed, "SELECT pg_background_cancel(%s, %s)", *handle)
        assert reading.failure().sqlstate == "57014"


def test_made_and_read_after_the_commit(conn: Connection) -> None:
    for make, expression, type_, text in list(MADE.values())[:6]:
        handle = finished(conn, f"{make}; SELECT {expression} AS x")
        assert read_result(conn, handle, f"x {type_}", "x::text") == [(text,)]
        query(
            conn,
            "DROP TABLE IF EXISTS made"
            if make.startswith("CREATE TABLE")
            else f"DROP {make.split()[1]} made",
        )


def test_made_by_the_job_and_dropped_by_the_next(conn: Connection) -> None:
    handle = finished(conn, "CREATE TYPE made AS (a int); SELECT row(1)::made AS x")
    run(conn, "DROP TYPE made")
    assert [row[3] for row in describe(conn, handle)] == ["text"]
    assert result(conn, handle, "x text") == [("(1)",)]


@pytest.mark.contrib("citext")
def test_a_base_type_that_is_gone(conn: Connection) -> None:
    """It is the text that the job wrote."""
    query(conn, "CREATE EXTENSION citext")
    job = "SELECT 1 AS n, 'x'::citext AS c, row('y'::citext) AS r, ARRAY['z'::citext] AS a"
    for_rows, for_json = finished(conn, job), finished(conn, job)
    query(conn, "DROP EXTENSION citext")
    assert [row[3] for row in describe(conn, for_rows)] == ["integer", "text", "record", "text"]
    columns = "n int, c text, r text, a text"
    assert result(conn, for_rows, columns) == [(1, "x", "(y)", "{z}")]
    assert as_json(conn, for_json) == [{"n": 1, "c": "x", "r": {"f1": "y"}, "a": ["z"]}]


@pytest.mark.contrib("citext")
def test_a_base_type_that_the_job_makes(conn: Connection, connect: Connect) -> None:
    reader = connect()
    with closed_gate(connect()) as gate, at_the_same_time(reader) as call:
        handle = waiting_at_commit(conn, gate, "CREATE EXTENSION citext; SELECT 'x'::citext AS x")
        reading = call(describe, reader, handle)
        wait_until_in_extension(conn, reader)
        gate.open()
        assert reading.result() == [(1, "x", "citext", "citext")]
        gate.close()
    assert read_result(conn, handle, "x citext", "x = 'X'") == [(True,)]


@pytest.mark.parametrize("how", ["text", "JSON"])
def test_a_range_stays_until_the_reader_has_committed(conn: Connection, connect: Connect, how: str) -> None:
    """It is written by the type itself, whichever rows are still to come."""
    query(conn, "CREATE TYPE kept AS RANGE (subtype = int8)")
    handle = launch(conn, "SELECT kept(1, 2)")
    wait(conn, handle)
    reader, other = connect(), connect()
    query(other, "SET lock_timeout = '10ms'")
    with reader.transaction():
        assert (result(reader, handle, "v text") if how == "text" else as_json(reader, handle)) in (
            [("[1,2)",)],
            [{"kept": "[1,2)"}],
        )
        assert sqlstate(other, "DROP TYPE kept") == "55P03"
    query(other, "DROP TYPE kept")


# ---- while the job runs


def gated_function(conn: Connection, gate: Gate, type_: str) -> None:
    """Make latest(), which passes the gate and then returns what the table of this name has."""
    query(
        conn,
        f"CREATE FUNCTION pass_gate() RETURNS void LANGUAGE plpgsql AS $$BEGIN EXECUTE '{gate.sql}'; END$$",
    )
    query(
        conn,
        f"CREATE FUNCTION latest() RETURNS {type_} LANGUAGE sql VOLATILE"
        f" AS 'SELECT pass_gate(); SELECT max(v)::{type_} FROM latest'",
    )


def test_a_label_that_came_during_the_job_and_was_renamed_since(conn: Connection, connect: Connect) -> None:
    """It is known by its OID."""
    other = connect()
    query(
        conn,
        "CREATE TYPE moods AS ENUM ('sad'); CREATE TABLE latest (v moods); INSERT INTO latest VALUES ('sad')",
    )
    with closed_gate(other) as gate:
        gated_function(conn, gate, "moods")
        handles = [launch(conn, sql) for sql in ("SELECT latest()", "SELECT ARRAY[latest()]")]
        for handle in handles:
            wait_until_blocked(other, handle.pid)
        query(conn, "ALTER TYPE moods ADD VALUE 'new'")
        query(conn, "UPDATE latest SET v = 'new'")
    for handle in handles:
        wait(conn, handle)
    query(conn, "ALTER TYPE moods RENAME VALUE 'new' TO 'newer'")
    assert result(conn, handles[0], "m moods") == [("newer",)]
    assert read_result(conn, handles[1], "m moods[]", "m::text") == [("{newer}",)]


def test_not_null_that_was_dropped_during_the_job_and_is_there_again(
    conn: Connection, connect: Connect
) -> None:
    other = connect()
    query(
        conn,
        "CREATE DOMAIN given AS int NOT NULL; CREATE TABLE latest (v int); INSERT INTO latest VALUES (1)",
    )
    with closed_gate(other) as gate:
        gated_function(conn, gate, "given")
        handle = launch(conn, "SELECT latest()")
        wait_until_blocked(other, handle.pid)
        query(conn, "ALTER DOMAIN given DROP NOT NULL")
        query(conn, "UPDATE latest SET v = NULL")
    wait(conn, handle)
    query(conn, "ALTER DOMAIN given SET NOT NULL")
    # A plan that old servers have made before has the domain as it was: the job itself fails by the NULL.
    failed = result_failure(conn, handle, "v given").sqlstate
    assert failed in ("42804", "23502")
    if failed == "42804":
        assert result(conn, handle, "v text") == [(None,)]


def test_types_that_the_job_has_locked(conn: Connection, connect: Connect, server: Server) -> None:
    """The job waits for its reader: that must not wait for the job, or nothing goes on."""
    other = connect()
    query(conn, "CREATE TYPE part AS (a int8); CREATE TYPE parts AS RANGE (subtype = part)")
    change = "ALTER TYPE part ADD ATTRIBUTE b int; ALTER TYPE part DROP ATTRIBUTE b; "
    limit = server.alter_system({"pg_background.max_result_size": "1MB"})
    with limit, closed_gate(other) as gate, at_the_same_time(conn) as call:
        handle = launch(
            conn,
            change + "SELECT CASE WHEN g > 3 THEN row(parts(row(g)::part, NULL)) ELSE row(1) END,"
            f" repeat('x', 20000) || CASE WHEN g = 3 THEN ({gate.sql})::text ELSE '' END"
            " FROM generate_series(1, 100) AS g",
        )
        wait_until_blocked(other, handle.pid)
        reading = call(read_result, conn, handle, "r record, t text", "count(*)")
        wait_until_in_extension(other, conn)
        gate.open()
        assert reading.result() == [(100,)]
        gate.close()


def test_types_of_very_many_parts(conn: Connection) -> None:
    """Each has twice as many as the one before."""
    query(conn, "CREATE TYPE part_0 AS (a int)")
    for n in range(1, 18):
        query(conn, f"CREATE TYPE part_{n} AS (a part_{n - 1}, b part_{n - 1})")
    assert run(conn, "SELECT NULL::part_3", "v part_3") == [(None,)]
    handle = launch(conn, "SELECT NULL::part_17, ARRAY[NULL::part_17]")
    wait(conn, handle)
    assert [row[3] for row in describe(conn, handle)] == ["text", "text"]
    assert result(conn, handle, "a text, b text") == [(None, "{NULL}")]
    handle = launch(conn, "SELECT row(NULL::part_17)")
    wait(conn, handle)
    assert result_failure(conn, handle, "r text")[:2] == (
        "54000",
        "a record of the result is made of too many parts",
    )
