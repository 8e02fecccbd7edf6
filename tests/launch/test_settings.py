"""A job runs under its launcher's settings, whatever the jobs before it set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest
from psycopg import errors as e

from ..support.fix_db import Connect, Connection
from ..support.jobs import launch, result, run, wait
from ..support.server import Server
from ..support.workers import only_worker

TEXT = "€ 你好 ß 𝄞"


def show(conn: Connection, setting: str) -> str:
    """Ask a job for a setting."""
    ((value,),) = run(conn, f"SELECT current_setting('{setting}', true)", "value text")
    assert isinstance(value, str)
    return value


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("work_mem", "7MB"),
        ("search_path", "pg_catalog, public"),
        ("TimeZone", "Asia/Kathmandu"),
        ("DateStyle", "German, DMY"),
        ("IntervalStyle", "iso_8601"),
        ("extra_float_digits", "-3"),
        pytest.param("standard_conforming_strings", "off", marks=pytest.mark.pg("< 19")),
        ("bytea_output", "escape"),
        ("lc_numeric", "C.UTF-8"),
        ("default_transaction_isolation", "repeatable read"),
        ("statement_timeout", "1h"),
        ("lock_timeout", "3min"),
        ("session_replication_role", "replica"),
        ("my.own", "a 'quoted' välue"),
        ("pg_background.max_workers", "5"),
        ("pg_background.notify_channel", "ends"),
        ("enable_seqscan", "off"),
    ],
)
def test_of_the_launcher(conn: Connection, setting: str, value: str) -> None:
    before = conn.execute("SELECT current_setting(%s, true)", [setting]).fetchone()
    conn.execute("SELECT set_config(%s, %s, false)", [setting, value])
    assert show(conn, setting) == value
    # In a warm worker too.
    assert show(conn, setting) == value
    if not setting.startswith("my."):
        conn.execute(f"RESET {setting}".encode())
        assert (show(conn, setting),) == before


def test_set_local(conn: Connection) -> None:
    with conn.transaction():
        conn.execute("SET LOCAL work_mem = '3MB'")
        conn.execute("SELECT set_config('my.local', 'here', true)")
        assert show(conn, "work_mem") == "3MB"
        assert show(conn, "my.local") == "here"
    assert show(conn, "work_mem") != "3MB"
    assert run(conn, "SELECT current_setting('my.local', true)") == [(None,)]


def test_of_a_function(conn: Connection) -> None:
    conn.execute(
        "CREATE FUNCTION launches(OUT value text) LANGUAGE sql SET work_mem = '4321kB' AS "
        "$$ SELECT r.value FROM pg_background_launch('SHOW work_mem') h, "
        "LATERAL pg_background_result(h.pid, h.cookie) AS r (value text) $$"
    )
    assert conn.execute("SELECT launches()").fetchone() == ("4321kB",)


def test_of_the_moment_of_launch(conn: Connection) -> None:
    conn.execute("SET work_mem = '5MB'")
    handle = launch(conn, "SELECT pg_sleep(0.05); SHOW work_mem")
    conn.execute("SET work_mem = '6MB'")
    assert result(conn, handle) == [("5MB",)]


def test_of_the_role_and_the_database(conn: Connection, connect: Connect, db: str) -> None:
    conn.execute(f"ALTER DATABASE \"{db}\" SET work_mem = '9MB'".encode())
    conn.execute(f"ALTER ROLE postgres IN DATABASE \"{db}\" SET my.role = 'from role'".encode())
    session = connect()
    assert show(session, "work_mem") == "9MB"
    assert show(session, "my.role") == "from role"
    # The session from before has them not.
    assert show(conn, "work_mem") == "4MB"


def test_search_path_finds_what_the_launcher_finds(conn: Connection) -> None:
    conn.execute(
        "CREATE SCHEMA hidden; CREATE TABLE hidden.found (a int); INSERT INTO hidden.found VALUES (1)"
    )
    with pytest.raises(e.UndefinedTable):
        run(conn, "SELECT a FROM found", "a int")
    conn.execute("SET search_path = hidden, public")
    assert run(conn, "SELECT a FROM found", "a int") == [(1,)]


def test_time_zone_and_date_style_make_the_text(conn: Connection) -> None:
    conn.execute("SET TimeZone = 'Asia/Tokyo'; SET DateStyle = 'SQL, DMY'")
    job = "SELECT timestamptz '2026-03-04 05:06:07+00'::text, date '2026-03-04'::text"
    assert run(conn, job, "a text, b text") == [("04/03/2026 14:06:07 JST", "04/03/2026")]


@pytest.mark.parametrize("encoding", ["LATIN1", "WIN1252", "SQL_ASCII", "EUC_JP", "SJIS", "UTF8"])
def test_a_narrow_client_encoding_fails_no_job(conn: Connection, encoding: str) -> None:
    """Nothing leaves the server; what a client cannot show is its own matter."""
    conn.execute("CREATE TABLE source (t text); CREATE TABLE kept (t text)")
    conn.execute("INSERT INTO source VALUES (%s)", [TEXT])
    conn.execute("SELECT set_config('client_encoding', %s, false)", [encoding])
    job = "SELECT t, pg_client_encoding()::text FROM source"
    query = (
        f"SELECT r.t = (SELECT t FROM source), r.e = 'UTF8' FROM pg_background_launch($j${job}$j$) j, "
        "LATERAL pg_background_result(j.pid, j.cookie) AS r (t text, e text)"
    )
    assert conn.execute(query.encode()).fetchone() == (True, True)
    job = "DO $$ BEGIN RAISE NOTICE ''%'', (SELECT t FROM source); END $$;"
    job += " INSERT INTO kept SELECT t FROM source RETURNING t"
    query = f"SELECT pg_background_wait(h.pid, h.cookie) FROM pg_background_submit('{job}') h"
    assert conn.execute(query.encode()).fetchone() == (True,)
    conn.execute("SET client_encoding = 'UTF8'")
    assert conn.execute("SELECT t FROM kept").fetchone() == (TEXT,)


def test_an_error_that_the_client_encoding_lacks(conn: Connection) -> None:
    """It is whole in the list."""
    handle = launch(conn, f"DO $$ BEGIN RAISE '{TEXT}'; END $$")
    conn.execute("SET client_encoding = 'LATIN1'")
    assert wait(conn, handle)
    listed = "SELECT encode(convert_to(last_error, 'UTF8'), 'hex') FROM pg_background_list"
    ((found,),) = conn.execute(listed).fetchall()
    assert bytes.fromhex(found).decode() == TEXT


def test_an_error_in_a_narrow_client_encoding(conn: Connection) -> None:
    conn.execute("SET client_encoding = 'LATIN1'")
    conn.execute("CREATE TABLE t (a int)")
    handle = launch(conn, "DO $$ BEGIN RAISE EXCEPTION 'caf%', chr(233) USING ERRCODE = 'P0042'; END $$")
    with pytest.raises(e.Error) as caught:
        result(conn, handle)
    assert caught.value.diag.sqlstate == "P0042"
    assert caught.value.diag.message_primary == "café"


@pytest.fixture
def same(server: Server, connect: Connect) -> Iterator[Connection]:
    """A session all of whose jobs run in one worker."""
    with only_worker(server):
        conn = connect()
        first = launch(conn, "SELECT 1")
        assert result(conn, first, "a int") == [(1,)]
        yield conn
        last = launch(conn, "SELECT 1")
        assert result(conn, last, "a int") == [(1,)]
        assert last.pid == first.pid


@pytest.mark.parametrize(
    "change",
    [
        "SET work_mem = '64kB'",
        "SELECT set_config('work_mem', '64kB', false)",
        "SET LOCAL work_mem = '64kB'; SELECT 1",
        "SET TimeZone = 'Asia/Tokyo'; SET search_path = pg_catalog; SET work_mem = '64kB'",
        "SET client_encoding = 'LATIN1'",
        "RESET ALL",
        "DISCARD ALL",
        "SET statement_timeout = '1h'; SET work_mem = '64kB'; SELECT 1 / 0",
    ],
)
def test_what_a_job_sets_is_not_the_next_ones(same: Connection, change: str) -> None:
    names = ("work_mem", "TimeZone", "search_path", "client_encoding", "statement_timeout")
    job = "SELECT " + ", ".join(f"current_setting('{name}')" for name in names)
    columns = ", ".join(f"{name.lower()} text" for name in names)
    for mine in ("5MB", "6MB"):
        same.execute(f"SET work_mem = '{mine}'".encode())
        before = run(same, job, columns)
        assert before[0][0] == mine
        handle = launch(same, change)
        # Columns that do not match are an error before the job's end.
        assert wait(same, handle)
        with suppress(e.DivisionByZero, e.DatatypeMismatch):
            result(same, handle)
        assert run(same, job, columns) == before


def test_two_sessions_take_turns(same: Connection, connect: Connect) -> None:
    other = connect()
    same.execute("SET work_mem = '5MB'")
    other.execute("SET work_mem = '6MB'; SET TimeZone = 'Asia/Tokyo'")
    for _ in range(5):
        assert show(same, "work_mem") == "5MB"
        assert show(other, "work_mem") == "6MB"
        assert show(other, "TimeZone") == "Asia/Tokyo"
        assert show(same, "TimeZone") != "Asia/Tokyo"


def test_a_reloaded_configuration_reaches_warm_workers(server: Server, same: Connection) -> None:
    assert show(same, "work_mem") == "4MB"
    with server.alter_system({"work_mem": "11MB", "log_min_duration_sample": 77}):
        assert show(same, "work_mem") == "11MB"
        assert show(same, "log_min_duration_sample") == "77ms"
    assert show(same, "work_mem") == "4MB"
