"""What `pg-background run` and `result` print is what psql prints, whatever the types, names and values."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from pg_background.cli.reading import Rows
from pg_background.client.model import Handle
from pg_background.server import Installation

from ..support.fix_cli import Finished, OnPlace
from ..support.fix_client import Place
from ..support.fix_db import Connection
from ..support.jobs import FOREVER
from ..support.psql import psql
from ..support.waiting import DEADLINE, wait_until, wait_until_sql

#: A value, or some, of each built-in type that has a text form.
VALUES = (
    "true, false, NULL::bool",
    "'x'::\"char\", '\\001'::\"char\", 'n'::name, 'a'::bpchar, 'ab'::char(5), 'v'::varchar(3), ''::text",
    "1::int2, '-2147483648'::int4, 9223372036854775807::int8, 4294967295::oid, '5'::xid, '6'::xid8, '7'::cid",
    "1.5::float4, 'NaN'::float8, '-Infinity'::float8, 1e300::float8, 1.10::numeric, 'NaN'::numeric",
    "12.5::money",
    "'\\xdead00'::bytea, B'101'::bit(3), B'1'::varbit, '00112233-4455-6677-8899-aabbccddeeff'::uuid",
    "'infinity'::date, '-infinity'::date, '0044-03-15 BC'::date, '10000-01-01'::date, '2026-01-31'::date",
    "'infinity'::timestamp, '0001-01-01 BC'::timestamp, '294276-01-01 00:00:00.000001'::timestamp",
    "'-infinity'::timestamptz, '99999-12-31 23:59:59+00'::timestamptz, '24:00'::time",
    "'12:00:00.5+05:30'::timetz",
    "'3 days 04:05:06'::interval(6), '178000000 years'::interval, '-1 mon'::interval",
    "'3 days 04:05:06.789'::interval(2), '1 year 2 mons'::interval year to month",
    "'{\"a\": [1.10, null]}'::json, '{\"a\": [1.10, null]}'::jsonb, 'null'::jsonb, '$.a[*]'::jsonpath",
    "'10.0.0.1/8'::inet, '10.0.0.0/8'::cidr, '08:00:2b:01:02:03'::macaddr",
    "'08:00:2b:01:02:03:04:05'::macaddr8",
    "'(1,2)'::point, '{1,2,3}'::line, '[(1,2),(3,4)]'::lseg, '(1,2),(3,4)'::box, '((1,2),(3,4))'::path",
    "'((1,2),(3,4))'::polygon, '<(1,2),3>'::circle",
    "'fat & rat'::tsquery, 'a fat rat'::tsvector, '\"C\"'::regcollation",
    "'pg_class'::regclass, 'int4'::regtype, 'now()'::regprocedure, '1/2'::pg_lsn, '(1,2)'::tid",
    "'1 2'::int2vector",
    "'1 2'::oidvector, '10:20:10,14'::pg_snapshot, ROW(1, 'a', NULL)",
    "int4range(1, 5), numrange(NULL, 2.5), daterange('-infinity', 'infinity'), tsrange('infinity', NULL)",
    "'{[1,2], [5,7)}'::int4multirange, '{}'::datemultirange, daterange('0044-03-15 BC', '10000-01-01')",
    "'{1,NULL,3}'::int4[], '[0:1]={7,8}'::int4[], '{}'::text[], ARRAY['a,b', 'NULL', NULL, '\"', E'\\\\']",
    "'{infinity,10000-01-01}'::date[], ARRAY[[true,false],[NULL,true]], '{(1,2),(3,4);(0,0),(1,1)}'::box[]",
    "ARRAY['{\"a\": 1}'::jsonb], ARRAY[1.10, 'NaN'::numeric], '{0044-03-15 BC}'::timestamp[]",
    "ARRAY['\\x00'::bytea]",
)

HOSTILE = (
    '"growth %"', '"%s"', '"%(a)s"', '"{}"', '"{0}"', '"say ""hi"""', "\"it's\"", "\"two\nlines\"",
    '"x"', '"x"', '"täß€"', f'"{"n" * 63}"', f'"{"n" * 63}"', '"$1"', '"\\"', '"a;b"',
)  # fmt: skip

