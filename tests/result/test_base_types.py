"""Base types of extensions: themselves in their own database, text in others."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ..support.calls import read_result
from ..support.fix_db import Connect, Connection
from ..support.fix_encodings import OpenIn
from ..support.jobs import Handle, launch, result, start, wait
from .test_describe import as_json, describe

#: Types of each way of passing values, with the functions of those that they are like.
LIKE = {"by_value": "int4", "one_byte": '"char"', "fixed": "uuid", "varying": "text", "zero_ended": "cstring"}
FUNCTIONS = {"int4": "int4", '"char"': "char", "uuid": "uuid_", "text": "text", "cstring": "cstring_"}
TEXTS = {
    "by_value": "42",
    "one_byte": "x",
    "fixed": "00000000-0000-0000-0000-0000000000ff",
    "varying": "a, é",
    "zero_ended": "one,two",
}
JOB = (
    "SELECT "
    + ", ".join(f"'{text}'::{type_} AS {type_}" for type_, text in TEXTS.items())
    + ", ARRAY['1'::by_value, NULL] AS a, row('2'::by_value, 'é'::varying)::two AS c,"
    " row('x'::one_byte, 'é'::varying) AS r, 'é'::over AS d, NULL::fixed AS z FROM generate_series(1, 3)"
)
AS_TEXT = (*TEXTS.values(), "{1,NULL}", "(2,é)", "(x,é)", "é", None)
COLUMNS = (*TEXTS, "a", "c", "r", "d", "z")


def make_types(conn: Connection) -> None:
    for type_, like in LIKE.items():
        function = FUNCTIONS[like]
        conn.execute(
            f"CREATE TYPE {type_};"
            f" CREATE FUNCTION {type_}_in(cstring) RETURNS {type_} LANGUAGE internal IMMUTABLE STRICT"
            f" AS '{function}in';"
            f" CREATE FUNCTION {type_}_out({type_}) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT"
            f" AS '{function}out';"
            f" CREATE TYPE {type_} (INPUT = {type_}_in, OUTPUT = {type_}_out, LIKE = {like})".encode()
        )
    conn.execute("CREATE TYPE two AS (v by_value, t varying); CREATE DOMAIN over AS varying")


@pytest.fixture
def handles(conn: Connection) -> list[Handle]:
    """Results of such types, in the test's database."""
    make_types(conn)
    made = [launch(conn, JOB) for _ in range(3)]
    for handle in made:
        wait(conn, handle)
    return made


def test_in_their_own_database(conn: Connection, handles: list[Handle]) -> None:
    """They are themselves, within others too, or text where that is declared."""
    typed, as_text, for_json = handles
    assert [row[3] for row in describe(conn, typed)] == [
        *TEXTS,
        "by_value[]",
        "two",
        "record",
        "over",
        "fixed",
    ]
    columns = ", ".join(
        f"{name} {type_}"
        for name, type_ in zip(COLUMNS, (*TEXTS, "by_value[]", "two", "record", "over", "fixed"), strict=True)
    )
    texts = ", ".join(f"r.{name}::text" for name in COLUMNS)
    assert read_result(conn, typed, columns, texts) == [AS_TEXT] * 3
    assert result(conn, as_text, ", ".join(f"{name} text" for name in COLUMNS)) == [AS_TEXT] * 3
    assert as_json(conn, for_json)[0] == {
        **TEXTS,
        "a": ["1", None],
        "c": {"v": "2", "t": "é"},
        "r": {"f1": "x", "f2": "é"},
        "d": "é",
        "z": None,
    }


def read_elsewhere(there: Connection, typed: Handle, for_json: Handle) -> None:
    assert [row[3] for row in describe(there, typed)] == [
        "text" if name != "r" else "record" for name in COLUMNS
    ]
    assert result(there, typed, ", ".join(f"{name} text" for name in COLUMNS)) == [AS_TEXT] * 3
    row = as_json(there, for_json)[0]
    assert row["a"] == ["1", None]
    assert (row["fixed"], row["d"], row["r"]) == (TEXTS["fixed"], "é", {"f1": "x", "f2": "é"})


def test_in_another_database(connect: Connect, make_db: Callable[[str], str], handles: list[Handle]) -> None:
    read_elsewhere(connect(make_db("elsewhere")), *handles[:2])


def test_in_another_encoding(open_in: OpenIn, handles: list[Handle]) -> None:
    read_elsewhere(open_in("LATIN1"), *handles[:2])


def test_of_a_job_in_another_database(
    conn: Connection, connect: Connect, make_db: Callable[[str], str]
) -> None:
    """To its launcher they are text; in their own database they are themselves all the same."""
    there = connect(make_db("elsewhere"))
    make_types(there)
    handle = start(conn, JOB, database=there.info.dbname)
    assert result(conn, handle, ", ".join(f"{name} text" for name in COLUMNS)) == [AS_TEXT] * 3
    handle = start(conn, "SELECT '42'::by_value", database=there.info.dbname)
    assert read_result(there, handle, "v by_value", "v::text") == [("42",)]


SHORT = """
CREATE TYPE short;
CREATE FUNCTION short_in(cstring, oid, int) RETURNS short LANGUAGE internal IMMUTABLE STRICT AS 'varcharin';
CREATE FUNCTION short_out(short) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'varcharout';
CREATE FUNCTION short_typmod_in(cstring[]) RETURNS int LANGUAGE internal IMMUTABLE STRICT
    AS 'varchartypmodin';
CREATE FUNCTION short_typmod_out(int) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT
    AS 'varchartypmodout';
CREATE TYPE short (INPUT = short_in, OUTPUT = short_out, TYPMOD_IN = short_typmod_in,
    TYPMOD_OUT = short_typmod_out, LIKE = varchar);
CREATE TABLE t (v short(3), a short(3)[]);
INSERT INTO t VALUES ('abc', '{abc}');
"""


def test_a_length_of_ones_own(conn: Connection) -> None:
    """It comes along, so that there is nothing to be fitted."""
    conn.execute(SHORT.encode())
    handle = launch(conn, "TABLE t")
    wait(conn, handle)
    assert [row[3] for row in describe(conn, handle)] == ["short(3)", "short(3)[]"]
    assert read_result(conn, handle, "v short(3), a short(3)[]", "v::text, a::text") == [("abc", "{abc}")]
