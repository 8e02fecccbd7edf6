"""Jobs in another database than their launcher's, and results read in another than the job's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

import pytest
from psycopg import errors

from ..result.test_describe import as_json, describe
from ..support.fix_db import Connect, MakeRole
from ..support.jobs import Connection, detach, launch, progress, result, run, start, wait
from ..support.server import Server
from ..support.waiting import wait_until

_numbers = count(1)


@pytest.fixture
def other(make_db: Callable[[str], str]) -> str:
    """Another database, which has the extension too."""
    return make_db("other")


@pytest.fixture
def latin1(server: Server) -> Iterator[str]:
    """Another database, in another encoding, without the extension."""
    name = f"latin1_{next(_numbers)}"
    server.execute(f"CREATE DATABASE {name} ENCODING LATIN1 LOCALE 'C' TEMPLATE template0")
    yield name
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_the_job_runs_there(conn: Connection, other: str, connect: Connect) -> None:
    handle = start(conn, "CREATE TABLE made AS SELECT current_database()::text AS name", database=other)
    assert result(conn, handle) == [("SELECT 1",)]
    assert connect(other).execute("SELECT name FROM made").fetchall() == [(other,)]


def test_the_extension_is_not_needed_there(conn: Connection) -> None:
    handle = start(conn, "SELECT current_database()::text", database="template1")
    assert result(conn, handle) == [("template1",)]


def test_rows_of_built_in_types_come_as_they_are_and_others_as_text(
    conn: Connection, other: str, connect: Connect
) -> None:
    there = connect(other)
    there.execute(
        "CREATE TYPE mood AS ENUM ('fine'); CREATE DOMAIN small AS int; CREATE TABLE t (a int, b text)"
    )
    there.execute("INSERT INTO t VALUES (1, 'x')")
    job = "SELECT 1, now() > '2020-01-01', ARRAY['a', 'b'], 'fine'::mood, 7::small, t, ARRAY[t] FROM t"
    columns = "a int, b bool, c text[], d text, e text, f text, g text"
    expected = [(1, True, ["a", "b"], "fine", "7", "(1,x)", '{"(1,x)"}')]
    assert result(conn, start(conn, job, database=other), columns) == expected
    handle = start(conn, job, database=other)
    assert [type_name for _, _, type_name, _ in describe(conn, handle)] == [
        "integer",
        "boolean",
        "text[]",
        "text",
        "text",
        "text",
        "text",
    ]
    detach(conn, handle)


REFERENCES = {
    "regclass": "'t'::regclass",
    "regtype": "'mood'::regtype",
    "regproc": "'f'::regproc",
    "regprocedure": "'f(int)'::regprocedure",
    "regrole": "'postgres'::regrole",
    "regnamespace": "'public'::regnamespace",
    "regclass[]": "ARRAY['t'::regclass, NULL, 0]",
}


def test_what_refers_to_the_catalogue_comes_as_names(conn: Connection, other: str, connect: Connect) -> None:
    """In its own database it is what it was, also after the object got another name."""
    there = connect(other)
    there.execute(
        "CREATE TABLE t (); CREATE TYPE mood AS ENUM (); CREATE FUNCTION f(int) RETURNS int LANGUAGE sql"
        " AS 'SELECT 1'"
    )
    job = f"SELECT {', '.join(REFERENCES.values())}, row('t'::regclass)"
    names = ("t", "mood", "f", "f(integer)", "postgres", "public", "{t,NULL,-}", "(t)")
    texts = ", ".join(f"c{n} text" for n in range(len(names)))
    for handle in (start(conn, job, database=other), launch(there, job), start(conn, job, database=other)):
        wait(conn, handle)
        assert {row[3] for row in describe(conn, handle)[:-1]} == {"text"}
    assert result(conn, handle, texts) == [names]
    (row,) = as_json(conn, launch(there, f"SELECT {REFERENCES['regclass']} AS c, ARRAY['t'::regclass] AS cs"))
    assert row == {"c": "t", "cs": ["t"]}
    handle = launch(there, job)
    wait(there, handle)
    there.execute("ALTER TABLE t RENAME TO renamed")
    columns = ", ".join(f"c{n} {type_}" for n, type_ in enumerate(REFERENCES))
    read = f"pg_background_result(%s, %s) AS ({columns}, r record)"
    sql = f"SELECT c0::text, c6::text, to_json(r)->>'f1' FROM {read}"
    assert there.execute(sql.encode(), handle).fetchall() == [("renamed", "{renamed,NULL,-}", "renamed")]


def test_settings_go_along(conn: Connection, other: str) -> None:
    conn.execute("SET work_mem = '5MB'")
    conn.execute("SET my.own = 'mine'")
    handle = start(conn, "SELECT current_setting('work_mem'), current_setting('my.own')", database=other)
    assert result(conn, handle, "a text, b text") == [("5MB", "mine")]


def test_no_such_database(conn: Connection) -> None:
    with pytest.raises(errors.InvalidCatalogName, match='"nowhere" does not exist'):
        start(conn, "SELECT 1", database="nowhere")


def test_a_database_without_connections(conn: Connection) -> None:
    with pytest.raises(errors.ObjectNotInPrerequisiteState, match="not currently accepting connections"):
        start(conn, "SELECT 1", database="template0")


def test_who_may_not_connect(conn: Connection, connect: Connect, make_role: MakeRole, other: str) -> None:
    conn.execute(f"REVOKE CONNECT ON DATABASE {other} FROM PUBLIC".encode())
    role = make_role(member_of=("pgbackground_role",))
    theirs = connect(user=role)
    with pytest.raises(errors.InsufficientPrivilege, match=f'permission denied for database "{other}"'):
        start(theirs, "SELECT 1", database=other)
    conn.execute(f"GRANT CONNECT ON DATABASE {other} TO {role}".encode())
    handle = start(theirs, "SELECT current_user::text", database=other)
    assert result(theirs, handle) == [(role,)]
    # Nor as a role that may not, whoever the session's user is.
    poor = make_role("NOLOGIN", member_of=("pgbackground_role",))
    conn.execute(f"SET ROLE {poor}".encode())
    with pytest.raises(errors.InsufficientPrivilege, match="permission denied for database"):
        start(conn, "SELECT 1", database=other)
    conn.execute("RESET ROLE")


def test_a_result_may_be_read_in_any_database(conn: Connection, other: str, connect: Connect) -> None:
    handle = launch(conn, "SELECT 1, 'x'::text")
    assert result(connect(other), handle, "a int, b text") == [(1, "x")]


# ---- encodings


def test_sql_parameters_and_rows_are_converted(conn: Connection, latin1: str) -> None:
    conn.execute("SELECT 1")
    handle = start(
        conn,
        "SELECT 'é'::text, $1::varchar(5), getdatabaseencoding()::text, octet_length('é'), 'é'::name",
        params=["ü"],
        label="çedille",
        database=latin1,
    )
    wait(conn, handle)
    row = conn.execute("SELECT label, sql_preview FROM pg_background_list WHERE cookie = %s", [handle.cookie])
    label, preview = row.fetchone() or ("", "")
    assert label == "çedille"
    assert preview.startswith("SELECT 'é'::text")
    assert result(conn, handle, "a text, b varchar, c text, d int, e name") == [("é", "ü", "LATIN1", 1, "é")]


def test_settings_are_converted(conn: Connection, latin1: str, connect: Connect) -> None:
    conn.execute("SET my.word = 'é'; SET my.plain = 'e'")
    seen = "SELECT octet_length(current_setting('my.word')), current_setting('my.word')"
    handle = start(conn, seen, database=latin1)
    assert result(conn, handle, "n int, t text") == [(1, "é")]
    there = connect(latin1, client_encoding="utf8")
    there.execute("CREATE EXTENSION pg_background")
    there.execute("SET my.word = 'é'")
    handle = start(there, f"{seen}, length(current_setting('my.word'))", database=conn.info.dbname)
    assert result(there, handle, "n int, t text, l int") == [(2, "é", 1)]


def test_a_setting_that_the_other_encoding_lacks(conn: Connection, latin1: str) -> None:
    conn.execute("SET my.word = '€'")
    with pytest.raises(errors.UntranslatableCharacter):
        start(conn, "SELECT 1", database=latin1)
    conn.execute("RESET my.word")
    assert result(conn, start(conn, "SELECT 1", database=latin1), "n int") == [(1,)]


def test_json_from_another_encoding(conn: Connection, latin1: str) -> None:
    handle = start(conn, "SELECT 1 AS n, 'é'::text AS t", database=latin1)
    assert as_json(conn, handle) == [{"n": 1, "t": "é"}]


def test_jsonb_from_another_encoding(conn: Connection, latin1: str) -> None:
    handle = start(conn, "SELECT jsonb_build_array('é')", database=latin1)
    assert result(conn, handle, "a jsonb") == [(["é"],)]


def test_sql_that_the_other_encoding_lacks(conn: Connection, latin1: str) -> None:
    with pytest.raises(errors.UntranslatableCharacter):
        start(conn, "SELECT '€'", database=latin1)


def test_errors_notices_and_progress_are_converted(conn: Connection, latin1: str) -> None:
    notices: list[str | None] = []
    conn.add_notice_handler(lambda diag: notices.append(diag.message_primary))
    job = "DO $$ BEGIN RAISE NOTICE 'naïve'; RAISE EXCEPTION 'grüße' USING DETAIL = 'ß', HINT = 'ö'; END $$"
    handle = start(conn, job, database=latin1)
    wait(conn, handle)
    row = conn.execute(
        "SELECT last_error FROM pg_background_list WHERE cookie = %s", [handle.cookie]
    ).fetchone()
    assert row == ("grüße",)
    row = conn.execute("SELECT error_message FROM pg_background_outcome(%s, %s)", handle).fetchone()
    assert row == ("grüße",)
    row = conn.execute(
        "SELECT message, detail, hint FROM pg_background_error_info(%s, %s)", handle
    ).fetchone()
    assert row == ("grüße", "ß", "ö")
    row = conn.execute("SELECT pg_background_full_sql(%s, %s)", handle).fetchone()
    assert row == (job,)
    with pytest.raises(errors.RaiseException, match="grüße") as caught:
        result(conn, handle)
    assert (caught.value.diag.message_detail, caught.value.diag.message_hint) == ("ß", "ö")
    assert notices == ["naïve"]


def test_progress_in_another_encoding(conn: Connection, latin1: str, connect: Connect) -> None:
    connect(latin1).execute("CREATE EXTENSION pg_background")
    handle = start(conn, "SELECT pg_background_progress(1, 'é'), pg_sleep(3600)", database=latin1)
    wait_until(lambda: progress(conn, handle) == (1, "é"))
    conn.execute("SELECT pg_background_cancel(%s, %s)", handle)


def test_a_reader_in_a_poorer_encoding(connect: Connect, latin1: str) -> None:
    rich = connect()
    connect(latin1).execute("CREATE EXTENSION pg_background")
    poor = connect(latin1, client_encoding="utf8")
    handle = launch(rich, "SELECT 'é', '€'::text; ", label="€1")
    with pytest.raises(errors.DatatypeMismatch):
        result(poor, handle, "a int")
    # A label is shown as well as it can be, a value must be right.
    row = poor.execute("SELECT label FROM pg_background_jobs WHERE cookie = %s", [handle.cookie]).fetchone()
    assert row == ("?1",)
    with pytest.raises(errors.UntranslatableCharacter):
        result(poor, handle, "a text, b text")
    assert run(rich, "SELECT 1", "n int") == [(1,)]
