"""The reference as its pages have it, and the objects of the extension as the catalogue has them."""

from __future__ import annotations

import re
from typing import NamedTuple

from .fix_db import Connection
from .pages import DOCS, blocks

PAGES = sorted((DOCS / "reference").glob("*.md"))

_MARKER = "before PostgreSQL 16: "

#: Each with its signature, as the pages write it; a type of a view's or table's row is no object of its own.
_OBJECTS = """
SELECT p.proname, 'CALL ' || p.proname || '(' || pg_get_function_arguments(p.oid) || ')'
FROM pg_proc AS p JOIN members ON class = 'pg_proc'::regclass AND object = p.oid AND p.prokind = 'p'
UNION ALL
SELECT p.proname,
  p.proname || '(' || pg_get_function_arguments(p.oid) || ') → ' || pg_get_function_result(p.oid)
FROM pg_proc AS p JOIN members ON class = 'pg_proc'::regclass AND object = p.oid AND p.prokind = 'f'
UNION ALL
SELECT c.relname, CASE c.relkind WHEN 'v' THEN 'VIEW ' ELSE 'TYPE ' END || c.relname || ' ('
  || string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum) || ')'
FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0
LEFT JOIN pg_type AS t ON t.typrelid = c.oid
JOIN members ON (class = 'pg_class'::regclass AND object = c.oid AND c.relkind = 'v')
  OR (class = 'pg_type'::regclass AND object = t.oid AND c.relkind = 'c')
GROUP BY c.relname, c.relkind
"""
_MEMBERS = """
WITH members (class, object) AS (
  SELECT d.classid, d.objid FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid
  WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = %s)
"""


class Section(NamedTuple):
    """What stands under a heading that names objects."""

    page: str
    title: str
    names: list[str]
    signatures: list[str]
    text: str

    @property
    def example(self) -> str:
        """Its SQL, empty when there is none."""
        return "\n".join(blocks(self.text, "sql"))


def sections(major: int) -> list[Section]:
    """Return all sections, with the signatures that a major version of PostgreSQL has."""
    found = []
    for page in PAGES:
        for title, text in re.findall(
            r"^## ([^\n]*)\n(.*?)(?=^## |\Z)", page.read_text(), re.MULTILINE | re.DOTALL
        ):
            if names := re.findall(r"\b(?:pg_background|grant_pg|revoke_pg)_\w+", title):
                signatures = [line for block in blocks(text, "text") for line in _statements(block)]
                kept = [
                    line.removeprefix(_MARKER)
                    for line in signatures
                    if major < 16 or not line.startswith(_MARKER)
                ]
                found.append(Section(page.name, title, names, kept, text))
    return found


def internal() -> set[str]:
    """Return the names of functions that the index page says are internal."""
    index = (DOCS / "reference" / "README.md").read_text()
    return set(re.findall(r"^\| `(\w+)` \| internal", index, re.MULTILINE))


def objects(conn: Connection, extension: str = "pg_background") -> dict[str, set[str]]:
    """Return the signatures of each name of a function, view or type of the extension."""
    made: dict[str, set[str]] = {}
    # Constants need no cast to be read.
    for name, signature in conn.execute((_MEMBERS + _OBJECTS).encode(), [extension]):
        made.setdefault(name, set()).add(re.sub(r"::\w+(\[\])?", "", signature))
    return made


def _statements(block: str) -> list[str]:
    """Put together what is continued on indented lines."""
    return re.sub(r"\n\s+", " ", block).splitlines()