TEXTS = (
    "SELECT 'a' || chr(n) || 'b' AS t, n FROM unnest(ARRAY[1, 7, 9, 10, 13, 27, 127, 133, 155]) AS n",
    "SELECT E'two\\nlines' AS a, 1 AS n, E'and\\nthree\\nlines' AS b UNION ALL SELECT 'x', 22, ''",
    "SELECT 'ä' AS a, '漢字' AS b, 'e' || chr(769) AS c UNION ALL SELECT 'abc', 'a', NULL",
    "SELECT E'tab\\there' AS \"tab\tname\", E'\\\\N' AS n, E'\\\\.' AS dot",
    "SELECT n, repeat('x', n) AS t FROM generate_series(1, 12) AS n",
    "SELECT 1 AS a WHERE false",
)


@pytest.fixture
def both(bg: OnPlace, place: Place, installation: Installation) -> Both:
    return Both(bg, place, installation)


class Both:
    """Runs SQL by both programs."""

    def __init__(self, bg: OnPlace, place: Place, installation: Installation) -> None:
        self._bg, self._place, self._installation = bg, place, installation

    def compare(self, sql: str) -> None:
        """Check that they print the same, as a table, in the expanded form and as CSV."""
        for options in ((), ("-x",)):
            done = self._bg("run", *options, sql)
            assert done.code == 0, done.errors
            assert done.output == psql(self._installation, self._place.dsn(), sql, *options)
        done = self._bg("run", "--csv", sql)
        theirs = psql(self._installation, self._place.dsn(), sql, "--csv")
        assert list(csv.reader(io.StringIO(done.output))) == list(csv.reader(io.StringIO(theirs)))


@pytest.mark.parametrize("values", VALUES)
def test_every_type(both: Both, values: str) -> None:
    both.compare(f"SELECT {values}")


@pytest.mark.parametrize("sql", TEXTS)
def test_texts(both: Both, sql: str) -> None:
    both.compare(sql)


def test_hostile_names(both: Both, bg: OnPlace) -> None:
    sql = "SELECT " + ", ".join(f"{n} AS {name}" for n, name in enumerate(HOSTILE))
    both.compare(sql)
    (row,) = json.loads(bg("run", "--json", sql).output)
    assert sorted(row.values()) == list(range(len(HOSTILE)))


def test_types_of_the_users_own(both: Both, side: Connection) -> None:
    side.execute("CREATE TYPE mood AS ENUM ('sad', 'very ok')")
    side.execute("CREATE TYPE pair AS (a int, b text)")
    side.execute("CREATE DOMAIN positive AS int CHECK (VALUE > 0)")
    both.compare(
        "SELECT 'very ok'::mood AS m, ROW(1, 'x,y')::pair AS p, 7::positive AS d, ARRAY['sad'::mood] AS ms"
    )


@pytest.mark.parametrize("values", VALUES)
def test_json_has_the_same_texts(bg: OnPlace, side: Connection, values: str) -> None:
    """Each value is its text, if it is not a number, a boolean, JSON or an array."""
    (row,) = json.loads(bg("run", "--json", f"SELECT {values}").output)
    names = [f"c{n}" for n in range(len(row))]
    casts = ", ".join(f"format('%s', {name}), to_jsonb({name}), {name} IS NULL" for name in names)
    expected = side.execute(
        f"SELECT {casts} FROM (SELECT {values}) AS r({', '.join(names)})".encode()
    ).fetchone()
    assert expected is not None
    for n, value in enumerate(row.values()):
        text, as_json, is_null = expected[3 * n : 3 * n + 3]
        if is_null:
            assert value is None
        elif isinstance(value, str):
            assert value == text
        elif isinstance(value, list) and text.startswith(("{", "[")):
            assert str(value).count(",") == str(as_json).count(",")
        elif isinstance(value, float):
            assert value == float(text)
        else:
            assert value == as_json or str(value) == text


def test_what_python_can_not_hold_is_not_lost(bg: OnPlace) -> None:
    handle = bg.handle("launch", "SELECT 'infinity'::date AS d, '{0044-03-15 BC}'::date[] AS ds")
    bg("wait", handle)
    assert bg("result", "--csv", handle).output == 'd,ds\ninfinity,"{""0044-03-15 BC""}"\n'


