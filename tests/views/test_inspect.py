"""result_info, error_info and full_sql: what is known of a job whose handle one has."""

from __future__ import annotations

import pytest

from ..support.calls import query, sqlstate, value
from ..support.fix_db import Connect, Connection, MakeRole
from ..support.fix_server import FreshServer
from ..support.jobs import (
    FOREVER,
    Handle,
    cancel,
    closed_gate,
    detach,
    launch,
    result,
    submit,
    wait,
    wait_for_state,
    wait_until_asleep,
)
from ..support.outcomes import ErrorInfo, error_info, full_sql, outcome, result_info

FUNCTIONS = ["result_info", "error_info", "full_sql"]


def finished(conn: Connection, job: str) -> Handle:
    """Launch a job and wait for its end."""
    handle = launch(conn, job)
    assert wait(conn, handle)
    return handle


@pytest.mark.parametrize(
    ("job", "rows", "tag"),
    [
        ("SELECT generate_series(1, 3)", 3, "SELECT"),
        ("CREATE TABLE a (b int); INSERT INTO a VALUES (1), (2)", 2, "INSERT"),
        ("SELECT 1; CREATE TABLE a (b int)", 0, "CREATE TABLE"),
        ("", 0, None),
    ],
)
def test_result_info_of_success(conn: Connection, job: str, rows: int, tag: str | None) -> None:
    info = result_info(conn, finished(conn, job))
    assert info[:4] == (rows, tag, True, False)
    assert info.started_at is not None
    assert info.finished_at is not None
    assert info.started_at <= info.finished_at


def test_result_info_of_a_running_job(conn: Connection) -> None:
    with closed_gate(conn) as gate:
        handle = launch(conn, f"SELECT 1; {gate.sql}")
        wait_until_asleep(conn, handle.pid, "advisory")
        info = result_info(conn, handle)
        assert info[:4] == (0, None, False, False)
        assert info.started_at is not None
        assert info.finished_at is None


def test_result_info_of_failure(conn: Connection) -> None:
    """What came before the error was rolled back, so it has no rows."""
    info = result_info(conn, finished(conn, "SELECT 1; SELECT 1 / 0"))
    assert info[:4] == (0, None, True, True)
    assert info.finished_at is not None


def test_error_info_has_every_field(conn: Connection) -> None:
    handle = finished(
        conn,
        "DO $$ BEGIN RAISE 'a message' USING ERRCODE = '22012', DETAIL = 'a detail', HINT = 'a hint',"
        " SCHEMA = 'a schema', TABLE = 'a table', COLUMN = 'a column', CONSTRAINT = 'a constraint'; END $$",
    )
    assert error_info(conn, handle) == ErrorInfo(
        "22012",
        "a message",
        "a detail",
        "a hint",
        "PL/pgSQL function inline_code_block line 1 at RAISE",
        "a schema",
        "a table",
        "a column",
        "a constraint",
    )


def test_error_info_of_a_constraint(conn: Connection) -> None:
    info = error_info(
        conn, finished(conn, "CREATE TABLE public.a (b int CHECK (b > 0)); INSERT INTO a VALUES (-1)")
    )
    assert (info.sqlstate, info.schema_name, info.table_name, info.constraint_name) == (
        "23514",
        "public",
        "a",
        "a_b_check",
    )


def test_error_info_without_an_error(conn: Connection) -> None:
    assert error_info(conn, finished(conn, "SELECT 1")) == ErrorInfo()
    with closed_gate(conn) as gate:
        assert error_info(conn, launch(conn, gate.sql)) == ErrorInfo()


def test_error_info_is_whole(conn: Connection) -> None:
    """However long: neither what list() shows nor a step of the copy cuts it."""
    handle = finished(conn, "DO $$ BEGIN RAISE '%', repeat('x', 200000); END $$")
    assert error_info(conn, handle).message == "x" * 200000
    assert outcome(conn, handle).error_message == "x" * 200000


def test_error_info_takes_nothing(conn: Connection) -> None:
    handle = finished(conn, "SELECT 1 / 0")
    for _ in range(3):
        assert error_info(conn, handle).sqlstate == "22012"
    assert sqlstate(conn, "SELECT * FROM pg_background_result(%s, %s) AS (a int)", *handle) == "22012"


@pytest.mark.parametrize("grace", [0, 1])
def test_error_info_of_a_canceled_job(conn: Connection, grace: int) -> None:
    handle = launch(conn, FOREVER)
    cancel(conn, handle, grace)
    assert wait(conn, handle)
    assert error_info(conn, handle).sqlstate == "57014"


