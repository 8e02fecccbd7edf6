"""A job's rows as text from the server, as psql would get them: nothing is made into values of Python."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

from ..client.client import Client
from ..client.model import Handle
from ..client.reading import telling_unknown
from .tables import Column

#: Rows that are handled together.
SIZE = 1000

#: Numbers, OIDs, transactions, commands and money are shown to the right.
_TO_THE_RIGHT = frozenset((20, 21, 23, 26, 28, 29, 700, 701, 790, 1700, 5069))

#: What COPY writes with a backslash.
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_MEANINGS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


@dataclass(frozen=True)
class Rows:
    """The result of a job that has succeeded; it can be read once, in one of the forms."""

    _connection: psycopg.Connection[Any]
    _query: sql.Composable
    _handle: Handle
    columns: Sequence[Column]
    #: OIDs of the columns' types; of a domain that of its base type, as for psql
    types: Sequence[int]

    @property
    def encoding(self) -> str:
        """Python's name of what the texts are written in."""
        known = self._connection.info.encoding
        # What a client without an encoding gets is what is stored.
        return "utf-8" if known == "ascii" else known

    def csv(self) -> Iterator[bytes]:
        """Yield pieces of CSV, beginning with a header."""
        return self._copy("(FORMAT csv, HEADER)")

    def texts(self) -> Iterator[list[list[str | None]]]:
        """Yield lists of rows."""
        some: list[list[str | None]] = []
        encoding = self.encoding
        for line in self._copy(""):
            some.append(_cells(line[:-1], encoding))
            if len(some) == SIZE:
                yield some
                some = []
        if some:
            yield some

    def _copy(self, options: str) -> Iterator[bytes]:
        # The server formats, and gives row after row, in constant memory on both sides of the connection.
        statement = sql.SQL("COPY ({}) TO STDOUT {}").format(self._query, sql.SQL(options))
        with (
            telling_unknown(self._handle),
            psycopg.Cursor(self._connection) as cursor,
            cursor.copy(statement, self._handle) as copy,
        ):
            for piece in copy:
                yield bytes(piece)


def rows_of(client: Client[Any], connection: psycopg.Connection[Any], handle: Handle) -> Rows | None:
    """Return the rows of a job that has succeeded; None if its last statement returns none.

    Raises:
        JobLost: the server does not know the handle.
    """
    columns = client.attach(handle).describe()
    if not columns:
        return None
    query = client._statements.result(columns)
    # A condition that is never true: the server tells the types, and takes nothing of the result.
    with psycopg.Cursor(connection) as cursor:
        cursor.execute(sql.SQL("SELECT * FROM ({}) AS r WHERE false").format(query), handle)
        types = [column.type_code for column in cursor.description or ()]
    shown = [Column(column.name, kind in _TO_THE_RIGHT) for column, kind in zip(columns, types, strict=True)]
    return Rows(connection, query, handle, shown, types)


def without_columns(
    connection: psycopg.Connection[Any], schema: sql.Identifier, handle: Handle
) -> list[str] | int:
    """Take the result of a job whose rows have no columns: the tags of its statements, or how many such rows."""
    query = sql.SQL(
        "SELECT r::pg_catalog.text FROM {}.{}(%s::pg_catalog.int4, %s::pg_catalog.int8) AS r"
    ).format(schema, sql.Identifier("pg_background_result_json"))
    with telling_unknown(handle), psycopg.Cursor(connection, row_factory=tuple_row) as cursor:
        cursor.execute(query, handle)
        found = [json.loads(text) for (text,) in cursor.fetchall()]
    # A statement without rows has a tag in its place; `SELECT FROM t` has as many empty objects as t has rows.
    tags = [each["command_tag"] for each in found if each]
    return tags or len(found)


def _cells(line: bytes, encoding: str) -> list[str | None]:
    # Bytes that are no text in this encoding come out as they came in, as from psql.
    text = line.decode(encoding, "surrogateescape")
    if "\\" not in text:
        return text.split("\t")  # type: ignore[return-value]
    return [_unescaped(cell) for cell in text.split("\t")]


def _unescaped(cell: str) -> str | None:
    if cell == "\\N":
        return None
    return _ESCAPED.sub(lambda found: _MEANINGS.get(found[1], found[1]), cell)
