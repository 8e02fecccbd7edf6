"""Functions, operators, types and tables that look like others', and tell when they are run.

Casts are not among them: they are found by the types that they are for, never by a name.
"""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

from .routines import Connection, routines, views
from .server import Server

SCRIPTS = "\n".join(
    path.read_text() for path in (Path(__file__).parents[1] / "extension/sql").glob("pg_background--*3.0.sql")
)

#: What each of them says in the server's log, before it raises.
CAUGHT = "a look-alike was run"

#: What the arguments of look-alikes are of: whatever the server's own take, these fit better.
_TYPES = ("text", "name", "oid", "int4", "int8", "bool", '"char"', "regclass", "regprocedure")

_LISTS = [
    *([first, *rest] for size in range(2) for first in _TYPES for rest in product(_TYPES, repeat=size)),
    *(["text", *rest] for rest in product(("text", "int4", "bool", "name"), repeat=2)),
    *(["text"] * size for size in range(4, 8)),
]

#: The extension's own functions that its scripts call with arguments, and what those are declared as.
_OWN = {
    "pg_background_change_privileges": ("text", "text", "bool"),
    "pg_background_grant_privileges": ("text", "bool"),
    "pg_background_worker_pid": ("int4", "int8"),
}

_OPERATORS = ("=", "<>", ">=", "<", "||", "~", "!~", "~~", "+", "-")

_DOMAINS = (
    *(name for name in _TYPES if name != '"char"'),
    *("json", "jsonb", "float8", "regtype", "timestamptz"),
)

_RELATIONS = (
    *(
        "pg_roles",
        "pg_authid",
        "pg_database",
        "pg_extension",
        "pg_depend",
        "pg_shdepend",
        "pg_proc",
        "pg_class",
    ),
    *("pg_namespace", "pg_settings", "pg_stat_activity"),
)


def set_up(conn: Connection) -> None:
    """Make what all look-alikes do, once for a database."""
    conn.execute(
        "CREATE SCHEMA lookalikes; GRANT USAGE ON SCHEMA lookalikes TO PUBLIC;"
        "CREATE FUNCTION lookalikes.caught() RETURNS pg_catalog.bool LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE LOG '{CAUGHT}'; RAISE '{CAUGHT}'; END $$"
    )


def plant(conn: Connection, schema: str, *, extension: str = "", beside_extension: bool = False) -> None:
    """Fill a schema, which comes before the server's own in some search_path.

    Args:
        schema: pg_temp too, where neither functions nor operators are looked for.
        extension: the schema of the extension, to make look-alikes of its functions and views too.
        beside_extension: leave out what the extension's script must be free to make there.
    """
    # Else those that are there already would be run here.
    conn.execute("SET search_path = pg_catalog")
    made = [_domain(schema, name) for name in _DOMAINS]
    if not beside_extension:
        made += [_relation(schema, name) for name in (*_RELATIONS, *(views(conn) if extension else ()))]
        made.append(_domain(schema, "pg_background_handle"))
    if schema != "pg_temp":
        made += [_function(schema, name, types) for name in _used(conn) for types in _LISTS]
        made += [
            _operator(schema, name, left, right)
            for name in _OPERATORS
            for left, right in product(_TYPES, repeat=2)
        ]
    if beside_extension:
        made += [
            _function(schema, name, [*types])
            for name, declared in _OWN.items()
            for size in range(1, len(declared) + 1)
            for types in product(dict.fromkeys((*declared, "name")), repeat=size)
            if types != declared
        ]
    if extension and schema != "pg_temp":
        made += [
            _function(schema, routine.name, [f"pg_catalog.{name}" for name in ("int4", "int8")])
            for routine in routines(conn)
            if routine.types[:2] == ("integer", "bigint")
        ]
    body = "\n".join(dict.fromkeys(made)).replace("%", "%%")
    conn.execute("SET check_function_bodies = off")
    conn.execute(body.encode())
    conn.execute("RESET search_path; RESET check_function_bodies")


def plant_twins(conn: Connection) -> None:
    """Fill public with what fits just as well as others', but comes after them in a search_path.

    What would depend on the extension's types is left out: it would keep tests from dropping the extension.
    """
    conn.execute("SET search_path = pg_catalog")
    rows = conn.execute(
        "SELECT p.proname, "
        "   array_to_string(ARRAY(SELECT format_type(t, NULL) FROM unnest(p.proargtypes) AS t), ', ')"
        " FROM pg_proc AS p"
        " WHERE (p.pronamespace = 'pg_catalog'::regnamespace AND p.proname = ANY (%s)"
        "   OR p.proname LIKE 'pg\\_background%%') AND p.prokind = 'f' AND p.provariadic = 0"
        "   AND NOT p.proargtypes::oid[] && ARRAY(SELECT oid FROM pg_type"
        "     WHERE typtype = 'p' OR typnamespace <> 'pg_catalog'::regnamespace)"
        "   AND p.pronamespace <> 'public'::regnamespace",
        [_used(conn)],
    ).fetchall()
    made = [
        f"CREATE FUNCTION public.{name}({arguments}) RETURNS text"
        " LANGUAGE sql AS 'SELECT lookalikes.caught()::text';"
        for name, arguments in rows
    ]
    made += [_operator("public", name, kind, kind) for name in _OPERATORS[:4] for kind in _TYPES]
    made += [_domain("public", name) for name in _DOMAINS]
    made += [_relation("public", name) for name in (*_RELATIONS, *views(conn))]
    conn.execute("SET check_function_bodies = off")
    conn.execute("\n".join(made).encode())


def _used(conn: Connection) -> list[str]:
    """The server's functions that the scripts call, and that the views do."""
    called = {*re.findall(r"\b([a-z_]+)\(", SCRIPTS)} - {"text", "name"}
    rows = conn.execute(
        "SELECT DISTINCT proname::text FROM pg_catalog.pg_proc"
        " WHERE pronamespace = 'pg_catalog'::pg_catalog.regnamespace AND proname = ANY (%s)",
        [[*called]],
    )
    return [name for (name,) in rows]


def assert_none_ran(server: Server, mark: int) -> None:
    """Fail if one was run since."""
    assert CAUGHT not in server.log.since(mark)


def _function(schema: str, name: str, types: list[str]) -> str:
    return (
        f'CREATE OR REPLACE FUNCTION {schema}."{name}"({", ".join(types)}) RETURNS pg_catalog.text'
        " LANGUAGE sql AS 'SELECT lookalikes.caught()::pg_catalog.text';"
    )


def _operator(schema: str, name: str, left: str, right: str) -> str:
    return (
        f"CREATE OR REPLACE FUNCTION {schema}.compare({left}, {right})"
        " RETURNS pg_catalog.bool LANGUAGE sql AS 'SELECT lookalikes.caught()';"
        f"CREATE OPERATOR {schema}.{name} (LEFTARG = {left}, RIGHTARG = {right},"
        f" FUNCTION = {schema}.compare);"
    )


def _domain(schema: str, name: str) -> str:
    return f"CREATE DOMAIN {schema}.{name} AS pg_catalog.text CHECK (lookalikes.caught());"


def _relation(schema: str, name: str) -> str:
    return f"CREATE VIEW {schema}.{name} AS SELECT lookalikes.caught() AS oid;"
