"""Each statement of a job has its own text and, in a transaction of its own, its own time."""

from __future__ import annotations

import re

import pytest

from ..support.calls import query, result_error
from ..support.fix_db import Connect, Connection
from ..support.fix_server import FreshServer
from ..support.jobs import closed_gate, launch, result, run, start, wait
from ..support.server import Server
from ..support.waiting import wait_until_sql

NOTE = "INSERT INTO noted (a) VALUES (current_query())"


@pytest.fixture
def noted(conn: Connection) -> Connection:
    query(conn, "CREATE TABLE noted (n serial, a text)")
    return conn


def texts(conn: Connection, job: str, *, each: bool) -> list[str]:
    """Return what the statements of a job that note it have found as their text."""
    handle = start(conn, job, each_statement=each)
    assert wait(conn, handle)
    result(conn, handle)
    return [text for (text,) in query(conn, "DELETE FROM noted RETURNING a")]


@pytest.mark.parametrize("each", [False, True])
def test_current_query(noted: Connection, each: bool) -> None:
    job = f"  {NOTE} ;;\n\n -- the second\n{NOTE}; /* € */ {NOTE}\n;"
    assert texts(noted, job, each=each) == [NOTE, f"-- the second\n{NOTE}", f"/* € */ {NOTE}"]


def test_a_single_statement_is_all_of_the_string(noted: Connection) -> None:
    """As where a session sends it."""
    job = "\n INSERT INTO noted (a) VALUES (current_query()); -- and no more\n"
    query(noted, job)
    expected = query(noted, "DELETE FROM noted RETURNING a")
    assert [(text,) for text in texts(noted, job, each=False)] == expected == [(job,)]


def test_texts_with_semicolons_inside(noted: Connection) -> None:
    rule = "CREATE RULE twice AS ON DELETE TO noted DO ALSO (SELECT 1; SELECT 2)"
    job = f"{rule}; {NOTE}; DO $$ BEGIN PERFORM 1; END $$; SELECT ';', E'\\';', $a$;$a$; {NOTE}"
    handle = launch(noted, job)
    assert wait(noted, handle)
    assert query(noted, "SELECT a FROM noted") == [(NOTE,), (NOTE,)]
    assert query(noted, "SELECT count(*) FROM pg_rewrite WHERE rulename = 'twice'") == [(1,)]


# From 19 on there is one way to read strings.
@pytest.mark.pg("< 19")
def test_a_setting_of_the_lexer_holds_from_the_next_string_on(conn: Connection) -> None:
    """As where a session sends the string: all of it is read before the first statement runs."""
    job = r"SET standard_conforming_strings = off; SELECT 'a\'"
    assert run(conn, job) == [("a\\",)]


# From 19 on there is one way to read strings.
@pytest.mark.pg("< 19")
def test_a_warning_of_the_lexer_is_told_once(conn: Connection) -> None:
    query(conn, "SET standard_conforming_strings = off")
    handle = launch(conn, r"SELECT 1; SELECT 'a\\b'")
    assert wait(conn, handle)
    told: list[str] = []
    conn.add_notice_handler(lambda diag: told.append(diag.message_primary or ""))
    assert result(conn, handle) == [("a\\b",)]
    assert [text for text in told if "nonstandard" in text] == [r"nonstandard use of \\ in a string literal"]
    # The setting that is changed for it is as before.
    assert run(conn, "SHOW escape_string_warning") == [("on",)]


def test_pg_stat_activity(conn: Connection, connect: Connect) -> None:
    shown = "SELECT query FROM pg_stat_activity WHERE pid = %s"
    with closed_gate(connect()) as first, closed_gate(connect()) as second:
        handle = launch(conn, f"{first.sql};\n{second.sql}; SELECT 'end'")
        wait_until_sql(conn, shown, [handle.pid], expected=first.sql)
        first.open()
        wait_until_sql(conn, shown, [handle.pid], expected=second.sql)


