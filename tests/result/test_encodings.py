"""Jobs of a database with another encoding than the reader's."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from ..support.calls import Failure, failure, query, result_error, result_failure, value
from ..support.fix_db import Connect, Connection
from ..support.jobs import FOREVER, Handle, launch, result, start, wait
from ..support.server import Server
from ..support.waiting import DEADLINE

#: é, which both encodings have, as each writes it; € and 你 are in UTF8 only.
E_ACUTE = "U&'\\00E9'"
EURO = "U&'caf\\00E9 \\20AC\\4F60'"

Pair = tuple[Connection, Connection]


@pytest.fixture
def latin(server: Server, connect: Connect) -> Iterator[Connection]:
    """A session on a database of the encoding LATIN1."""
    server.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    try:
        conn = connect("latin", client_encoding="UTF8")
        query(conn, "CREATE EXTENSION pg_background")
        yield conn
        conn.close()
    finally:
        server.execute("DROP DATABASE latin WITH (FORCE)")


@pytest.fixture(params=["to UTF8", "to LATIN1"])
def pair(
    request: pytest.FixtureRequest, latin: Connection, conn: Connection
) -> tuple[Connection, Connection]:
    """The launching session and the reading one."""
    return (latin, conn) if request.param == "to UTF8" else (conn, latin)


def test_rows(pair: Pair) -> None:
    launcher, reader = pair
    columns = {
        "t text": E_ACUTE,
        "v varchar(3)": f"({E_ACUTE} || 'ab')::varchar(3)",
        "n name": f"{E_ACUTE}::name",
        "j json": f"json_build_object({E_ACUTE}, {E_ACUTE})",
        "b bytea": "'\\x00e9ff'::bytea",
        "d numeric": "1.50",
        "i int": "7",
        "z text": "NULL::text",
    }
    sql = ", ".join(columns.values())
    handle = launch(launcher, f"SELECT {sql} FROM generate_series(1, 3)")
    expected = [("é", "éab", "é", {"é": "é"}, b"\x00\xe9\xff", 7)] * 3
    wait(launcher, handle)
    found = query(
        reader,
        f"SELECT t, v, n, j, b, i FROM pg_background_result(%s, %s) AS ({', '.join(columns)})",
        *handle,
    )
    assert found == expected


def test_rows_are_text_of_the_readers_database(pair: Pair) -> None:
    """Not merely shown as such."""
    launcher, reader = pair
    handle = launch(launcher, f"SELECT {E_ACUTE}")
    query(
        reader,
        f"CREATE TEMP TABLE t AS "
        f"SELECT * FROM pg_background_result({handle.pid}, {handle.cookie}) AS (t text)",
    )
    assert query(reader, f"SELECT length(t), t = {E_ACUTE} FROM t") == [(1, True)]


def test_json_of_names_and_values(pair: Pair) -> None:
    """Keys too, those of records and composites among them."""
    launcher, reader = pair
    query(launcher, "CREATE TYPE accent AS (U&\"\\00E9\" text); CREATE TYPE mood AS ENUM ('\u00e9')")
    job = (
        f'SELECT {E_ACUTE} AS U&"\\00E9", row({E_ACUTE})::accent AS c, row({E_ACUTE}) AS r,'
        f" ARRAY[{E_ACUTE}] AS a, 'é'::mood AS m, {E_ACUTE}::name AS n, ARRAY[row({E_ACUTE}::name)] AS rs"
    )
    handle = launch(launcher, job)
    wait(launcher, handle)
    query(reader, f"CREATE TEMP TABLE t AS SELECT * FROM pg_background_result_json{tuple(handle)} AS j")
    found = query(reader, "SELECT j, convert_from(convert_to(j::text, 'UTF8'), 'UTF8') = j::text FROM t")
    assert found == [
        (
            {
                "é": "é",
                "c": {"é": "é"},
                "r": {"f1": "é"},
                "a": ["é"],
                "m": "é",
                "n": "é",
                "rs": [{"f1": "é"}],
            },
            True,
        )
    ]


def test_text_of_types_of_ones_own(pair: Pair) -> None:
    launcher, reader = pair
    query(launcher, "CREATE TYPE mood AS ENUM ('é'); CREATE TYPE two AS (m mood, t text[])")
    handle = launch(launcher, f"SELECT 'é'::mood, row('é', ARRAY[{E_ACUTE}])::two, ARRAY[{E_ACUTE}, NULL]")
    assert result(reader, handle, "m text, b text, t text[]") == [("é", "(é,{é})", ["é", None])]


def test_a_key_that_the_readers_encoding_lacks(conn: Connection, latin: Connection) -> None:
    """Two keys must not become one: an error, after which the rows can still be read without names."""
    handle = launch(conn, 'SELECT 1 AS "€", 2 AS "你"')
    wait(conn, handle)
    failed = failure(latin, f"SELECT pg_background_result_json{tuple(handle)}")
    assert failed.sqlstate == "22P05"
    assert result(latin, handle, "a int, b int") == [(1, 2)]


def test_a_preview_is_cut_between_characters(server: Server, connect: Connect, conn: Connection) -> None:
    """Of the encoding that the job has, which its launcher may not know."""
    server.execute("CREATE DATABASE raw ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    try:
        raw = connect("raw", client_encoding="SQL_ASCII")
        query(raw, "CREATE EXTENSION pg_background")
        for pad in range(4):
            sql = f"SELECT {' ' * pad}'{'é€𝄞' * 60}'"
            start_there = (
                "SELECT (pg_background_start(convert_from(decode('%s', 'hex'), 'SQL_ASCII'),"
                " database => '%s')).cookie"
            )
            ((cookie,),) = query(raw, start_there % (sql.encode().hex(), conn.info.dbname))
            shown = "SELECT sql_preview FROM pg_background_jobs WHERE cookie = %s"
            assert value(conn, shown, cookie) == sql[:120]
            # In a database without an encoding it is what it was, and in others the valid part of it.
            handle = launch(raw, "SELECT 1 -- é€" + "x" * (110 + pad) + "é")
            preview = value(conn, shown, handle.cookie)
            assert preview.startswith("SELECT 1 -- é€x")
            assert query(conn, "SELECT convert_from(convert_to(%s, 'UTF8'), 'UTF8')", preview) == [(preview,)]
        raw.close()
    finally:
        server.execute("DROP DATABASE raw WITH (FORCE)")


def test_error_and_notice(pair: Pair) -> None:
    launcher, reader = pair
    notices: list[str | None] = []
    reader.add_notice_handler(lambda diagnostic: notices.append(diagnostic.message_primary))
    query(launcher, f"SET my.text = {E_ACUTE}")
    raising = "RAISE {} USING MESSAGE = current_setting('my.text'), HINT = current_setting('my.text')"
    job = f"DO $$ BEGIN {raising.format('NOTICE')}; {raising.format('EXCEPTION')}; END $$"
    handle = launch(launcher, job)
    wait(launcher, handle)
    assert result_failure(reader, handle) == Failure("P0001", "é", None, "é")
    assert notices == ["é"]


def test_progress(pair: Pair) -> None:
    launcher, reader = pair
    handle = launch(launcher, f"SELECT pg_background_progress(5, {E_ACUTE})")
    wait(launcher, handle)
    progress = "SELECT progress_msg FROM pg_background_get_progress(%s, %s)"
    assert value(reader, progress, *handle) == "é"


def test_column_name_of_a_mismatch(pair: Pair) -> None:
    launcher, reader = pair
    handle = launch(launcher, 'SELECT 1 AS U&"\\00E9"')
    wait(launcher, handle)
    detail = result_failure(reader, handle).detail
    assert detail is not None
    assert detail.startswith('Column 1 is "é" of type integer')
    assert result(reader, handle, "i int") == [(1,)]


def test_row_that_the_readers_encoding_lacks(conn: Connection, latin: Connection) -> None:
    handle = launch(conn, f"SELECT {EURO}")
    wait(conn, handle)
    assert isinstance(result_error(latin, handle), psycopg.errors.UntranslatableCharacter)


def test_error_that_the_readers_encoding_lacks(conn: Connection, latin: Connection) -> None:
    """The job's own error comes, as far as it can be written."""
    query(conn, f"SET my.text = {EURO}")
    handle = launch(conn, "DO $$ BEGIN RAISE USING MESSAGE = current_setting('my.text'); END $$")
    wait(conn, handle)
    assert result_failure(latin, handle)[:2] == ("P0001", "café ??")


