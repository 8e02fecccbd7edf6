"""Functions, operators, types and tables that look like others', and tell when they are run.

Casts are not among them: they are found by the types that they are for, never by a name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import product
from pathlib import Path

from .routines import Connection, routines, views
from .server import Server

SCRIPTS = "\n".join(
    path.read_text()
    for path in (Path(__file__).parents[2] / "extension/sql").glob("pg_background*--*3.0.sql")
)

#: The parts of the package that have SQL for the search_path of whoever calls.
PACKAGE = "\n".join(
    (Path(__file__).parents[2] / "src/pg_background" / name).read_text()
    for name in ("client/statements.py", "doctor/preloading.py", "cli/options/database.py")
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

#: What fits an argument that is meant for a parameter of this type, as drivers and literals give it.
_NUMBERS = ("int2", "int4", "int8", "numeric", "float8", "oid", "text", "anynonarray", "anycompatible")
_TEXTS = ("text", "varchar", "name", "bpchar", "json", "int4", "anynonarray", "anycompatible")
_OTHERS = {
    "int4": _NUMBERS,
    "int8": _NUMBERS,
    "text": _TEXTS,
    "name": _TEXTS,
    "bool": ("bool", "int2", "text", "anynonarray"),
    "text[]": ("text[]", "varchar[]", "name[]", "text", "anyarray"),
}
_MANY = ("int2[]", "int4[]", "int8[]", "numeric[]", "text[]", "anyarray")

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
    *("pg_namespace", "pg_settings", "pg_file_settings", "pg_type", "pg_stat_activity"),
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
            for left, right in product((*_TYPES, "regtype"), repeat=2)
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


def overload(conn: Connection, schema: str, declared: Mapping[str, tuple[str, ...]]) -> None:
    """Make functions that fit calls of the extension's better, but for those that give all in its very types.

    Args:
        schema: that of the extension.
        declared: the functions, with the types of their parameters.
    """
    conn.execute("SET search_path = pg_catalog; SET check_function_bodies = off")
    rows = conn.execute(
        "SELECT proname, ARRAY(SELECT typname FROM unnest(proargtypes) WITH ORDINALITY AS a(id, n)"
        "   JOIN pg_type t ON t.oid = a.id ORDER BY n), pg_get_function_result(oid)"
        " FROM pg_proc WHERE pronamespace = %s::regnamespace",
        [schema],
    )
    results = {(name, tuple(types)): result for name, types, result in rows}
    made = [
        f"CREATE FUNCTION {schema}.{name}({', '.join(parameters)}) RETURNS {results[name, _types(types)]}"
        " LANGUAGE plpgsql AS 'BEGIN PERFORM lookalikes.caught(); END';"
        for name, types in declared.items()
        for other, parameters in _other_parameters(types).items()
        if (name, other) not in results
    ]
    conn.execute("\n".join(made).encode())
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


def _other_parameters(declared: tuple[str, ...]) -> dict[tuple[str, ...], list[str]]:
    """Return lists of parameters, by their types, that fit calls which are meant for these."""
    others = [_OTHERS[type_name] for type_name in declared]
    lists: list[list[str]] = [[*declared[:n]] for n in range(len(declared))]
    if len(declared) <= 3:
        lists += map(list, product(*others))
    else:
        lists += [
            [*declared[:n], other, *declared[n + 1 :]] for n in range(len(declared)) for other in others[n]
        ]
    lists += [[*declared[:n], f"VARIADIC {kind}"] for n in range(len(declared)) for kind in _MANY]
    return {_types(parameters): parameters for parameters in lists}


def _types(parameters: Iterable[str]) -> tuple[str, ...]:
    """Return the types as pg_type calls them."""
    plain = (parameter.removeprefix("VARIADIC ") for parameter in parameters)
    return tuple(f"_{name[:-2]}" if name.endswith("[]") else name for name in plain)


def _used(conn: Connection) -> list[str]:
    """The server's functions that the scripts call, the views and the package."""
    called = {*re.findall(r"\b([a-z_]+)\(", SCRIPTS + PACKAGE)} - {"text", "name"}
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
