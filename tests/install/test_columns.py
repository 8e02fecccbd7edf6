"""The library fills the columns of rows by number: the numbers are those of the catalogue."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ..support.calls import query
from ..support.fix_db import Connection

SOURCE = Path(__file__).parents[2] / "extension" / "src" / "columns.pxd"

#: Fields of a type or view, or what a function gives by OUT parameters.
COLUMNS = """
SELECT array_agg(name::text ORDER BY number) FROM (
  SELECT attname, attnum FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0
  UNION ALL
  SELECT n, i FROM pg_proc, unnest(proargnames, proargmodes) WITH ORDINALITY AS a (n, m, i)
  WHERE proname = %s AND m IN ('o', 't')
) AS c (name, number)
"""


def enums() -> dict[str, list[str]]:
    """Return the names of each enum, by the object whose columns they are."""
    found = {}
    for text in SOURCE.read_text().split("cdef enum:")[1:]:
        (name,) = re.findall(r"^    # of (pg_background_\w+)", text, re.MULTILINE)
        found[name] = re.findall(r"^    ([A-Z]+)_([A-Z_]+)", text, re.MULTILINE)
    outcome = found["pg_background_outcome"][:-1]
    found["pg_background_run_result"] = outcome + found["pg_background_run_result"]
    return {name: [part.lower() for _, part in parts] for name, parts in found.items()}


@pytest.mark.parametrize("name", enums())
def test_columns(conn: Connection, name: str) -> None:
    ((declared,),) = query(conn, COLUMNS, name, name)
    assert [*declared, "columns"] == enums()[name]
