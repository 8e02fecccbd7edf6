"""`pg-background run`: what goes in, what comes out, and the exit codes."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from psycopg.rows import TupleRow

from pg_background import Client
from pg_background.cli.commands.sql.run import _cancel
from pg_background.client import launching

from ..support.fix_cli import OnPlace
from ..support.fix_db import Connection
from ..support.jobs import FOREVER
from ..support.server import Server
from ..support.waiting import wait_until, wait_until_sql

STATE = "SELECT state FROM pg_background_jobs WHERE label = %s"

MANY_TYPES = (
    "SELECT 12345678901234567890.10::numeric AS n, 'NaN'::float8 AS nan, true AS yes, NULL::int AS nothing, "
    """'{"a": [1.10]}'::jsonb AS doc, ARRAY[[1, 2], [3, 4]] AS grid, ARRAY['x,y', NULL] AS words, """
    """E'say "hi"\\n' AS said, '' AS empty, date '2026-01-31' AS day, 1 AS n"""
)


def test_table(bg: OnPlace) -> None:
    done = bg("run", "SELECT n, repeat('[b]', n) AS t, NULL AS nothing FROM generate_series(9, 10) n")
    assert done.code == 0
    assert done.errors == ""
    assert done.output.splitlines() == [
        " n  |               t                | nothing ",
        "----+--------------------------------+---------",
        "  9 | [b][b][b][b][b][b][b][b][b]    | ",
        " 10 | [b][b][b][b][b][b][b][b][b][b] | ",
        "(2 rows)",
        "",
    ]


def test_json_loses_nothing(bg: OnPlace) -> None:
    done = bg("run", "--json", MANY_TYPES)
    assert done.code == 0
    (row,) = json.loads(done.output, parse_float=str, parse_int=str)
    assert row == {
        "n": "12345678901234567890.10",
        "nan": "NaN",
        "yes": True,
        "nothing": None,
        "doc": {"a": ["1.10"]},
        "grid": [["1", "2"], ["3", "4"]],
        "words": ["x,y", None],
        "said": 'say "hi"\n',
        "empty": "",
        "day": "2026-01-31",
        "n_2": "1",
    }
    assert bg("run", "--json", "SELECT 1 WHERE false").output == "[]\n"


def test_json_of_rows_without_columns(bg: OnPlace) -> None:
    assert json.loads(bg("run", "--json", "SELECT").output) == [{}]
    assert json.loads(bg("run", "--json", "SELECT FROM generate_series(1, 3)").output) == [{}, {}, {}]
    assert json.loads(bg("run", "--json", "SELECT WHERE false").output) == []


def test_csv_tells_null_from_empty(bg: OnPlace) -> None:
    done = bg("run", "--csv", MANY_TYPES)
    assert done.code == 0
    header, row = csv.reader(io.StringIO(done.output))
    assert header == ["n", "nan", "yes", "nothing", "doc", "grid", "words", "said", "empty", "day", "n"]
    assert row[4:8] == ['{"a": [1.10]}', "{{1,2},{3,4}}", '{"x,y",NULL}', 'say "hi"\n']
    assert bg("run", "--csv", "SELECT NULL AS a, '' AS b, 1 AS c").output == 'a,b,c\n,"",1\n'


def test_csv_is_what_copy_reads(bg: OnPlace, side: Connection) -> None:
    values = ["", "\\.", 'say "hi"', "a,b", "two\nlines", " blank "]
    side.execute(
        "CREATE TABLE source AS SELECT v, n FROM unnest(%s::text[], ARRAY[NULL, 1]) AS u(v, n)", [values]
    )
    side.execute("CREATE TABLE target (v text, n int)")
    done = bg("run", "--csv", "SELECT * FROM source")
    with side.cursor().copy("COPY target FROM STDIN (FORMAT csv, HEADER)") as copy:
        copy.write(done.output)
    assert side.execute("TABLE source EXCEPT ALL TABLE target").fetchall() == []


def test_format_that_is_typed_wins_over_the_environment(bg: OnPlace) -> None:
    assert bg("run", "SELECT 1 AS x", PG_BACKGROUND_CSV="1").output == "x\n1\n"
    assert bg("run", "--json", "SELECT 1 AS x", PG_BACKGROUND_CSV="1").output == '[\n  {"x": 1}\n]\n'
    assert bg("run", "--json", "--csv", "SELECT 1").code == 2


def test_statement_without_rows(bg: OnPlace) -> None:
    assert bg("run", "CREATE TABLE t AS SELECT 1 AS a").output == "SELECT 1\n"
    assert bg("run", "INSERT INTO t VALUES (2), (3)").output == "INSERT 0 2\n"
    done = bg("run", "--json", "DELETE FROM t")
    assert (done.code, done.output, done.errors) == (0, "[]\n", "DELETE 3\n")


def test_sql_from_a_file_and_from_standard_input(bg: OnPlace, tmp_path: Path) -> None:
    script = tmp_path / "script.sql"
    script.write_bytes("\ufeffCREATE TABLE made (n int);\nSELECT 'ä€' AS x".encode())
    assert "ä€" in bg("run", "--file", script).output
    assert bg("run", "--csv", "-", stdin="SELECT 5 AS x").output == "x\n5\n"
    assert bg("run", "--csv", "-f", "-", stdin="SELECT 6 AS x").output == "x\n6\n"
    assert bg("run", "--csv", "-- a comment\nSELECT 7 AS x").output == "x\n7\n"


@pytest.mark.parametrize(
    ("words", "stdin", "said"),
    [
        ((), b"", "there is no SQL"),
        (("SELECT 1", "-f", "x.sql"), b"", "give the SQL once"),
        (("",), b"", "the SQL is empty"),
        (("-f", "/nowhere/x.sql"), b"", "can't read /nowhere/x.sql: No such file"),
        (("-",), b"SELECT '\xe4'", "standard input is not UTF-8 (at byte 8)"),
        (("SELECT %s", "--param", "1", "--each-statement"), b"", "--param goes with one statement"),
        (("SELECT %(a)s", "--param", "b=1"), b"", "where NAME is one of a"),
        (("SELECT 1", "--timeout", "-1"), b"", "-1 is not a time"),
        (("SELECT 1", "--timeout", "soon"), b"", "'soon' is not a number"),
        (("SELECT 1", "-p", "0"), b"", "0 is not a port"),
    ],
)
def test_bad_usage(bg: OnPlace, words: tuple[str, ...], stdin: bytes, said: str) -> None:
    done = bg("run", *words, stdin=stdin)
    assert (done.code, done.output) == (2, "")
    assert said in done.errors


def test_params_are_bound(bg: OnPlace) -> None:
    quoted = "x'; DROP TABLE y; --"
    done = bg("run", "--csv", "-P", "7", "-P", quoted, "SELECT %s::int + 1 AS n, %s AS t, 5 %% 3 AS m")
    assert done.output == f"n,t,m\n8,{quoted},2\n"
    done = bg(
        "run",
        "--csv",
        "--param",
        "a=-1",
        "--param",
        "b=x=y",
        "SELECT %(a)s::int AS a, %(b)s AS b, %(a)s AS c",
    )
    assert done.output == "a,b,c\n-1,x=y,-1\n"
    done = bg("run", "-P", "1", "SELECT 1")
    assert (done.code, done.output) == (2, "")
    assert "0 placeholders" in done.errors


def test_error_of_the_job(bg: OnPlace, side: Connection) -> None:
    side.execute("CREATE TABLE one (a int CONSTRAINT positive CHECK (a > 0))")
    done = bg("run", "INSERT INTO one VALUES (-1)")
    assert (done.code, done.output) == (1, "")
    message, detail, context = done.errors.splitlines()
    assert message == (
        'error: new row for relation "one" violates check constraint "positive" (SQLSTATE 23514)'
    )
    assert detail == "DETAIL:  Failing row contains (-1)."
    assert context.startswith("CONTEXT:  background worker, pid ")
    done = bg("run", "DO $$ BEGIN RAISE 'no [b]' USING HINT = 'try yes', ERRCODE = 'XX123'; END $$")
    assert done.code == 1
    assert done.errors.startswith("error: no [b] (SQLSTATE XX123)\nHINT:  try yes\n")


def test_place_of_an_error(bg: OnPlace) -> None:
    done = bg("run", "SELECT 1;\nSELECT nosuch FROM pg_class")
    assert done.code == 1
    assert "\nLINE 2: SELECT nosuch FROM pg_class\n               ^\n" in done.errors


def test_exit_codes_of_other_ends(bg: OnPlace) -> None:
    done = bg("run", "--timeout", "0.05", FOREVER)
    assert (done.code, done.output) == (4, "")
    assert "worker_timeout (SQLSTATE 57014)" in done.errors
    assert bg("run", "SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(3600)").code == 1
    assert bg("run", "--label", "x" * 65, "SELECT 1").code == 6
    assert bg("run", "--queue-size", "1", "SELECT 1").code == 6
    assert bg("run", "--job-database", "nosuch", "SELECT 1").code == 6


def test_options_of_the_launch(bg: OnPlace, side: Connection) -> None:
    sql = "SELECT datname, application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()"
    done = bg("run", "--csv", "-l", "my label", "--job-database", "postgres", "--on-full", "queue", sql)
    database, name = done.output.splitlines()[1].split(",")
    assert database == "postgres"
    assert "my label" in name
    assert bg("run", "--csv", "SELECT 1 AS x", PG_BACKGROUND_LABEL="by environment").code == 0
    assert side.execute(STATE, ["by environment"]).fetchone() == ("stopped",)


def test_each_statement(bg: OnPlace) -> None:
    done = bg("run", "--csv", "--each-statement", "CREATE TABLE v (n int); VACUUM v; SELECT 3 AS x")
    assert (done.code, done.output) == (0, "x\n3\n")
    assert bg("run", "--each-statement", "INSERT INTO v VALUES (1); SELECT 1/0").code == 1
    assert bg("run", "--csv", "SELECT count(*) FROM v").output == "count\n1\n"


def test_notices(bg: OnPlace) -> None:
    done = bg("run", "DO $$ BEGIN RAISE WARNING 'hot [b]'; RAISE NOTICE 'cold'; END $$")
    assert (done.code, done.output) == (0, "DO\n")
    assert done.errors == "warning: hot [b]\nnotice: cold\n"


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_interrupted_run_cancels_in_the_server(
    bg: OnPlace, side: Connection, number: signal.Signals, code: int
) -> None:
    label = f"interrupted by {number.name}"
    process = bg.start("run", "--label", label, FOREVER)
    wait_until_sql(side, STATE, [label], expected="running")
    process.send_signal(number)
    output, errors = process.communicate(timeout=30)
    assert (process.returncode, output) == (code, "")
    assert "canceled job " in errors
    assert "Traceback" not in errors
    wait_until_sql(side, STATE, [label], expected="canceled")


def test_interrupted_right_after_the_launch(
    bg: OnPlace, side: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def held(_: object) -> Iterator[None]:
        yield
        raise KeyboardInterrupt

    monkeypatch.setattr("pg_background.cli.options.launching.held", held)
    done = bg("run", "--label", "just launched", FOREVER)
    assert done.code == 130
    assert side.execute(STATE, ["just launched"]).fetchone() == ("canceled",)


@pytest.mark.parametrize("command", ["launch", "submit"])
def test_interrupted_launch_tells_the_handle(
    bg: OnPlace, side: Connection, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """The signal comes while the server begins the job."""
    real = launching.start

    def start(*given: Any, **options: Any) -> Any:
        signal.raise_signal(signal.SIGTERM)
        return real(*given, **options)

    monkeypatch.setattr(launching, "start", start)
    done = bg(command, "--label", command, FOREVER)
    assert done.code == 143
    monkeypatch.undo()
    assert side.execute(STATE, [command]).fetchone() in (("starting",), ("running",))
    assert bg("cancel", done.output.strip()).code == 0


def test_interrupted_wait_for_a_worker(bg: OnPlace, side: Connection, server: Server) -> None:
    """It ends at once, and nothing is launched later."""
    waiting = (
        "SELECT 1 FROM pg_stat_activity WHERE query ~ 'pg_background_start' AND pid <> pg_backend_pid()"
        " AND wait_event IS NOT NULL AND state = 'active'"
    )
    with server.alter_system({"pg_background.max_total_workers": 1}):
        handles = []
        # The server may have had a worker more than that when it learned of the limit.
        while (done := bg("launch", FOREVER)).code == 0:
            handles.append(done.output.strip())
        process = bg.start("run", "--on-full", "wait", "--label", "too late", "SELECT 1")

        def waits() -> bool:
            assert process.poll() is None, process.communicate()
            return side.execute(waiting).fetchone() is not None

        wait_until(waits, what="the wait for a worker")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
        assert (process.returncode, errors) == (130, "interrupted\n")
        bg("cancel", *handles)
        assert bg("wait", *handles).code == 1
    assert side.execute(STATE, ["too late"]).fetchone() is None


def test_pipe_gets_neither_colours_nor_bars(bg: OnPlace) -> None:
    for words in (
        ("run", "--progress", "SELECT pg_background_progress(50), 1 AS x"),
        ("ps", "-a"),
        ("run", "SELECT 1/0"),
    ):
        process = bg.start(*words, FORCE_COLOR="", TERM="xterm-256color")
        output, errors = process.communicate(timeout=60)
        assert "\x1b" not in output + errors
        assert "━" not in output + errors


def test_terminal_gets_a_bar(bg: OnPlace, side: Connection) -> None:
    side.execute("CREATE TABLE gate ()")
    side.execute("BEGIN")
    side.execute("LOCK TABLE gate")
    leader, follower = pty.openpty()
    sql = "SELECT pg_background_progress(40, 'at the gate'); LOCK TABLE gate"
    process = bg.start("run", "--progress", "--label", "slow", sql, terminal=follower, TERM="xterm")
    os.close(follower)
    seen = bytearray()

    def shown(text: str) -> bool:
        seen.extend(os.read(leader, 4096))
        return text in seen.decode(errors="ignore")

    wait_until(lambda: shown("at the gate"), what="the bar")
    assert "40 %" in seen.decode(errors="ignore")
    side.execute("COMMIT")
    wait_until(lambda: shown("LOCK TABLE"), what="the end")
    assert process.wait(30) == 0
    os.close(leader)


@pytest.mark.parametrize(
    ("sql", "ended"), [("SELECT 1", "done"), ("SELECT 1/0", "error")], ids=["succeeded", "failed"]
)
def test_interrupted_run_of_a_job_that_has_ended(
    client: Client[TupleRow], capsys: pytest.CaptureFixture[str], sql: str, ended: str
) -> None:
    """It says so, and not that it has canceled anything."""
    job = client.launch(sql)
    assert job.wait()
    _cancel(job, each_statement=False)
    handle = f"{job.pid}:{job.cookie}"
    assert capsys.readouterr().err == f"job {handle} had ended before it could be canceled ({ended})\n"
