"""Values of types that keep text in a form of their own, read in a database of another encoding."""

from __future__ import annotations

import pytest

from ..support.calls import query, result_error, result_failure, value
from ..support.fix_encodings import OpenIn
from ..support.jobs import launch, result, wait
from .test_describe import describe

#: With é, quotes and backslashes wherever text may be; and types without text.
TYPES = {
    "jsonb": r"""'{"é": ["é\"\\", 1.50, null, true, {"é''": {}}], "ab": "é", "z": "é"}'""",
    "jsonpath": r"""'$."é"[*] ? (@."b" == "é\"" && @ like_regex "^é" flag "i")'""",
    "tsvector": r"""$$'é''\\x':1A,2,3C 'b':4B 'c' 'é' 'z':16383$$""",
    "tsquery": r"""$$!('é''\\x':*AB <-> ('b' <3> !'é':D)) & ('c' | 'd' & 'é') | !!'f' & ('g' & 'é')$$""",
    "refcursor": "'é'",
    "int4range": "'[1,2)'",
    "nummultirange": "'{[1.5,2),[3,)}'",
    "path": "'[(1,2),(3,4)]'",
    "pg_snapshot": "'1:4:2,3'",
}
COMPARABLE = ("jsonb", "tsvector", "tsquery", "int4range", "nummultirange")


@pytest.mark.parametrize(
    ("source", "target", "letter"),
    [
        ("UTF8", "LATIN1", "é"),
        ("LATIN1", "UTF8", "é"),
        ("LATIN1", "EUC_JP", "÷"),
        ("EUC_JIS_2004", "EUC_KR", "か"),
        ("SQL_ASCII", "UTF8", "é"),
    ],
)
def test_types_that_hold_text(open_in: OpenIn, source: str, target: str, letter: str) -> None:
    """What arrives is what its text means there; also in arrays, in records and as JSON."""
    here, there = open_in(source), open_in(target)
    for type_, text in TYPES.items():
        literal = f"{text.replace('é', letter)}::{type_}"
        values = f"SELECT {literal} AS v, ARRAY[{literal}, NULL] AS a, row(1, {literal}, 'x'::text) AS r"
        for_rows, for_json = launch(here, values), launch(here, values)
        wait(here, for_rows)
        wait(here, for_json)
        equal = "AND r.v = own.v" if type_ in COMPARABLE else ""
        found = query(
            there,
            f"SELECT r.v::text = own.v::text AND r.a::text = own.a::text AND r.r::text = own.r::text {equal}"
            f" FROM pg_background_result{tuple(for_rows)} AS r(v {type_}, a {type_}[], r record),"
            f" ({values}) own",
        )
        assert found == [(True,)], type_
        ((sent, own),) = query(
            there,
            f"SELECT j::text, row_to_json(own)::text FROM pg_background_result_json{tuple(for_json)} j,"
            f" ({values}) own",
        )
        assert sent == own, type_


def test_empty_and_large_values(open_in: OpenIn) -> None:
    here, there = open_in("UTF8"), open_in("LATIN1")
    job = (
        "SELECT ''::tsvector, ''::tsquery,"
        " (SELECT jsonb_object_agg(n || 'é', repeat('é', 100)) FROM generate_series(1, 5000) n),"
        " (SELECT string_agg('é' || n || ':' || n % 100 + 1, ' ')::tsvector FROM generate_series(1, 5000) n)"
    )
    handle = launch(here, job)
    wait(here, handle)
    seen = (
        "a::text || b::text, (SELECT count(*) FROM jsonb_each_text(c) WHERE key ~ 'é$'"
        " AND value = repeat('é', 100)), length(d), d @@ '''é5000'''"
    )
    read = f"SELECT {seen} FROM pg_background_result(%s, %s) AS (a tsvector, b tsquery, c jsonb, d tsvector)"
    assert query(there, read, *handle) == [("", 5000, 5000, True)]


LACKING = {"jsonb": '"€"', "tsvector": "€", "tsquery": "€", "jsonpath": '$."€"'}


@pytest.mark.parametrize("type_", LACKING)
def test_text_that_the_encoding_lacks(open_in: OpenIn, type_: str) -> None:
    here, there = open_in("UTF8"), open_in("LATIN1")
    handle = launch(here, f"SELECT '{LACKING[type_]}'::{type_}")
    wait(here, handle)
    assert result_failure(there, handle, f"v {type_}").sqlstate == "22P05"


