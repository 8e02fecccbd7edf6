"""Queries as psycopg takes them, turned into SQL with $1, $2 … and values as text: bound, never pasted."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import psycopg
from psycopg import sql
from psycopg.abc import AdaptContext
from psycopg.adapt import PyFormat, Transformer

#: A query: `str` with `%s` or `%(name)s`, `bytes`, or anything of `psycopg.sql`.
Query = str | bytes | sql.Composable

#: Values for its placeholders.
Params = Sequence[Any] | Mapping[str, Any]

_PLACEHOLDER = re.compile(r"%(?:\((?P<name>[^)]*)\))?(?P<kind>.|$)", re.DOTALL)

#: Types that come with the server have the same OID in every database, up to here.
_LAST_BUILT_IN_OID = 9999


class BoundQuery(NamedTuple):
    """A query for pg_background_start()."""

    sql: str
    #: the texts of $1, $2 …; None: the SQL has no parameters
    values: list[str | None] | None


def bind(query: Query, params: Params | None, context: psycopg.BaseConnection[Any]) -> BoundQuery:
    """Number the placeholders, and adapt the values as psycopg does.

    As in psycopg a query without params is taken as it is, and `%%` in one with params means `%`.

    Args:
        context: gives adapters and encoding.

    Raises:
        psycopg.ProgrammingError: placeholders and values don't match, or a value can't be adapted.
    """
    text = _text(query, context)
    if params is None:
        return BoundQuery(text, None)
    if isinstance(params, (str, bytes)) or not isinstance(params, (Sequence, Mapping)):
        raise TypeError(f"params must be a sequence or a mapping, not {type(params).__name__}")
    binder = _Binder(params, context)
    converted = _PLACEHOLDER.sub(binder.replace, text)
    binder.check_all_used()
    return BoundQuery(converted, binder.values or None)


def _text(query: Query, context: psycopg.BaseConnection[Any]) -> str:
    if isinstance(query, str):
        return query
    if isinstance(query, bytes):
        return query.decode(context.info.encoding)
    if isinstance(query, sql.Composable):
        return query.as_string(context)
    raise TypeError(f"a query must be str, bytes or of psycopg.sql, not {type(query).__name__}")


class _Binder:
    """Replaces placeholders one by one, and keeps their values in the order of their numbers."""

    def __init__(self, params: Params, context: psycopg.BaseConnection[Any]) -> None:
        self.values: list[str | None] = []
        self._params = params
        self._encoding = context.info.encoding
        self._adapter = Transformer(context)
        self._types = context.adapters.types
        self._replacements: dict[str, str] = {}

    def replace(self, found: re.Match[str]) -> str:
        name, kind = found["name"], found["kind"]
        if kind == "%" and name is None:
            return "%"
        # psycopg's %t and %b ask for a format of transfer: the value is the same.
        if kind not in ("s", "t", "b"):
            raise psycopg.ProgrammingError(
                f"only '%s', '%b', '%t' are placeholders, and '%%' a percent sign: got {found[0]!r}"
            )
        if isinstance(self._params, Mapping):
            return self._named(name)
        return self._positional(name)

    def check_all_used(self) -> None:
        if not isinstance(self._params, Mapping) and len(self.values) != len(self._params):
            raise psycopg.ProgrammingError(
                f"the query has {len(self.values)} placeholders "
                f"but {len(self._params)} parameters were passed"
            )

    def _named(self, name: str | None) -> str:
        assert isinstance(self._params, Mapping)
        if name is None:
            raise psycopg.ProgrammingError("positional placeholders (%s) need a sequence of parameters")
        if name not in self._params:
            raise psycopg.ProgrammingError(f"query parameter missing: {name}")
        if name not in self._replacements:
            self._replacements[name] = self._add(self._params[name])
        return self._replacements[name]

    def _positional(self, name: str | None) -> str:
        assert not isinstance(self._params, Mapping)
        if name is not None:
            raise psycopg.ProgrammingError("named placeholders (%(name)s) need a mapping of parameters")
        if len(self.values) == len(self._params):
            raise psycopg.ProgrammingError(
                f"the query has more placeholders than the {len(self._params)} parameters that were passed"
            )
        return self._add(self._params[len(self.values)])

    def _add(self, value: Any) -> str:
        """Keep the value's text, and return what stands for it in the SQL."""
        if value is None:
            self.values.append(None)
            return f"${len(self.values)}"
        dumper = self._adapter.get_dumper(value, PyFormat.TEXT)
        dumped = dumper.dump(value)
        self.values.append(None if dumped is None else bytes(dumped).decode(self._encoding))
        return self._typed(f"${len(self.values)}", dumper.oid)

    def _typed(self, placeholder: str, oid: int) -> str:
        """Give the parameter the type that psycopg would have sent beside it; others the server infers."""
        info = self._types.get(oid) if 0 < oid <= _LAST_BUILT_IN_OID else None
        if info is None:
            return placeholder
        name = info.name if oid == info.oid else f"_{info.name}"
        return f'({placeholder}::pg_catalog."{name}")'


def quoted(name: str, context: AdaptContext | None = None) -> str:
    """Return an identifier as SQL writes it."""
    return sql.Identifier(name).as_string(context)