@pytest.mark.parametrize("each", [False, True])
@pytest.mark.parametrize(
    ("fault", "place"),
    [
        ("SELECT nothing", "nothing"),
        ("SELECT 'ü' || nothing", "nothing"),
        ("SELECT 'x'::int", "'x'"),
        ("SELEC 2", "SELEC 2"),
    ],
)
def test_error_position_is_in_the_jobs_sql(conn: Connection, fault: str, place: str, each: bool) -> None:
    """In characters."""
    job = f"SELECT 'ä€𝄞';\n /* ö */ {fault}; SELECT 3"
    diag = result_error(conn, start(conn, job, each_statement=each)).diag
    assert (diag.internal_query, diag.internal_position) == (job, str(job.index(place) + 1))
    assert diag.statement_position is None


def test_error_position_in_a_functions_query_is_left_alone(conn: Connection) -> None:
    query(conn, "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT nothing); END'")
    diag = result_error(conn, launch(conn, "SELECT f()"), "a int").diag
    assert diag.internal_query == "(SELECT nothing)"
    assert diag.internal_position == str("(SELECT nothing)".index("nothing") + 1)
    assert diag.statement_position is None


def test_error_without_a_position(conn: Connection) -> None:
    diag = result_error(conn, launch(conn, "SELECT 1/0")).diag
    assert (diag.statement_position, diag.internal_position, diag.internal_query) == (None, None, None)


def test_error_in_the_log_is_in_the_statement(conn: Connection, server: Server) -> None:
    mark = server.log.mark()
    handle = launch(conn, "SELECT 'first'; SELECT nothing")
    assert wait(conn, handle)
    server.log.wait_for(
        rf"\[{handle.pid}\].*ERROR:  column \"nothing\" does not exist at character 8\n"
        rf".*\[{handle.pid}\].*STATEMENT:  SELECT nothing\n",
        mark,
    )


@pytest.mark.parametrize("each", [False, True])
def test_log_statement(conn: Connection, server: Server, each: bool) -> None:
    query(conn, "SET log_statement = 'mod'")
    mark = server.log.mark()
    job = "SELECT 'first'; CREATE TABLE made (a int); SELECT 'third'; INSERT INTO made VALUES (1)"
    handle = start(conn, job, each_statement=each)
    assert wait(conn, handle)
    assert server.log.logged_by(handle.pid, mark) == [
        "statement: CREATE TABLE made (a int)",
        "statement: INSERT INTO made VALUES (1)",
    ]


@pytest.mark.parametrize("each", [False, True])
def test_durations(conn: Connection, server: Server, each: bool) -> None:
    """Each is the statement's own: of three, only the one that takes long is logged."""
    query(conn, "SET log_min_duration_statement = '200ms'")
    mark = server.log.mark()
    handle = start(conn, "SELECT 1; SELECT pg_sleep(0.3); SELECT 3", each_statement=each)
    assert wait(conn, handle)
    server.log.wait_for(rf"\[{handle.pid}\].*pg_sleep", mark)
    (line,) = server.log.logged_by(handle.pid, mark)
    found = re.fullmatch(r"duration: (\d+)\.\d{3} ms  statement: SELECT pg_sleep\(0\.3\)", line)
    assert found
    assert int(found[1]) >= 300


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"log_duration": "on"}, [r"duration: \d+\.\d{3} ms"] * 2),
        ({"log_min_duration_statement": "0"}, [r"duration: \S+ ms  statement: SELECT [12]"] * 2),
        (
            {"log_min_duration_statement": "0", "log_statement": "all"},
            [r"statement: SELECT [12]", r"duration: \S+ ms"] * 2,
        ),
        ({"log_min_duration_sample": "0"}, [r"duration: \S+ ms  statement: SELECT [12]"] * 2),
        ({"log_min_duration_sample": "0", "log_statement_sample_rate": "0"}, []),
        ({"log_transaction_sample_rate": "1"}, [r"duration: \S+ ms  statement: SELECT [12]"] * 2),
        ({"log_min_duration_statement": "1h"}, []),
    ],
)
def test_settings_of_durations(
    conn: Connection, server: Server, settings: dict[str, str], expected: list[str]
) -> None:
    """As check_log_duration() of the server obeys them."""
    # What the session logs itself meanwhile is not looked at.
    for name, setting in settings.items():
        query(conn, f"SET {name} = '{setting}'")
    mark = server.log.mark()
    handle = launch(conn, "SELECT 1; SELECT 2")
    assert wait(conn, handle)
    lines = server.log.logged_by(handle.pid, mark)
    assert len(lines) == len(expected)
    assert all(re.fullmatch(pattern, line) for pattern, line in zip(expected, lines, strict=True))