def test_result_that_can_not_be_written_is_not_read(bg: OnPlace, tmp_path: Path) -> None:
    handle = bg.handle("launch", "SELECT 1 AS x")
    bg("wait", handle)
    done = bg("result", "--output", tmp_path / "no" / "file", handle)
    assert done.code == 2
    assert "can't write" in done.errors
    written = tmp_path / "rows.csv"
    assert bg("result", "--csv", "-o", written, handle) == Finished(0, "", "")
    assert written.read_text() == "x\n1\n"


@pytest.mark.parametrize("rows", [3, 5000])
def test_error_after_some_rows(side: Connection, rows: int) -> None:
    """Whether it comes with the rows before it or after a wait, it is raised, and the session goes on."""
    for pause in ("", ", pg_sleep(CASE WHEN n = 1 THEN 0.1 ELSE 0 END)"):
        query = f"SELECT 1 / ({rows} - n) AS x{pause} FROM generate_series(1, {rows}) AS n"
        read = Rows(side, sql.SQL(query), Handle(1, 1), [], [])
        with pytest.raises(psycopg.errors.DivisionByZero):
            list(read.csv())
        assert side.execute("SELECT 1").fetchone() == (1,)


def test_json_lines(bg: OnPlace) -> None:
    sql = "SELECT n, CASE WHEN n > 1 THEN 'x' END AS t FROM generate_series(1, 2500) AS n"
    lines = bg("run", "--jsonl", sql).output.splitlines()
    assert len(lines) == 2500
    assert [json.loads(line) for line in lines[:2]] == [{"n": 1, "t": None}, {"n": 2, "t": "x"}]
    assert json.loads(bg("run", "--json", sql).output) == [json.loads(line) for line in lines]
    assert bg("run", "--jsonl", "SELECT 1 WHERE false").output == ""


def test_many_rows_in_little_memory(bg: OnPlace, place: Place) -> None:
    """Neither the rows nor their table are ever whole in memory."""
    code = (
        "import resource, sys\n"
        "from pg_background.cli import app\n"
        "try:\n    app(sys.argv[1:])\n"
        "finally:\n    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)\n"
    )
    sql = "SELECT n, repeat('x', 400) AS t FROM generate_series(1, %s) AS n"
    memory = {}
    for rows in (2_000, 100_000):
        done = subprocess.run(
            [sys.executable, "-c", code, "run", "-d", place.dsn(), sql % rows],
            capture_output=True,
            check=True,
            text=True,
        )
        assert f"({rows} rows)" in done.stdout
        memory[rows] = int(done.stderr)
    assert memory[100_000] - memory[2_000] < 10_000


def test_terminal_gets_what_fits(bg: OnPlace) -> None:
    """Rows wider than it are expanded, long tables go through the pager."""
    sql = "SELECT repeat('x', 60) AS a, repeat('y', 60) AS b"
    assert "-[ RECORD 1 ]" in bg.on_terminal("run", sql).output
    long_text = bg.on_terminal("run", "-x", "SELECT repeat('x', 500) AS a").output
    assert max(map(len, long_text.splitlines()[::2])) == 80
    assert "-[ RECORD 1 ]" not in bg.on_terminal("run", sql, size=(200, 24)).output
    assert "-[ RECORD 1 ]" not in bg("run", sql).output
    long = "SELECT generate_series(1, 100) AS n"
    cases: tuple[tuple[tuple[str, ...], dict[str, Any], bool], ...] = (
        ((), {"PAGER": "sed s/^/paged/"}, True),
        ((), {"PAGER": "false", "PSQL_PAGER": "sed s/^/paged/"}, True),
        (("--no-pager",), {"PAGER": "sed s/^/paged/"}, False),
        ((), {"PAGER": ""}, False),
    )
    for words, environment, paged in cases:
        done = bg.on_terminal("run", *words, long, **environment)
        assert done.code == 0
        assert ("paged 100" in done.output) == paged
        assert "(100 rows)" in done.output
    short = bg.on_terminal("run", "SELECT 1 AS n", PAGER="sed s/^/paged/")
    assert "paged" not in short.output


def test_reader_that_leaves_the_pager_early(bg: OnPlace) -> None:
    done = bg.on_terminal("run", "SELECT generate_series(1, 100000) AS n", PAGER="head -n 3")
    assert done.code == 0
    assert done.output.count("\n") == 3


