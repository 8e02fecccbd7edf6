"""Progress that a job reports, seen from anywhere while it runs."""

from __future__ import annotations

import pytest
from psycopg import errors as e

from ..support.fix_db import Connect, Connection
from ..support.jobs import Handle, closed_gate, launch, progress, result, run, submit, wait, wait_until_asleep


def reported(conn: Connection, call: str) -> tuple[int | None, str | None]:
    """Return what get_progress shows after a job with this call."""
    handle = launch(conn, f"SELECT {call}")
    assert wait(conn, handle)
    shown = progress(conn, handle)
    assert result(conn, handle) == [("",)]
    return shown


@pytest.mark.parametrize("function", ["pg_background_progress", "pg_background_report_progress"])
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("0", (0, None)),
        ("42", (42, None)),
        ("100, 'done'", (100, "done")),
        ("-1", (0, None)),
        ("-2147483648", (0, None)),
        ("101", (100, None)),
        ("2147483647, NULL", (100, None)),
        ("33.7::float8", (33, None)),
        ("99.999::float8, 'nearly'", (99, "nearly")),
        ("1e300::float8", (100, None)),
        ("'-Infinity'::float8", (0, None)),
        ("'Infinity'::float8", (100, None)),
        ("'NaN'::float8", (0, None)),
        ("100 * 1 / 3.0, 'numeric'", (33, "numeric")),
        ("7, ''", (7, "")),
        ("pct => 8, msg => 'named'", (8, "named")),
    ],
)
def test_values(conn: Connection, function: str, arguments: str, expected: tuple[int, str | None]) -> None:
    assert reported(conn, f"{function}({arguments})") == expected


@pytest.mark.parametrize("character", ["a", "ä", "😀"])
def test_a_long_message_is_clipped_between_characters(conn: Connection, character: str) -> None:
    percent, message = reported(conn, f"pg_background_progress(1, repeat('{character}', 1000))")
    assert percent == 1
    assert message
    assert message == character * len(message)
    assert len(message.encode()) <= 256


def test_none_was_reported(conn: Connection) -> None:
    handle = launch(conn, "SELECT 1")
    assert progress(conn, handle) == (None, None)
    assert wait(conn, handle)
    assert progress(conn, handle) == (None, None)


@pytest.mark.parametrize(
    "handle", [Handle(0, 0), Handle(1, 1), Handle(-1, -1), Handle(2147483647, 2**63 - 1)]
)
def test_of_an_unknown_handle(conn: Connection, handle: Handle) -> None:
    assert progress(conn, handle) == (None, None)


def test_of_a_wrong_cookie(conn: Connection) -> None:
    handle = launch(conn, "SELECT pg_background_progress(50)")
    assert wait(conn, handle)
    assert progress(conn, Handle(handle.pid, handle.cookie ^ 1)) == (None, None)


@pytest.mark.parametrize("arguments", ["NULL, 1", "1, NULL", "NULL, NULL"])
def test_of_null_is_one_row_of_nulls(conn: Connection, arguments: str) -> None:
    rows = conn.execute(f"SELECT * FROM pg_background_get_progress({arguments})".encode()).fetchall()
    assert rows == [(None, None)]


@pytest.mark.parametrize("start", [launch, submit])
def test_while_the_job_runs(conn: Connection, connect: Connect, start: type) -> None:
    watcher = connect()
    with closed_gate(connect()) as gate:
        handle = start(conn, f"SELECT pg_background_progress(10, 'one'); {gate.sql}")
        wait_until_asleep(conn, handle.pid, "advisory")
        # It has not committed, and is seen from any session.
        assert progress(conn, handle) == (10, "one")
        assert progress(watcher, handle) == (10, "one")


def test_of_a_failed_job_stays(conn: Connection) -> None:
    handle = launch(conn, "SELECT pg_background_progress(10, 'one'); SELECT 1 / 0")
    assert wait(conn, handle)
    assert progress(conn, handle) == (10, "one")


def test_the_last_one_counts(conn: Connection) -> None:
    handle = launch(conn, "SELECT pg_background_progress(g, 'row ' || g) FROM generate_series(1, 77) g")
    assert wait(conn, handle)
    assert progress(conn, handle) == (77, "row 77")


def test_a_later_report_without_a_message_has_none(conn: Connection) -> None:
    handle = launch(conn, "SELECT pg_background_progress(1, 'x'); SELECT pg_background_progress(2)")
    assert wait(conn, handle)
    assert progress(conn, handle) == (2, None)


@pytest.mark.parametrize("call", ["progress(1)", "progress(1.5::float8, 'x')", "report_progress(1, 'x')"])
def test_outside_of_a_job(conn: Connection, call: str) -> None:
    message = "pg_background_report_progress can only be called from a background worker"
    with pytest.raises(e.FeatureNotSupported, match=message):
        conn.execute(f"SELECT pg_background_{call}".encode())


def test_with_the_cookie_in_hexadecimal(conn: Connection) -> None:
    handle = launch(conn, "SELECT pg_background_progress(5, 'x')")
    assert wait(conn, handle)
    row = conn.execute(
        f"SELECT * FROM pg_background_get_progress_v2({handle.pid}, '{handle.cookie:#x}')".encode()
    ).fetchone()
    assert row == (5, "x")


def test_readers_see_whole_reports(conn: Connection, connect: Connect) -> None:
    """Each report is seen with its own message, never with that of another one."""
    handle = launch(
        conn,
        "SELECT pg_background_progress(g % 100, repeat(chr(65 + g % 26), 200) || ' ' || g % 100) "
        "FROM generate_series(1, 2000000) g",
    )
    watcher = connect()
    seen = 0
    while seen < 2000:
        percent, message = progress(watcher, handle)
        if message is None:
            continue
        letters, number = message.split()
        assert int(number) == percent
        assert len(set(letters)) == 1
        seen += 1
    conn.execute("SELECT pg_background_cancel(%s, %s, 1000)", handle)
    assert wait(conn, handle)


def test_in_a_function_of_the_job(conn: Connection) -> None:
    conn.execute(
        "CREATE PROCEDURE steps() LANGUAGE plpgsql AS $$ BEGIN FOR i IN 1..4 LOOP "
        "PERFORM pg_background_progress(i * 25, 'step ' || i); COMMIT; END LOOP; END $$"
    )
    handle = launch(conn, "CALL steps()")
    assert wait(conn, handle)
    assert progress(conn, handle) == (100, "step 4")
    assert run(conn, "SELECT 1", "a int") == [(1,)]
