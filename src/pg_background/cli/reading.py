"""A job's rows as text from the server, as psql would get them: nothing is made into values of Python."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.pq import ExecStatus
from psycopg.rows import tuple_row

from ..client.client import Client
from ..client.functions import call, in_schema
from ..client.handles import telling_unknown
from ..client.model import Handle, JobColumn
from ..client.statements import identifier
from .options.database import schema_of_extension
from .output.copy_text import cells
from .output.json_rows import BOOL
from .output.tables import Column
from .tags import telling

if TYPE_CHECKING:
    from typing import LiteralString

#: Rows that are handled together.
SIZE = 1000

#: The column that names one of several servers.
NODE = "node"

#: Numbers, OIDs, transactions, commands and money are shown to the right.
_TO_THE_RIGHT = frozenset((20, 21, 23, 26, 28, 29, 700, 701, 790, 1700, 5069))


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

    def csv(self, *, header: bool = True) -> Iterator[bytes | memoryview]:
        """Yield pieces of CSV, beginning with a header."""
        return self._copy(self._query, "(FORMAT csv, HEADER)" if header else "(FORMAT csv)")

    def pieces(self, *, words: bool = False) -> Iterator[bytes]:
        """Yield lines as COPY writes them, many together, each with its end.

        Args:
            words: write booleans as true and false.
        """
        lines = self._copy(self._with_words() if words else self._query, "")
        while some := list(islice(lines, SIZE)):
            yield b"".join(some)

    def texts(self) -> Iterator[list[str | None]]:
        """Yield rows."""
        for piece in self.pieces():
            # Bytes that are no text in this encoding come out as they came in, as from psql.
            lines = piece.decode(self.encoding, "surrogateescape").split("\n")
            yield from map(cells, lines[:-1])

    def _with_words(self) -> sql.Composable:
        names = [sql.Identifier(f"c{n}") for n in range(len(self.types))]
        shown = (
            sql.SQL("{}::pg_catalog.text").format(name) if kind == BOOL else name
            for name, kind in zip(names, self.types, strict=True)
        )
        return sql.SQL("SELECT {} FROM ({}) AS r({})").format(
            sql.SQL(", ").join(shown), self._query, sql.SQL(", ").join(names)
        )

    def _copy(self, query: sql.Composable, options: LiteralString) -> Iterator[bytes | memoryview]:
        # The server formats, and gives row after row, in constant memory on both sides of the connection.
        statement = sql.SQL("COPY ({}) TO STDOUT {}").format(query, sql.SQL(options))
        with (
            telling_unknown(self._handle),
            psycopg.Cursor(self._connection) as cursor,
            cursor.copy(statement) as copy,
        ):
            yield from _messages(copy, self._connection)


def _messages(copy: psycopg.Copy, connection: psycopg.Connection[Any]) -> Iterator[bytes | memoryview]:
    """Yield what is sent: a row each.

    What has come already is taken at once, as psycopg takes longer to get ready for a wait than for the row.
    """
    pgconn = connection.pgconn
    while True:
        size, row = pgconn.get_copy_data(1)
        if size > 0:
            yield row
        elif size == 0:
            if not (waited_for := copy.read()):
                return
            yield waited_for  # type: ignore[misc]
        else:
            break
    # All of them, before one may raise: only then the session can be used again.
    for result in list(iter(pgconn.get_result, None)):
        if result.status == ExecStatus.FATAL_ERROR:
            raise psycopg.errors.error_from_result(result, connection.info.encoding)


def rows_of(
    client: Client[Any], connection: psycopg.Connection[Any], handle: Handle, node: str = ""
) -> Rows | None:
    """Return the rows of a job that has succeeded; None if its last statement returns none.

    Args:
        node: a first column has it, if it is not empty.

    Raises:
        JobLost: the server does not know the handle.
    """
    columns = client.attach(handle).describe()
    if not columns:
        return None
    query = _query(schema_of_extension(connection), handle, columns, node)
    # A condition that is never true: the server tells the types, and takes nothing of the result.
    with psycopg.Cursor(connection) as cursor:
        cursor.execute(sql.SQL("SELECT * FROM ({}) AS r WHERE false").format(query))
        types = [column.type_code for column in cursor.description or ()]
    names = [NODE] * bool(node) + [column.name for column in columns]
    shown = [Column(name, kind in _TO_THE_RIGHT) for name, kind in zip(names, types, strict=True)]
    return Rows(connection, query, handle, shown, types)


def _query(schema: str, handle: Handle, columns: Sequence[JobColumn], node: str) -> sql.Composed:
    """Read rows. Inside they have numbers for names, as two columns may have the same.

    The handle is written into it, as COPY takes no parameters. The types are without modifiers, which the
    values have obeyed already.
    """
    inner = [sql.Identifier(f"c{n}") for n in range(len(columns))]
    named = [
        sql.SQL("r.{} AS {}").format(name, sql.Identifier(column.name))
        for name, column in zip(inner, columns, strict=True)
    ]
    if node:
        said = sql.SQL("{}::pg_catalog.text AS {}").format(sql.Literal(node), sql.Identifier(NODE))
        named.insert(0, said)
    return sql.SQL("SELECT {} FROM {} AS r({})").format(
        sql.SQL(", ").join(named),
        _result(schema, handle),
        sql.SQL(", ").join(
            sql.SQL("{} {}").format(name, sql.Identifier(*column.type_path))
            for name, column in zip(inner, columns, strict=True)
        ),
    )


def _result(schema: str, handle: Handle) -> sql.Composed:
    """Call it with the very types that it is declared with: no other function of its name can be meant."""
    return sql.SQL(f"{{}}({telling('{}')}::pg_catalog.int4, {{}}::pg_catalog.int8)").format(
        sql.Identifier(schema, "pg_background_result"), sql.Literal(handle.pid), sql.Literal(handle.cookie)
    )


def without_columns(connection: psycopg.Connection[Any], schema: str, handle: Handle) -> list[str] | int:
    """Take the result of a job whose rows have no columns: the tags of its statements, or their number."""
    text = f"SELECT r::pg_catalog.text FROM {call('pg_background_result_json', telling('%s'), '%s')} AS r"
    query = in_schema(text, identifier(schema))
    with telling_unknown(handle), psycopg.Cursor(connection, row_factory=tuple_row) as cursor:
        cursor.execute(query, handle)
        found = [json.loads(text) for (text,) in cursor.fetchall()]
    # A statement without rows has a tag in its place; `SELECT FROM t` an empty object for each row of t.
    tags = [each["command_tag"] for each in found if each]
    return tags or len(found)
