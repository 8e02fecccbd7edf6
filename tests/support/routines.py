"""The extension's functions and views as the catalog has them, and calls of them with every name in full."""

from __future__ import annotations

from typing import Any, NamedTuple

import psycopg
from psycopg import sql

Connection = psycopg.Connection[tuple[Any, ...]]

#: Where the members of the extension are, by their pg_depend.
MEMBERS = """
FROM pg_catalog.pg_depend AS d
JOIN pg_catalog.pg_extension AS e ON e.oid = d.refobjid AND e.extname = 'pg_background'
"""

_ROUTINES = f"""
SELECT pg_catalog.quote_ident(n.nspname), p.proname::pg_catalog.text, p.prosrc, p.prokind = 'p',
  p.prorettype = 'record'::pg_catalog.regtype AND p.proallargtypes IS NULL AND p.prokind = 'f',
  ARRAY(SELECT pg_catalog.format_type(t, NULL) FROM pg_catalog.unnest(p.proargtypes) AS t),
  COALESCE(p.proargnames[1:p.pronargs], '{{}}')
{MEMBERS}
JOIN pg_catalog.pg_proc AS p ON p.oid = d.objid
JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
WHERE d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
  AND d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.deptype = 'e'
ORDER BY p.oid
"""

_VIEWS = f"""
SELECT c.oid::pg_catalog.regclass::pg_catalog.text, c.relname::pg_catalog.text
{MEMBERS}
JOIN pg_catalog.pg_class AS c ON c.oid = d.objid AND c.relkind = 'v'
WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype = 'e'
ORDER BY c.relname
"""


class Routine(NamedTuple):
    """A function or procedure of the extension."""

    schema: str
    name: str
    symbol: str
    is_procedure: bool
    needs_columns: bool
    types: tuple[str, ...]
    arguments: tuple[str, ...]

    @property
    def takes_handle(self) -> bool:
        """Whether it acts on jobs that its caller names."""
        return bool({"pid", "p_pid", "handle", "handles"} & set(self.arguments))

    def __str__(self) -> str:
        return f"{self.name}({', '.join(self.types)})"

    def call(self, columns: str = "value pg_catalog.text", **values: object) -> str:
        """Return a statement that calls it, in any schema and under any search_path.

        Args:
            values: of the arguments, by name; those of `handle` and `handles` are made of `pid` and `cookie`.
        """
        arguments = ", ".join(
            self._argument(name, type_name, values)
            for name, type_name in zip(self.arguments, self.types, strict=True)
        )
        called = f"{self.schema}.{self.name}({arguments})"
        if self.is_procedure:
            return f"CALL {called}"
        return f"SELECT * FROM {called}" + (f" AS ({columns})" if self.needs_columns else "")

    def _argument(self, name: str, type_name: str, values: dict[str, object]) -> str:
        kind = f"{self.schema}.pg_background_handle"
        one = "ROW({pid}, {cookie})".format(**values) if "pid" in values else "NULL"
        if name == "handle":
            return f"{one}::{kind}"
        if name == "handles":
            return f"ARRAY[{one}]::{kind}[]"
        if type_name == "anyelement":
            return "NULL::pg_catalog.text"
        value = values.get(name.removeprefix("p_"))
        literal = "NULL" if value is None else sql.Literal(str(value)).as_string(None)
        return f"{literal}::pg_catalog.{_plain(type_name)}"


def _plain(type_name: str) -> str:
    """The name in pg_type of a type that SQL knows by another."""
    return {
        "integer": "int4",
        "bigint": "int8",
        "boolean": "bool",
        "double precision": "float8",
    }.get(type_name, type_name)


def routines(conn: Connection) -> list[Routine]:
    """Return the extension's functions and procedures."""
    return [
        Routine(schema, name, symbol, is_procedure, needs_columns, tuple(types), tuple(arguments))
        for schema, name, symbol, is_procedure, needs_columns, types, arguments in conn.execute(
            _ROUTINES.encode()
        )
    ]


def views(conn: Connection) -> dict[str, str]:
    """Return the extension's views: their names as this session writes them, by their plain names."""
    return {plain: written for written, plain in conn.execute(_VIEWS.encode()).fetchall()}