def test_caret_of_an_error(conn: Connection, latin: Connection) -> None:
    """It points into the job's SQL, which comes as far as it can be written."""
    handle = launch(conn, "SELECT '€', nothing")
    wait(conn, handle)
    diag = result_error(latin, handle).diag
    assert (diag.sqlstate, diag.internal_query, diag.internal_position) == (
        "42703",
        "SELECT '?', nothing",
        "13",
    )


def test_start_in_a_database_of_another_encoding(conn: Connection, latin: Connection) -> None:
    """Its SQL and label are there what they are here."""
    ((pid, cookie),) = query(
        conn,
        "SELECT pid, cookie FROM pg_background_start("
        "'SELECT length(''é''), ''é''::text', label => 'é', database => 'latin')",
    )
    listed = "SELECT label, sql_preview FROM pg_background_list"
    assert query(conn, listed) == [("é", "SELECT length('é'), 'é'::text")]
    assert result(conn, Handle(pid, cookie), "n int, t text") == [(1, "é")]


def test_start_in_a_database_without_an_encoding(conn: Connection, server: Server) -> None:
    """Nothing is converted then."""
    server.execute("CREATE DATABASE ascii ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    try:
        handles = query(
            conn,
            "SELECT h.pid, h.cookie FROM generate_series(1, 100) n, pg_background_start("
            "'SELECT ' || n || repeat('0', n % 7), label => n || 'é', database => 'ascii', "
            "on_full => 'queue') h",
        )
        listed = "SELECT min(label), left(sql_preview, 7) FROM pg_background_list GROUP BY 2"
        assert query(conn, listed) == [("100é", "SELECT ")]
        read = [result(conn, Handle(*handle), "n int") for handle in handles]
        assert read == [[(int(str(n) + "0" * (n % 7)),)] for n in range(1, 101)]
    finally:
        server.execute("DROP DATABASE ascii WITH (FORCE)")


#: One character in EUC_JIS_2004, in UTF8 two of three bytes each.
KA = "\u304b\u309a"


@pytest.fixture
def japanese(server: Server, connect: Connect) -> Iterator[Connection]:
    """A session on a database of the encoding EUC_JIS_2004."""
    server.execute("CREATE DATABASE japanese ENCODING 'EUC_JIS_2004' LOCALE 'C' TEMPLATE template0")
    try:
        conn = connect("japanese", client_encoding="UTF8")
        query(conn, "CREATE EXTENSION pg_background")
        yield conn
        conn.close()
    finally:
        server.execute("DROP DATABASE japanese WITH (FORCE)")


def test_a_label_that_grows_by_its_conversion(japanese: Connection, conn: Connection) -> None:
    """It is counted as it is kept, and nothing runs into what is beside it."""
    call = "SELECT pid, cookie FROM pg_background_start(%s, label => %s, database => %s)"
    there = conn.info.dbname
    assert value(japanese, "SELECT length(%s)", KA * 64) == 64
    found = failure(japanese, call, "SELECT 1", KA * 64, there)
    assert found[:2] == ("22001", "label too long")
    assert failure(japanese, call, "SELECT 1", KA * 32 + "a", there).sqlstate == "22001"
    listed = "SELECT label, sql_preview FROM pg_background_jobs WHERE cookie = %s"
    for label, database in ((KA * 32, there), (KA * 64, japanese.info.dbname)):
        ((pid, cookie),) = query(japanese, call, "SELECT 1", label, database)
        assert query(japanese, listed, cookie) == [(label, "SELECT 1")]
        assert query(conn, listed, cookie) == [(label, "SELECT 1")]
        assert result(japanese, Handle(pid, cookie), "a int") == [(1,)]


def test_a_preview_that_grows_by_its_conversion(japanese: Connection, conn: Connection) -> None:
    sql = f"SELECT 1 /* {KA * 120} */"
    call = "SELECT pid, cookie FROM pg_background_start(%s, label => 'kept', database => %s)"
    ((pid, cookie),) = query(japanese, call, sql, conn.info.dbname)
    listed = "SELECT label, sql_preview FROM pg_background_jobs WHERE cookie = %s"
    assert query(conn, listed, cookie) == [("kept", sql[:120])]
    assert result(conn, Handle(pid, cookie), "a int") == [(1,)]


@pytest.mark.parametrize("control", ["\x1b", "\x9b"])
def test_control_characters_in_a_label_of_each_encoding(pair: Pair, control: str) -> None:
    launcher, _ = pair
    assert failure(launcher, "SELECT pg_background_start('', label => %s)", control).sqlstate == "22023"


def test_a_control_character_is_told_by_the_encoding(connect: Connect, server: Server) -> None:
    """The same byte is a letter elsewhere; what has no encoding may become one where it is read."""
    server.execute("CREATE DATABASE windows ENCODING 'WIN1251' LOCALE 'C' TEMPLATE template0")
    try:
        conn = connect("windows", client_encoding="UTF8")
        query(conn, "CREATE EXTENSION pg_background")
        handle = launch(conn, "SELECT 'ћ'", label="ћ")
        assert query(conn, "SELECT label, sql_preview FROM pg_background_list") == [("ћ", "SELECT 'ћ'")]
        assert result(conn, handle) == [("ћ",)]
        conn.close()
    finally:
        server.execute("DROP DATABASE windows WITH (FORCE)")


def test_a_label_is_compared_in_the_encoding_of_its_reader(conn: Connection, latin: Connection) -> None:
    handle = start(conn, FOREVER, database=latin.info.dbname, label="çedille")
    assert conn.execute("SELECT pg_background_cancel_by_label('%d', 0)").fetchone() == (0,)
    assert conn.execute("SELECT pg_background_cancel_by_label('ç%', 0)").fetchone() == (1,)
    assert wait(conn, handle)


def test_texts_without_an_encoding(conn: Connection, server: Server) -> None:
    """What is text here is shown as that; a ? stands for each other byte, blanks for control characters."""
    server.execute("CREATE DATABASE bare ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    try:
        notices: list[str | None] = []
        conn.add_notice_handler(lambda diagnostic: notices.append(diagnostic.message_primary))
        raising = "RAISE {} USING MESSAGE = 'é€' || convert_from('\\xe9'::bytea, 'SQL_ASCII'), HINT = 'é'"
        job = f"DO $$ BEGIN {raising.format('NOTICE')}; {raising.format('EXCEPTION')}; END $$"
        handle = start(conn, job, database="bare", label="é")
        wait(conn, handle)
        shown = "SELECT label, last_error, pg_background_full_sql(pid, cookie) FROM pg_background_list"
        assert query(conn, shown) == [("é", "é€?", job)]
        assert value(conn, "SELECT error_message FROM pg_background_outcome(%s, %s)", *handle) == "é€?"
        assert result_failure(conn, handle) == Failure("P0001", "é€?", None, "é")
        assert notices == ["é€?"]
        handle = start(conn, 'SELECT 1 AS "é"', database="bare")
        assert value(conn, "SELECT name FROM pg_background_describe(%s, %s)", *handle) == "é"
        handle = start(conn, FOREVER, database="bare", label="é")
        assert value(conn, "SELECT pg_background_cancel_by_label('é')") == 1
        assert wait(conn, handle)
        # Of a session that does not know the encoding, C1 controls of UTF8 are bytes like others.
        bare = server.connect("bare", autocommit=True, client_encoding="SQL_ASCII")
        bare.execute("CREATE EXTENSION pg_background")
        odd = "convert_from('\\x61c29b62e963'::bytea, 'SQL_ASCII')"
        ((cookie,),) = query(bare, f"SELECT cookie FROM pg_background_launch('SELECT 1', 0, {odd})")
        assert value(conn, "SELECT label FROM pg_background_jobs WHERE cookie = %s", cookie) == "a  b?c"
        bare.close()
    finally:
        server.execute("DROP DATABASE bare WITH (FORCE)")


def test_a_channel_that_grows_by_its_conversion(latin: Connection, conn: Connection) -> None:
    """It is cut between characters, as the server cuts the name that a session listens to."""
    query(latin, f"SET pg_background.notify_channel = '{'é' * 40}'")
    conn.execute(f'LISTEN "{"é" * 40}"'.encode())
    handle = start(latin, "SELECT 1", database=conn.info.dbname)
    wait(latin, handle)
    assert [found.channel for found in conn.notifies(timeout=DEADLINE, stop_after=1)] == ["é" * 31]