def test_reader_that_has_gone(bg: OnPlace) -> None:
    """It ends as a program that SIGPIPE has ended: 1 would mean that the job has failed."""
    for words in (["--csv"], ["--jsonl"], []):
        process = bg.start("run", *words, "SELECT generate_series(1, 300000) AS n")
        assert process.stdout is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.wait(60) == 141
        assert process.stderr is not None
        assert process.stderr.read() == ""
        process.stderr.close()


def test_reader_of_messages_that_has_gone(bg: OnPlace) -> None:
    """The exit code still says what happened."""
    process = bg.start("run", "SELECT pg_sleep(0.2), 1/0 FROM pg_class")
    assert process.stderr is not None
    process.stderr.close()
    assert process.wait(60) == 1
    assert process.stdout is not None
    process.stdout.close()


def test_command_tags(bg: OnPlace) -> None:
    assert bg("run", "CREATE TABLE tagged (a int); INSERT INTO tagged VALUES (1), (2)").output == (
        "CREATE TABLE\nINSERT 0 2\n"
    )
    assert bg("run", "--each-statement", "VACUUM tagged; ANALYZE tagged").output == "VACUUM\nANALYZE\n"
    assert bg("run", " ; ").output == ""
    done = bg("run", "--json", "DELETE FROM tagged; DELETE FROM tagged")
    assert (done.output, done.errors) == ("[]\n", "DELETE 2\nDELETE 0\n")


TAGS = ["CREATE TABLE", "INSERT 0 2", "SELECT 1"]
TABLE = [" a ", "---", " 1", " 2", "(2 rows)", ""]


@pytest.mark.parametrize("options", [(), ("--each-statement",)])
def test_command_tags_before_rows(bg: OnPlace, options: tuple[str, ...]) -> None:
    """Those of all statements before the one that has the rows, as psql prints them."""

    def script(last: str) -> str:
        return (
            "DROP TABLE IF EXISTS tagged; CREATE TABLE tagged (a int); INSERT INTO tagged VALUES (1), (2); "
            f"SELECT 7 AS no_rows_of_it; {last}"
        )

    run = partial(bg, "run", *options)
    done = run(script("TABLE tagged"))
    assert done.output.splitlines() == ["DROP TABLE", *TAGS, *TABLE]
    assert done.errors == 'notice: table "tagged" does not exist, skipping\n'
    assert run(script("SELECT 1 WHERE false")).output.splitlines()[:4] == ["DROP TABLE", *TAGS]
    done = run(script("SELECT FROM tagged"))
    assert done.output.splitlines()[:5] == ["DROP TABLE", *TAGS, "--"]
    assert done.output.splitlines()[-2:] == ["(2 rows)", ""]
    remarks = "".join(f"{tag}\n" for tag in ["DROP TABLE", *TAGS])
    for form, rows in {
        "--csv": "a\n1\n2\n",
        "--jsonl": '{"a": 1}\n{"a": 2}\n',
        "--json": '[\n  {"a": 1},\n  {"a": 2}\n]\n',
    }.items():
        done = run(form, script("TABLE tagged"))
        assert (done.output, done.errors) == (rows, remarks)
    handle = bg("launch", *options, script("TABLE tagged")).output.strip()
    assert bg("result", handle).output.splitlines() == ["DROP TABLE", *TAGS, *TABLE]
    assert run("SELECT 1 AS a").output.splitlines() == [" a ", "---", " 1", "(1 row)", ""]