@pytest.mark.contrib("auto_explain")
def test_auto_explain(conn: Connection, server: Server) -> None:
    query(conn, "LOAD 'auto_explain'")
    query(conn, "SET auto_explain.log_min_duration = 0")
    mark = server.log.mark()
    handle = launch(conn, "SELECT 'first' FROM pg_class; SELECT 'second' FROM pg_class")
    assert wait(conn, handle)
    server.log.wait_for(r"Query Text: SELECT 'second' FROM pg_class\n", mark)
    shown = re.findall(rf"\[{handle.pid}\].*plan:\n\s*Query Text: (.*)", server.log.since(mark))
    assert shown == ["SELECT 'first' FROM pg_class", "SELECT 'second' FROM pg_class"]


@pytest.mark.contrib("pg_stat_statements")
def test_pg_stat_statements(fresh_server: FreshServer) -> None:
    """Utility statements too, and constants are taken out where they stand."""
    server = fresh_server(
        {"shared_preload_libraries": "pg_stat_statements,pg_background", "compute_query_id": "on"}
    )
    with server.connect() as conn:
        query(conn, "CREATE EXTENSION pg_stat_statements")
        run(conn, "SELECT 'ä' AS needle; /* ü */ SELECT 'needle', 2; CREATE TABLE needle (a int)")
        rows = query(conn, "SELECT query FROM pg_stat_statements WHERE query ~ 'needle' AND query !~ 'pg_'")
    found = {re.sub(r"^/\* ü \*/ ", "", text) for (text,) in rows}
    assert found == {"SELECT $1 AS needle", "SELECT $1, $2", "CREATE TABLE needle (a int)"} or found == {
        "SELECT $1 AS needle",
        "CREATE TABLE needle (a int)",
    }


CLOCK = "INSERT INTO clock SELECT now(), statement_timestamp(), clock_timestamp()"


@pytest.fixture
def clock(conn: Connection) -> Connection:
    query(conn, "CREATE TABLE clock (t timestamptz, s timestamptz, c timestamptz)")
    return conn


def test_clock_of_each_statement(clock: Connection) -> None:
    job = f"{CLOCK}; SELECT pg_sleep(0.01); {CLOCK}"
    handle = start(clock, job, each_statement=True)
    assert wait(clock, handle)
    rows = query(clock, "SELECT t, s, c FROM clock ORDER BY c")
    (t1, s1, c1), (t2, s2, c2) = rows
    assert t1 == s1 <= c1 < t2 == s2 <= c2


def test_clock_of_a_transaction(clock: Connection) -> None:
    """As where a session sends both statements in one string."""
    job = f"{CLOCK}; SELECT pg_sleep(0.01); {CLOCK}"
    assert wait(clock, launch(clock, job))
    query(clock, "INSERT INTO clock SELECT now(), now(), NULL")
    count = "SELECT count(DISTINCT t), count(DISTINCT s) FROM clock WHERE c IS NOT NULL"
    assert query(clock, count) == [(1, 1)]
    query(clock, "TRUNCATE clock")
    query(clock, job)
    assert query(clock, count) == [(1, 1)]
