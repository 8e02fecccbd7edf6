"""Queries as psycopg takes them, turned into SQL with $1, $2 … and values as text: bound, never pasted."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import psycopg
from psycopg import sql
from psycopg.abc import AdaptContext
from psycopg.adapt import AdaptersMap, Dumper, PyFormat, Transformer

from .encodings import encoding_of

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


def check(query: object, params: object) -> None:
    """See that a query and its values are of the kinds that can be.

    Raises:
        TypeError: one is not.
    """
    if not isinstance(query, (str, bytes, sql.Composable)):
        raise TypeError(f"a query must be str, bytes or of psycopg.sql, not {type(query).__name__}")
    if params is not None and not is_params(params):
        raise TypeError(f"params must be a sequence or a mapping, not {type(params).__name__}")


def is_params(value: object) -> bool:
    """Tell values for placeholders from a single value."""
    return isinstance(value, (Sequence, Mapping)) and not isinstance(
        value, (str, bytes, bytearray, memoryview)
    )


def params_of(value: Any) -> Params:
    """Return the values for one of many jobs; a single value is that of the only placeholder."""
    return value if is_params(value) else [value]


def bind(
    query: Query | BoundQuery, params: Params | None, context: psycopg.BaseConnection[Any]
) -> BoundQuery:
    """Number the placeholders, and adapt the values as psycopg does.

    As in psycopg a query without params is taken as it is, and `%%` in one with params means `%`.

    Args:
        query: one that is bound already is taken as it is.
        context: gives adapters and encoding.

    Raises:
        psycopg.ProgrammingError: placeholders and values don't match, or a value can't be adapted.
    """
    if isinstance(query, BoundQuery):
        return query
    check(query, params)
    text = _text(query, context)
    if params is None:
        return BoundQuery(text, None)
    binder = _Binder(params, context)
    converted = _PLACEHOLDER.sub(binder.replace, text)
    binder.check_all_used()
    return BoundQuery(converted, binder.values or None)


def _text(query: Query, context: psycopg.BaseConnection[Any]) -> str:
    if isinstance(query, str):
        return query
    if isinstance(query, bytes):
        return query.decode(encoding_of(context))
    return query.as_string(context)


class _Binder:
    """Replaces placeholders one by one, and keeps their values in the order of their numbers."""

    def __init__(self, params: Params, context: psycopg.BaseConnection[Any]) -> None:
        self.values: list[str | None] = []
        self._params = params
        self._encoding = encoding_of(context)
        self._adapter = Transformer(_with_plain_bytes(context))
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


class _HexDumper(Dumper):
    """Writes bytes as hexadecimal digits."""

    oid = psycopg.adapters.types["bytea"].oid

    def dump(self, obj: Any) -> bytes:
        return b"\\x" + bytes(obj).hex().encode()


class _PlainBytes:
    """A context of psycopg's in which bytes become text that is not escaped for a string literal."""

    def __init__(self, context: psycopg.BaseConnection[Any]) -> None:
        self.connection = context
        self.adapters = AdaptersMap(context.adapters)
        for kind in (bytes, bytearray, memoryview):
            # If it is psycopg's own: somebody's may do something else with bytes.
            usual = psycopg.adapters.get_dumper(kind, PyFormat.TEXT)
            if self.adapters.get_dumper(kind, PyFormat.TEXT) is usual:
                self.adapters.register_dumper(kind, _HexDumper)


def _with_plain_bytes(context: psycopg.BaseConnection[Any]) -> AdaptContext:
    """Return a context for values that travel as they are.

    Without standard_conforming_strings psycopg doubles the backslashes of bytes, as in a literal.
    """
    if context.info.parameter_status("standard_conforming_strings") == "off":
        return _PlainBytes(context)
    return context