def test_command_tags_are_told_beside_rows(side: Connection) -> None:
    """As debug messages, which nobody gets who has not asked for them."""
    said: list[str | None] = []
    side.add_notice_handler(lambda notice: said.append(notice.message_primary))
    query = "SELECT a FROM pg_background_result(pg_background_launch(%s)) AS (a int)"
    sql = "CREATE TEMP TABLE beside (); VALUES (1), (2)"
    assert side.execute(query, [sql]).fetchall() == [(1,), (2,)]
    assert said == []
    side.execute("SET client_min_messages = debug1")
    assert side.execute(query, [sql]).fetchall() == [(1,), (2,)]
    assert said == ["command tag: CREATE TABLE", "command tag: SELECT 2"]
    text = "SELECT r::text FROM pg_background_launch(%s) AS h, pg_background_result_json(h.pid, h.cookie) r"
    assert side.execute(text, [sql]).fetchall() == [('{"column1":1}',), ('{"column1":2}',)]
    assert said[2:] == said[:2]


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        (
            "{0}; SELECT 1/0; {1}",
            "statement 2 of 3 failed; statement 1 is committed; statement 3 was not run",
        ),
        ("{0}; SELECT 1; SELECT 1/0", "statement 3 of 3 failed; statements 1 and 2 are committed"),
        (
            "SELECT 1/0; {0}; {1}; SELECT 1",
            "statement 1 of 4 failed; nothing is committed; statements 2 to 4 were not run",
        ),
        ("{0}; {1}; SELECT 3; SELECT 1/0", "statement 4 of 4 failed; statements 1 to 3 are committed"),
    ],
)
def test_failed_script_says_what_is_committed(bg: OnPlace, sql: str, said: str) -> None:
    script = sql.format("CREATE TABLE one ()", "CREATE TABLE two ()")
    done = bg("run", "--each-statement", script)
    assert done.code == 1
    assert done.errors.splitlines()[-1] == said
    assert bg(
        "run", "--csv", "SELECT to_regclass('one') IS NOT NULL AS one, to_regclass('two') IS NOT NULL AS two"
    ).output == (f"one,two\n{_ran(script, 'one')},{_ran(script, 'two')}\n")


def _ran(script: str, table: str) -> str:
    """Say as CSV whether a table is created before the statement that fails."""
    before, _, _ = script.partition("SELECT 1/0")
    return "t" if f"CREATE TABLE {table} " in before else "f"


def test_other_ends_of_a_script_say_what_is_committed(bg: OnPlace) -> None:
    sql = f"SELECT 1; {FOREVER}"
    done = bg("run", "--each-statement", "--timeout", "0.2", sql)
    assert done.code == 4
    assert done.errors.splitlines()[-1] == "statement 2 of 2 ran out of time; statement 1 is committed"
    # Refused before any of its statements was run.
    done = bg("run", "--each-statement", "SELECT 1; BEGIN; SELECT 2")
    assert done.code == 1
    assert done.errors.splitlines()[-1] == "statements that had ended before are committed"


def test_interrupted_script_says_what_is_committed(bg: OnPlace, side: Connection) -> None:
    process = bg.start("run", "--label", "script", "--each-statement", f"CREATE TABLE one (); {FOREVER}")
    wait_until_sql(side, "SELECT to_regclass('one') IS NOT NULL", [], expected=True)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "\nstatement 2 of 2 was canceled; statement 1 is committed\n" in errors


def test_database_without_an_encoding(bg: OnPlace, place: Place) -> None:
    """Bytes that are no text come out as they went in."""
    place.server.execute("CREATE DATABASE no_encoding TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")
    place.server.execute("CREATE EXTENSION pg_background", "no_encoding")
    where = place.server.dsn("no_encoding")
    sql = "SELECT convert_from('\\x41e4c3a4', 'SQL_ASCII') AS x"
    process = subprocess.run(
        [*bg.program, "run", "--csv", "-d", where, sql], capture_output=True, check=False
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout == b"x\nA\xe4\xc3\xa4\n"
    process = subprocess.run([*bg.program, "run", "-d", where, sql], capture_output=True, check=False)
    assert b" A\xe4\xc3\xa4" in process.stdout
    place.server.execute("DROP DATABASE no_encoding WITH (FORCE)")


def test_watch_leaves_the_terminal_as_it_was(bg: OnPlace) -> None:
    import pty

    leader, follower = pty.openpty()
    process = bg.start("ps", "--watch", "--interval", "0.1", terminal=follower, TERM="xterm")
    os.close(follower)
    seen = bytearray()

    def shown(text: bytes) -> bool:
        seen.extend(os.read(leader, 65536))
        return text in seen

    wait_until(lambda: shown(b"\x1b[?1049h"), what="the screen")
    process.send_signal(signal.SIGINT)
    wait_until(lambda: shown(b"interrupted"), what="its end")
    with contextlib.suppress(OSError):
        # Its end is an error on Linux.
        while piece := os.read(leader, 65536):
            seen.extend(piece)
    os.close(leader)
    assert process.wait(DEADLINE) == 130
    assert seen.rindex(b"\x1b[?1049l") > seen.rindex(b"\x1b[?1049h")
