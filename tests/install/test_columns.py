"""The library fills columns by number: numbers and types are those of the catalogue, or a call fails."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pg_background.server import Build
from tools.update_scripts import RELEASES

from ..support.calls import failure, query, value
from ..support.fix_db import Connection

EXTENSION = Path(__file__).parents[2] / "extension"

SOURCE = EXTENSION / "src" / "columns.pxd"

VERSION = RELEASES[0].target

#: What the letters stand for.
LETTERS = {
    "4": "integer",
    "8": "bigint",
    "b": "boolean",
    "d": "double precision",
    "o": "oid",
    "r": "regtype",
    "t": "text",
    "z": "timestamp with time zone",
}

#: Fields of a type or view, or what a function gives by OUT parameters.
COLUMNS = """
SELECT name::text, format_type(type, NULL) FROM (
  SELECT attname, atttypid, attnum FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0
  UNION ALL
  SELECT n, t, i FROM pg_proc,
    unnest(proargnames, proargmodes, proallargtypes) WITH ORDINALITY AS a (n, m, t, i)
  WHERE proname = %s AND m IN ('o', 't')
) AS c (name, type, number)
ORDER BY number
"""

#: Calls of what returns rows of a fixed shape, by the C function and what it returns.
CALLS = {
    "pgbg_launch": ("pg_background_handle", "(sql text, queue_size int4)", "('SELECT 1', 0)"),
    "pgbg_submit": ("pg_background_handle", "(sql text, queue_size int4)", "('SELECT 1', 0)"),
    "pgbg_stats": ("pg_background_stats", "()", "()"),
    "pgbg_get_progress": ("pg_background_progress_info", "(pid int4, cookie int8)", "{job}"),
    "pgbg_result_info": ("pg_background_result_info", "(pid int4, cookie int8)", "{job}"),
    "pgbg_error_info": ("pg_background_error", "(pid int4, cookie int8)", "{failed}"),
    "pgbg_outcome": ("pg_background_outcome", "(pid int4, cookie int8)", "{job}"),
    "pgbg_run": (
        "pg_background_run_result",
        "(sql text, queue_size int4, timeout_ms int4, label text)",
        "('SELECT 1', 0, 0, 'not strict')",
    ),
    "pgbg_drain": (
        "pg_background_outcome",
        "(handles pg_background_handle[], timeout_ms int4)",
        "({jobs}, 0)",
    ),
    "pgbg_wait_any": (
        "pg_background_handle",
        "(handles pg_background_handle[], timeout_ms int4)",
        "({jobs}, 0)",
    ),
    "pgbg_jobs": ("pg_background_all_jobs", "()", "()"),
    "pgbg_registry": ("pg_background_registry", "()", "()"),
    "pgbg_describe": ("pg_background_describe", "(pid int4, cookie int8)", "{job}"),
    "pgbg_totals": ("pg_background_all_totals", "()", "()"),
    "pgbg_histograms": ("pg_background_all_histograms", "()", "()"),
    "pgbg_resources": ("pg_background_all_resources", "()", "()"),
    "pgbg_waits": ("pg_background_all_waits", "()", "()"),
    "pgbg_usage": ("pg_background_all_usage", "()", "()"),
    "pgbg_job_waits": ("pg_background_job_waits", "()", "()"),
    "pgbg_drain_server": ("pg_background_drain_server", "(timeout_ms int4)", "(1)"),
}


def enums() -> dict[str, list[str]]:
    """Return the names of each enum, by the object whose columns they are."""
    found = {}
    for text in SOURCE.read_text().split("cdef enum:")[1:]:
        (name,) = re.findall(r"^    # of (pg_background_\w+)", text, re.MULTILINE)
        found[name] = re.findall(r"^    ([A-Z]+)_([A-Z_]+)", text, re.MULTILINE)
    outcome = found["pg_background_outcome"][:-1]
    found["pg_background_run_result"] = outcome + found["pg_background_run_result"]
    return {name: [part.lower() for _, part in parts] for name, parts in found.items()}


def shapes() -> dict[str, list[str]]:
    """Return the types of the columns likewise."""
    found = {}
    for text in SOURCE.read_text().split("cdef enum:")[1:]:
        (name,) = re.findall(r"^    # of (pg_background_\w+)", text, re.MULTILINE)
        # Those of the list are the caller's, and checked there.
        for letters in re.findall(r'_types\(\) noexcept nogil:\n    return b"(\w+)"', text):
            found[name] = [LETTERS[letter] for letter in letters]
    return found


@pytest.mark.parametrize("name", enums())
def test_columns(conn: Connection, name: str) -> None:
    declared = query(conn, COLUMNS, name, name)
    assert [*(column for column, _ in declared), "columns"] == enums()[name]
    types = [type_ for _, type_ in declared]
    assert shapes().get(name, types) == types


def test_each_shape_is_tried() -> None:
    assert {name for name, *_ in CALLS.values()} == shapes().keys()


@pytest.mark.parametrize("symbol", CALLS)
def test_a_catalogue_of_another_version(conn: Connection, symbol: str) -> None:
    """One column fewer is an older version's; what the library does not know is an error, and nothing ran."""
    name, parameters, arguments = CALLS[symbol]
    query(conn, "CREATE TEMP TABLE job AS SELECT * FROM pg_background_launch('SELECT 1')")
    query(conn, "CREATE TEMP TABLE failed AS SELECT * FROM pg_background_launch('SELECT 1/0')")
    query(conn, "SELECT pg_background_wait(pid, cookie) FROM (TABLE job UNION ALL TABLE failed) AS j")
    arguments = arguments.format(
        job="((SELECT pid FROM job), (SELECT cookie FROM job))",
        failed="((SELECT pid FROM failed), (SELECT cookie FROM failed))",
        jobs="ARRAY(SELECT ROW(j.pid, j.cookie)::pg_background_handle FROM job AS j)",
    )
    types = shapes()[name]
    several = value(
        conn, "SELECT bool_or(proretset) FROM pg_proc WHERE prosrc = %s AND pronamespace <> 11", symbol
    )

    def call(columns: list[str]) -> str:
        fields = ", ".join(f"c{i} {type_}" for i, type_ in enumerate(columns))
        query(
            conn,
            "DROP FUNCTION IF EXISTS other_version; DROP TYPE IF EXISTS other_row;"
            f" CREATE TYPE other_row AS ({fields});"
            f" CREATE FUNCTION other_version{parameters} RETURNS {'SETOF ' if several else ''}other_row"
            f" AS '$libdir/pg_background', '{symbol}' LANGUAGE C",
        )
        return f"SELECT * FROM other_version{arguments}"

    jobs = "SELECT count(*) FROM pg_background_all_jobs()"
    before = value(conn, jobs)
    for wrong in ([*types, "integer"], ["json", *types[1:]], [*types[1:], types[0]]):
        if wrong != types:
            found = failure(conn, call(wrong))
            assert found[:2] == (
                "55000",
                "the library of pg_background does not fit the extension in this database",
            )
            assert found.detail == f"The server runs the library of version {VERSION}."
    assert value(conn, jobs) == before
    if len(types) > 1:
        assert all(len(row) == len(types) - 1 for row in query(conn, call(types[:-1])))
    query(conn, "SELECT pg_background_resume_server()")


def test_versions_agree(extension: Build) -> None:
    """Of the control files, of what their install scripts need, and of the library."""
    for control in extension.controls:
        assert f"default_version = '{VERSION}'" in control.read_text()
        install = EXTENSION / "sql" / f"{control.stem}--{VERSION}.sql"
        assert f"needed text := '{VERSION}'" in install.read_text()
    assert f'return b"{VERSION}"' in SOURCE.read_text()
    assert f"version: '{VERSION}'" in (EXTENSION / "meson.build").read_text()
    assert {release.target for release in RELEASES} == {VERSION}
