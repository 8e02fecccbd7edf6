"""Databases without an encoding: their bytes may be no text, and come out as they went in."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Loader

#: text, varchar, bpchar, name, "char", and what has no type.
_TYPES = (25, 1043, 1042, 19, 18, 705)


class _Stored(Loader):
    def load(self, data: Buffer) -> str:
        return bytes(data).decode("utf-8", "surrogateescape")


def read_as_stored(connection: psycopg.Connection[Any]) -> None:
    """Ask for no conversion, in which the server would refuse bytes that are no UTF-8, and do none here."""
    connection.execute("SET client_encoding = SQL_ASCII")
    for kind in _TYPES:
        connection.adapters.register_loader(kind, _Stored)