def test_bytes_that_are_no_text_here(open_in: OpenIn) -> None:
    """Without an encoding all bytes are text; elsewhere they must be text there, whatever they are in."""
    here, there = open_in("SQL_ASCII"), open_in("UTF8")
    letter = r"convert_from('\xe9'::bytea, 'SQL_ASCII')"
    values = {
        "text": letter,
        "name": f"{letter}::name",
        "text[]": f"ARRAY[{letter}]",
        "jsonb": f"to_jsonb({letter})",
        "tsvector": f"array_to_tsvector(ARRAY[{letter}])",
        "tsquery": f"('''' || {letter} || '''')::tsquery",
        "record": f"row({letter})",
    }
    for type_, sql in values.items():
        handle = launch(here, f"SELECT {sql}")
        wait(here, handle)
        assert result_failure(there, handle, f"v {type_}").sqlstate == "22021", type_
    handle = launch(here, f"SELECT {letter}::bytea")
    wait(here, handle)
    assert result(there, handle, "v bytea") == [(b"\xe9",)]


def test_what_no_form_is_known_of(open_in: OpenIn) -> None:
    """It stays readable where it was made."""
    here, there = open_in("UTF8"), open_in("LATIN1")
    query(here, "CREATE TABLE t (a text DEFAULT 'é')")
    handle = launch(here, "SELECT adbin FROM pg_attrdef")
    wait(here, handle)
    failed = result_failure(there, handle, "v pg_node_tree")
    assert (failed.sqlstate, failed.hint) == ("42804", "Cast it to text in the job.")
    read = "SELECT v IS NULL FROM pg_background_result(%s, %s) AS (v pg_node_tree)"
    assert value(here, read, *handle) is False


@pytest.mark.parametrize("type_", ["varchar(3)", "char(3)", "varchar(3)[]", "three"])
def test_lengths_hold_in_the_readers_encoding(open_in: OpenIn, type_: str) -> None:
    """A character there may be two here."""
    here, there = open_in("UTF8"), open_in("SQL_ASCII")
    query(here, "CREATE DOMAIN three AS varchar(3)")
    handle = launch(here, f"SELECT '{{ééé}}'::{type_}" if type_.endswith("[]") else f"SELECT 'ééé'::{type_}")
    wait(here, handle)
    declared = "varchar(3)" if type_ == "three" else type_
    assert result_failure(there, handle, f"v {declared}").sqlstate == "22001"


def test_what_can_not_be_read_has_no_type_to_declare(open_in: OpenIn) -> None:
    here, there = open_in("UTF8"), open_in("LATIN1")
    handle = launch(here, "SELECT prosqlbody FROM pg_proc LIMIT 1")
    wait(here, handle)
    assert describe(there, handle) == [(1, "prosqlbody", None, None)]


def test_names_of_fields_that_the_encoding_lacks(open_in: OpenIn) -> None:
    """They make no value unreadable."""
    here, there = open_in("UTF8"), open_in("LATIN1")
    query(here, 'CREATE TABLE priced ("€" int); INSERT INTO priced VALUES (1)')
    for sql in ("SELECT p FROM priced AS p", 'SELECT x FROM (SELECT 1 AS "€") AS x'):
        handle = launch(here, sql)
        wait(here, handle)
        assert result(there, handle, "v text") == [("(1)",)]


@pytest.mark.parametrize(("source", "letter"), [("SQL_ASCII", "é"), ("EUC_JIS_2004", "か゚")])
def test_carets_are_where_they_are_here(open_in: OpenIn, source: str, letter: str) -> None:
    here, there = open_in(source), open_in("UTF8")
    sql = f"SELECT '{letter * 5}', nothing"
    handle = launch(here, sql)
    wait(here, handle)
    assert result_error(there, handle, "v text").diag.internal_position == str(sql.index("nothing") + 1)


@pytest.mark.parametrize("operator", ["&", "|"])
def test_a_query_of_many_words(open_in: OpenIn, operator: str) -> None:
    """A session reads as many; each in parentheses of its own would be too deep."""
    here, there = open_in("UTF8"), open_in("LATIN1")
    job = f"SELECT string_agg('é' || n, '{operator}')::tsquery FROM generate_series(1, 7000) AS n"
    handle = launch(here, job)
    wait(here, handle)
    read = f"SELECT r.q = ({job}) FROM pg_background_result(%s, %s) AS r(q tsquery)"
    assert query(there, read, *handle) == [(True,)]