def test_error_info_of_a_lost_job(conn: Connection) -> None:
    handle = launch(conn, FOREVER)
    wait_for_state(conn, handle, "running")
    query(conn, "SELECT pg_terminate_backend(%s)", handle.pid)
    assert wait(conn, handle)
    assert error_info(conn, handle)[:2] == (
        "08006",
        f"lost connection to worker process with PID {handle.pid}",
    )
    assert outcome(conn, handle)[2:6] == ("lost", False, True, True)


@pytest.mark.parametrize("size", [10, 1000, 1_000_000])
def test_full_sql(conn: Connection, size: int) -> None:
    job = f"SELECT 1 /* {'ä' * size} */"
    handle = launch(conn, job)
    assert full_sql(conn, handle) == job
    assert wait(conn, handle)
    assert full_sql(conn, handle) == job
    assert result(conn, handle, "a int") == [(1,)]


def test_full_sql_of_a_submitted_job(conn: Connection) -> None:
    handle = submit(conn, "SELECT 5")
    assert wait(conn, handle)
    assert full_sql(conn, handle) == "SELECT 5"


def test_memory_that_was_needed_for_others(fresh_server: FreshServer) -> None:
    """Of a finished submitted job the text may go; code and beginning of its message stay."""
    server = fresh_server({"pg_background.job_memory": "4MB"})
    with server.connect() as conn:
        handle = submit(conn, f"DO $$ BEGIN RAISE 'oh, %', repeat('x', 1000); END $$ /* {'x' * 1_000_000} */")
        assert wait(conn, handle)
        assert error_info(conn, handle).message == "oh, " + "x" * 1000
        others = [launch(conn, f"SELECT 1 /* {'y' * 1_000_000} */") for _ in range(3)]
        assert full_sql(conn, handle) is None
        assert error_info(conn, handle) == ErrorInfo("P0001", ("oh, " + "x" * 1000)[:511])
        for other in others:
            detach(conn, other)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_unknown_handles(conn: Connection, function: str) -> None:
    call = f"SELECT pg_background_{function}(%s, %s)"
    handle = launch(conn, "SELECT 1")
    assert sqlstate(conn, call, 1, 2) == "42704"
    assert sqlstate(conn, call, handle.pid, handle.cookie ^ 1) == "55000"
    assert result(conn, handle, "a int") == [(1,)]
    assert sqlstate(conn, call, *handle) == "42704"
    gone = launch(conn, "SELECT 1")
    detach(conn, gone)
    assert sqlstate(conn, call, *gone) == "42704"
    assert value(conn, call, None, 2) is None


@pytest.mark.parametrize("function", FUNCTIONS)
def test_who_may_look(conn: Connection, connect: Connect, make_role: MakeRole, function: str) -> None:
    handle = finished(conn, "SELECT 1")
    call = f"SELECT pg_background_{function}(%s, %s)"
    stranger = connect(user=make_role(member_of=("pgbackground_role",)))
    assert sqlstate(stranger, call, *handle) == "42501"
    watcher = connect(user=make_role(member_of=("pgbackground_role", "pg_read_all_stats")))
    if function == "result_info":
        assert value(watcher, call, *handle) == value(conn, call, *handle)
    else:
        # pg_stat_activity has no such things: whole SQL, and what an error tells of rows
        assert sqlstate(watcher, call, *handle) == "42501"
    signaller = connect(user=make_role(member_of=("pgbackground_role", "pg_signal_backend")))
    assert sqlstate(signaller, call, *handle) == "42501"
    nobody = connect(user=make_role())
    assert sqlstate(nobody, call, *handle) == "42501"


@pytest.mark.parametrize("function", [*FUNCTIONS, "outcome"])
def test_twins(conn: Connection, function: str) -> None:
    """The _v2 form tells the same, and takes the cookie in hexadecimal too, which is text before 16."""
    handle = finished(conn, "SELECT 1 / 0")
    told = value(conn, f"SELECT pg_background_{function}(%s, %s)", *handle)
    for cookie in (f"{handle.cookie}", f"'{handle.cookie}'", f"'{handle.cookie:#x}'"):
        assert value(conn, f"SELECT pg_background_{function}_v2({handle.pid}, {cookie})") == told
    bad = f"SELECT pg_background_{function}_v2({handle.pid}, '0xg')"
    assert sqlstate(conn, bad) == "22P02"
