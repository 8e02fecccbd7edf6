"""Databases without an encoding: their bytes may be no text, and come out as they went in."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Loader

_TYPES = ("text", "varchar", "bpchar", "name", '"char"', "unknown")


class _Stored(Loader):
    def load(self, data: Buffer) -> str:
        return bytes(data).decode("utf-8", "surrogateescape")


def read_as_stored(connection: psycopg.Connection[Any]) -> None:
    """Ask for no conversion, as the server would refuse bytes that are no UTF-8; take names and texts as UTF-8."""
    connection.execute("SET client_encoding = SQL_ASCII")
    for name in _TYPES:
        connection.adapters.register_loader(name, _Stored)
