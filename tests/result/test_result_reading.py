"""Who may read a result, when, and how often."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from ..support.calls import (
    Failure,
    at_the_same_time,
    nothing_is_left,
    query,
    read_result,
    result_failure,
    sqlstate,
    value,
    wait_until_in_extension,
)
from ..support.fix_db import Connect, Connection, MakeRole
from ..support.jobs import (
    Handle,
    closed_gate,
    detach,
    launch,
    result,
    run,
    state,
    wait,
    wait_for_state,
    wait_until_gone,
)
from ..support.registry import registry
from ..support.server import Server
from ..support.waiting import wait_until_sql

MANY = "SELECT g, repeat('x', 100) FROM generate_series(1, 30000) g"
#: All rows, in their order.
SUMMARY = ("g int, x text", "array_agg(g) = ARRAY(SELECT generate_series(1, 30000)), sum(length(x))")
SUMMED = [(True, 3_000_000)]
SIZES = [64, 65, 100, 1_000, 8_192, 65_536, 1 << 20, (1 << 20) + 1, 3 << 20]


@pytest.mark.parametrize("queue_size", SIZES)
def test_reader_at_once(conn: Connection, queue_size: int) -> None:
    handle = launch(conn, MANY, queue_size=queue_size)
    assert read_result(conn, handle, *SUMMARY) == SUMMED


@pytest.mark.parametrize("queue_size", SIZES)
def test_reader_before_the_first_row(conn: Connection, connect: Connect, queue_size: int) -> None:
    watcher = connect()
    with at_the_same_time(conn) as call, closed_gate(connect()) as gate:
        reading = call(
            read_result, conn, launch(conn, f"{gate.sql}; {MANY}", queue_size=queue_size), *SUMMARY
        )
        wait_until_in_extension(watcher, conn)
        gate.open()
        assert reading.result() == SUMMED
        gate.close()


@pytest.mark.parametrize("queue_size", SIZES)
def test_reader_in_the_midst(conn: Connection, connect: Connect, queue_size: int) -> None:
    """Some rows are in the queue and in the file; the rest comes while they are read."""
    watcher = connect()
    query(
        conn,
        "CREATE FUNCTION pass(n int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN"
        " IF n = 20000 THEN PERFORM pg_advisory_xact_lock_shared(1); END IF; RETURN n; END $$",
    )
    query(watcher, "SELECT pg_advisory_lock(1)")
    job = "SELECT pass(g), repeat('x', 100) FROM generate_series(1, 30000) g"
    handle = launch(conn, job, queue_size=queue_size)
    blocked = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid = %s"
    wait_until_sql(watcher, blocked, [handle.pid], expected=1)
    with at_the_same_time(conn) as call:
        reading = call(read_result, conn, handle, *SUMMARY)
        wait_until_in_extension(watcher, conn)
        query(watcher, "SELECT pg_advisory_unlock(1)")
        assert reading.result() == SUMMED


@pytest.mark.parametrize("queue_size", SIZES)
def test_reader_after_the_end(conn: Connection, queue_size: int) -> None:
    handle = launch(conn, MANY, queue_size=queue_size)
    wait(conn, handle)
    assert read_result(conn, handle, *SUMMARY) == SUMMED


def test_largest_queue(conn: Connection) -> None:
    with nothing_is_left(conn):
        handle = launch(conn, MANY, queue_size=268_435_456)
        assert read_result(conn, handle, *SUMMARY) == SUMMED


def test_what_is_read_does_not_go_to_disk(conn: Connection, connect: Connect, server: Server) -> None:
    """With a reader there the limit of unread output is none; without, it is."""
    watcher = connect()
    with server.alter_system({"pg_background.max_result_size": "64kB"}):
        with at_the_same_time(conn) as call, closed_gate(connect()) as gate:
            reading = call(read_result, conn, launch(conn, f"{gate.sql}; {MANY}"), *SUMMARY)
            wait_until_in_extension(watcher, conn)
            gate.open()
            assert reading.result() == SUMMED
            gate.close()
        handle = launch(conn, MANY)
        wait(conn, handle)
        failed = result_failure(conn, handle, SUMMARY[0])
        assert failed.sqlstate == "53400"
        assert "pg_background.max_result_size" in f"{failed.message} {failed.detail} {failed.hint}"


def test_once_only(conn: Connection, connect: Connect) -> None:
    handle = launch(conn, "SELECT 'x'")
    assert result(conn, handle) == [("x",)]
    gone = Failure("42704", f"PID {handle.pid} is not attached to this session")
    for session in (conn, connect()):
        assert result_failure(session, handle) == gone
    assert state(conn, handle) is None


def test_a_rollback_does_not_bring_it_back(conn: Connection) -> None:
    """Once only, as a message that was received."""
    handle = launch(conn, "SELECT 'x'")
    with conn.transaction(force_rollback=True):
        result(conn, handle)
    assert result_failure(conn, handle).sqlstate == "42704"


def test_another_session_of_the_role(conn: Connection, connect: Connect, make_role: MakeRole) -> None:
    role = make_role(member_of=("pgbackground_role",))
    launcher, reader = connect(user=role), connect(user=role)
    handle = launch(launcher, MANY)
    assert read_result(reader, handle, *SUMMARY) == SUMMED
    assert result_failure(launcher, handle).sqlstate == "42704"


def test_another_session_after_the_launcher_has_left(connect: Connect, server: Server) -> None:
    with server.alter_system({"pg_background.result_retention": "1h"}):
        launcher, reader = connect(), connect()
        pid = launcher.info.backend_pid
        handle = launch(launcher, MANY)
        launcher.close()
        assert wait(reader, handle)
        wait_until_gone(reader, pid)
        assert read_result(reader, handle, *SUMMARY) == SUMMED


def test_a_role_that_is_no_member(conn: Connection, connect: Connect, make_role: MakeRole) -> None:
    """And one that is, and a superuser."""
    owner = make_role(member_of=("pgbackground_role",))
    stranger = connect(user=make_role(member_of=("pgbackground_role",)))
    member = connect(user=make_role(member_of=("pgbackground_role", owner)))
    handles = [launch(connect(user=owner), "SELECT 'x'") for _ in range(2)]
    for handle in handles:
        assert result_failure(stranger, handle) == Failure(
            "42501", f'permission denied for background worker with PID "{handle.pid}"'
        )
    assert result(member, handles[0]) == [("x",)]
    assert result(conn, handles[1]) == [("x",)]


@pytest.mark.parametrize("moment", ["waiting for the first row", "between rows"])
def test_two_readers(conn: Connection, connect: Connect, moment: str) -> None:
    """The second is told; the first gets all."""
    other, watcher = connect(), connect()
    with at_the_same_time(conn, other) as call, closed_gate(connect()) as gate:
        first = f"{gate.sql}; " if moment == "waiting for the first row" else ""
        rows = "SELECT g FROM generate_series(1, 50000) g"
        held = rows if first else f"{rows} UNION ALL SELECT 0 FROM ({gate.sql}) w"
        handle = launch(conn, first + held)
        reading = call(read_result, conn, handle, "g int", "count(*)")
        wait_until_in_extension(watcher, conn)
        busy = Failure("55006", f"the result of PID {handle.pid} is being read by another session")
        assert result_failure(other, handle, "g int") == busy
        assert query(watcher, "SELECT 1") == [(1,)]
        gate.open()
        assert reading.result() == [(50_001 if not first else 50_000,)]
        gate.close()
    assert result_failure(other, handle, "g int").sqlstate == "42704"


def test_reader_canceled_while_it_waits(conn: Connection, connect: Connect) -> None:
    """It has taken nothing: the result stays readable."""
    watcher = connect()
    with at_the_same_time(conn) as call, closed_gate(connect()) as gate:
        handle = launch(conn, f"{gate.sql}; {MANY}")
        reading = call(result, conn, handle, SUMMARY[0])
        wait_until_in_extension(watcher, conn)
        query(watcher, "SELECT pg_cancel_backend(%s)", conn.info.backend_pid)
        assert reading.failure().sqlstate == "57014"
        assert state(conn, handle) == "running"
    assert read_result(conn, handle, *SUMMARY) == SUMMED


def test_reader_that_leaves_while_it_waits(conn: Connection, connect: Connect) -> None:
    reader, watcher = connect(), connect()
    with at_the_same_time(reader) as call, closed_gate(connect()) as gate:
        handle = launch(conn, f"{gate.sql}; {MANY}")
        reading = call(result, reader, handle, SUMMARY[0])
        wait_until_in_extension(watcher, reader)
        query(watcher, "SELECT pg_terminate_backend(%s)", reader.info.backend_pid)
        assert reading.failure().sqlstate in ("57P01", None)
    assert read_result(conn, handle, *SUMMARY) == SUMMED


@pytest.mark.parametrize("end", ["cancel", "terminate"])
def test_reader_stopped_in_the_midst(conn: Connection, connect: Connect, end: str) -> None:
    """What it took is gone, and the result with it; the job goes on and commits."""
    reader, watcher = connect(), connect()
    query(conn, "CREATE TABLE done (a int)")
    with nothing_is_left(conn):
        with at_the_same_time(reader) as call, closed_gate(connect()) as gate:
            job = (
                "INSERT INTO done VALUES (1);"
                f" SELECT g FROM generate_series(1, 50000) g UNION ALL SELECT 0 FROM ({gate.sql}) w"
                " UNION ALL SELECT g FROM generate_series(1, 500000) g"
            )
            handle = launch(conn, job)
            reading = call(result, reader, handle, "g int")
            listed = "SELECT consumed FROM pg_background_list WHERE cookie = %s"
            wait_until_sql(conn, listed, [handle.cookie], expected=True)
            query(watcher, f"SELECT pg_{end}_backend(%s)", reader.info.backend_pid)
            assert reading.failure().sqlstate in ("57014", "57P01", None)
        wait_until_sql(conn, "SELECT count(*) FROM done", expected=1)
        assert result_failure(conn, handle, "g int").sqlstate == "42704"


def test_detach_while_it_is_read(conn: Connection, connect: Connect) -> None:
    """By another session: the reader ends, with all rows or an error, and so does the job."""
    reader, watcher = connect(), connect()
    with nothing_is_left(conn), at_the_same_time(reader) as call, closed_gate(connect()) as gate:
        handle = launch(conn, f"{gate.sql}; SELECT 'x'")
        reading = call(result_or_code, reader, handle)
        wait_until_in_extension(watcher, reader)
        detach(conn, handle)
        gate.open()
        assert reading.result() in ([("x",)], "42704")
        gate.close()


def result_or_code(conn: Connection, handle: Handle) -> object:
    try:
        return result(conn, handle)
    except psycopg.Error as error:
        return error.sqlstate


def test_error_after_rows(conn: Connection) -> None:
    """No part of the rows comes out."""
    for finished in (True, False):
        handle = launch(conn, "SELECT 100 / (50000 - g) FROM generate_series(1, 60000) g")
        if finished:
            wait(conn, handle)
            assert state(conn, handle) == "error"
        assert result_failure(conn, handle, "n int")[:2] == ("22012", "division by zero")


def test_error_at_commit(conn: Connection) -> None:
    query(conn, "CREATE TABLE u (a int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    handle = launch(conn, "INSERT INTO u VALUES (1), (1) RETURNING a")
    assert result_failure(conn, handle, "a int").sqlstate == "23505"


def test_handle_as_one_value(conn: Connection) -> None:
    both = "SELECT * FROM pg_background_result((SELECT pg_background_launch('SELECT 1'))) AS (n int)"
    assert query(conn, both) == [(1,)]
    handle = launch(conn, "SELECT 2")
    literal = f"({handle.pid},{handle.cookie})"
    found = "SELECT n FROM pg_background_result(%s::pg_background_handle) AS (n int)"
    assert query(conn, found, literal) == [(2,)]


@pytest.mark.parametrize(
    "call",
    [
        "SELECT a FROM {} LIMIT 2",
        "SELECT a FROM {} ORDER BY a DESC",
        "SELECT r.a, n FROM (VALUES (1), (2)) v(n), {}",
        "SELECT r.a, v.a FROM {} JOIN (VALUES (3), (4)) v(a) USING (a)",
        "SELECT count(*) FROM generate_series(1, 5) n LEFT JOIN {} ON r.a <> n",
        "WITH w AS MATERIALIZED (SELECT * FROM {}) SELECT x.a, y.a FROM w x, w y WHERE x.a < y.a",
        "SELECT EXISTS (SELECT FROM {})",
        "SELECT ARRAY(SELECT a FROM {})",
    ],
)
def test_in_queries(conn: Connection, call: str) -> None:
    """Scanned again and again, or only at its beginning."""
    job = "SELECT g FROM generate_series(1, 5) g"
    handle = launch(conn, job)
    source = f"pg_background_result({handle.pid}, {handle.cookie}) AS r (a int)"
    assert query(conn, call.format(source)) == query(conn, call.format(f"({job}) AS r (a)"))
    assert sqlstate(conn, call.format(source)) == "42704"


def test_with_ordinality_and_several_functions(conn: Connection) -> None:
    one, two = launch(conn, "SELECT 'a' UNION ALL SELECT 'b'"), launch(conn, "SELECT 1")
    rows = query(
        conn,
        "SELECT * FROM ROWS FROM (pg_background_result(%s, %s) AS (a text),"
        " pg_background_result(%s, %s) AS (b int)) WITH ORDINALITY",
        *(*one, *two),
    )
    assert rows == [("a", 1, 1), ("b", None, 2)]


def test_in_plpgsql_and_cursors(conn: Connection) -> None:
    query(
        conn,
        """CREATE FUNCTION total(job text) RETURNS int8 LANGUAGE plpgsql AS $$
        DECLARE h pg_background_handle; r record; sum int8 := 0;
        BEGIN
          h := pg_background_launch(job);
          FOR r IN SELECT * FROM pg_background_result(h) AS (a int) LOOP sum := sum + r.a; END LOOP;
          RETURN sum;
        END $$""",
    )
    assert value(conn, "SELECT total('SELECT generate_series(1, 10000)')") == 50_005_000
    handle = launch(conn, "SELECT generate_series(1, 5)")
    with conn.transaction():
        source = f"pg_background_result({handle.pid}, {handle.cookie}) AS (a int)"
        query(conn, f"DECLARE c SCROLL CURSOR FOR SELECT * FROM {source}")
        assert query(conn, "FETCH 2 FROM c") == [(1,), (2,)]
        assert query(conn, "FETCH LAST FROM c") == [(5,)]
        assert query(conn, "FETCH PRIOR FROM c") == [(4,)]


def test_from_another_database(conn: Connection, connect: Connect, make_db: Callable[[str], str]) -> None:
    """Built-in types are the same everywhere; others are text where their type is not."""
    elsewhere = connect(make_db("elsewhere"))
    query(conn, "CREATE TYPE mood AS ENUM ('ok')")
    query(elsewhere, "CREATE TYPE mood AS ENUM ('other')")
    handle = launch(conn, "SELECT 1, ARRAY[1.5], row(1, 'ok'::mood), 'ok'::mood::text")
    columns = "a int, b numeric[], c text, d text"
    assert read_result(elsewhere, handle, columns, "a, b::text, c, d") == [(1, "{1.5}", "(1,ok)", "ok")]

    handle = launch(conn, "SELECT 'ok'::mood")
    failed = result_failure(elsewhere, handle, "a mood")
    assert failed.sqlstate == "42804"
    assert failed.detail == 'Column 1 is "mood" of type mood, which only the job\'s database knows.'
    assert failed.hint == "Declare the column as text."
    assert read_result(conn, handle, "a mood", "a::text") == [("ok",)]
    assert result(elsewhere, launch(conn, "SELECT 'ok'::mood, '{ok}'::mood[]"), "a text, b text") == [
        ("ok", "{ok}")
    ]


@pytest.mark.contrib("citext")
def test_base_types_of_another_database(
    conn: Connection, connect: Connect, make_db: Callable[[str], str]
) -> None:
    """Their bytes mean something only where the type is; elsewhere they are the text that the job wrote."""
    elsewhere = connect(make_db("elsewhere"))
    query(conn, "CREATE EXTENSION citext")
    handle = launch(conn, "SELECT 'ok'::citext AS c")
    failed = result_failure(elsewhere, handle, "a int")
    assert failed.sqlstate == "42804"
    assert failed.detail == 'Column 1 is "c" of type citext, which only the job\'s database knows.'
    assert failed.hint == "Declare the column as text."
    assert result(elsewhere, handle, "a text") == [("ok",)]
    assert read_result(conn, launch(conn, "SELECT 'ok'::citext AS c"), "a citext", "a = 'OK'") == [(True,)]


def test_reading_frees_what_was_held(conn: Connection) -> None:
    with nothing_is_left(conn):
        handles: list[Handle] = [launch(conn, MANY, queue_size=size) for size in (64, 65_536, 2 << 20)]
        for handle in handles:
            wait_for_state(conn, handle, "stopped")
        assert registry(conn).spill_bytes > 0
        for handle in handles:
            assert read_result(conn, handle, *SUMMARY) == SUMMED
        assert run(conn, "SELECT 1", "n int") == [(1,)]
