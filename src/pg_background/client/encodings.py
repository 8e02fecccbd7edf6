"""Texts of connections whose encoding is not known, or can't have all that the server has."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import AdaptersMap, Loader

#: As psycopg calls the encoding of a database that has none, SQL_ASCII.
UNKNOWN = "ascii"


def encoding_of(connection: psycopg.BaseConnection[Any]) -> str:
    """Return what texts are written in; where that is unknown UTF-8, as psycopg does for parameters."""
    encoding = connection.info.encoding
    return "utf-8" if encoding == UNKNOWN else encoding


def decoded(data: Buffer, encoding: str = "utf-8") -> str:
    """Return a text; what is none in this encoding is escaped, as there is no better one."""
    return bytes(data).decode(encoding, "backslashreplace")


def as_ascii(text: str) -> str:
    """Return a text with escapes for what ASCII does not have."""
    return text.encode("ascii", "backslashreplace").decode("ascii")


def load_as_str(adapters: AdaptersMap) -> None:
    """Make `str` of texts where psycopg, not knowing their encoding, has bytes."""
    for name in ("text", "name"):
        adapters.register_loader(name, _AnyText)


def load_as_bytes(adapters: AdaptersMap) -> AdaptersMap:
    """Return adapters that do what psycopg does on such a connection, also without one."""
    made = AdaptersMap(adapters)
    for name in ("text", "varchar", "bpchar", "name", '"char"'):
        made.register_loader(name, _Bytes)
    return made


class _Bytes(Loader):
    def load(self, data: Buffer) -> bytes:
        return bytes(data)


class _AnyText(Loader):
    def load(self, data: Buffer) -> str:
        return decoded(data)


def is_narrow(connection: psycopg.BaseConnection[Any]) -> bool:
    """Tell whether the database may have texts that the connection's encoding does not have."""
    return connection.info.encoding not in ("utf-8", UNKNOWN)
