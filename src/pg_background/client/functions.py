"""Calls of the extension's functions that can mean no others.

Whoever may create in the extension's schema can make functions there that have our names and fit a call
better; they would run with the caller's rights. No function fits better than one that is given all of its
parameters in the very types that it declares. So calls give them all, defaults too, and cast each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from psycopg import sql

if TYPE_CHECKING:
    from typing import LiteralString

_HANDLE = ("int4", "int8")

#: What this package calls, with the types of the parameters as they are declared; all are of pg_catalog.
DECLARED: Mapping[str, tuple[LiteralString, ...]] = {
    "pg_background_start": (
        *("text", "text[]", "text", "int4", "int4"),
        *("name", "bool", "bool", "text"),
    ),
    "pg_background_launch": ("text", "int4", "text"),
    "pg_background_outcome": _HANDLE,
    "pg_background_wait": (*_HANDLE, "int4"),
    "pg_background_get_progress": _HANDLE,
    "pg_background_describe": _HANDLE,
    "pg_background_result": _HANDLE,
    "pg_background_result_info": _HANDLE,
    "pg_background_result_json": _HANDLE,
    "pg_background_error_info": _HANDLE,
    "pg_background_full_sql": _HANDLE,
    "pg_background_cancel": (*_HANDLE, "int4"),
    "pg_background_detach": _HANDLE,
    "pg_background_stats": (),
    "pg_background_registry": (),
    "pg_background_drain_server": ("int4",),
    "pg_background_resume_server": (),
}


def call(function: LiteralString, *arguments: LiteralString) -> LiteralString:
    """Return a call as SQL, to be completed by `in_schema`.

    Args:
        function: one of `DECLARED`.
        arguments: placeholders, columns or literals, for all its parameters; by default placeholders.
    """
    types = DECLARED[function]
    given = ", ".join(
        f"{argument}::pg_catalog.{type_name}"
        for argument, type_name in zip(arguments or ("%s",) * len(types), types, strict=True)
    )
    return f"{{schema}}.{function}({given})"


def in_schema(text: LiteralString, schema: str | sql.Composable) -> sql.Composed:
    """Return SQL where `{schema}` is the one that the extension is in.

    Args:
        text: SQL with `{schema}` in it.
        schema: its name; for a statement with parameters as `identifier` writes it.
    """
    return sql.SQL(text).format(schema=sql.Identifier(schema) if isinstance(schema, str) else schema)
