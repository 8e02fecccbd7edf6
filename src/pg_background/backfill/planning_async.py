"""What a backfill would do: looked up before anything is begun."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import psycopg

from .catalog import COLUMNS, INDEXES, TABLE, Table
from .errors import BackfillError
from .ranges import Column, Key, Range, next_block
from .state_async import bounds_of

if TYPE_CHECKING:
    from ..client.client_async import AsyncClient
    from .part import Part


async def table_of(client: AsyncClient[Any], name: str) -> Table:
    """Return what the catalogue has of a table.

    Args:
        name: as SQL writes it; looked up by the search_path, as in the statement.

    Raises:
        BackfillError: there is no such table, or jobs can't work on it.
    """
    async with client.session.connection() as connection:
        cursor = client.session.cursor(connection)
        try:
            await cursor.execute(TABLE, (name,))
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
            raise BackfillError(str(error.diag.message_primary)) from None
        row = await cursor.fetchone()
        if row is None:
            raise BackfillError(f"there is no table {name}")
        oid, schema, relation, kind, persistence, rows, has_children = row
        await cursor.execute(COLUMNS, (oid,))
        columns = {
            number: (Column(column, kind_of), not_null)
            for number, column, not_null, kind_of in await cursor.fetchall()
        }
        await cursor.execute(INDEXES, (oid,))
        indexes = [(primary, unique, list(numbers)) for primary, unique, numbers in await cursor.fetchall()]
    table = Table(oid, schema, relation, kind, persistence, rows, has_children, columns, indexes)
    table.check()
    return table


async def measure(client: AsyncClient[Any], part: Part, can_be_null: bool) -> None:
    """Look up how far a part goes: rows that come later, with higher keys, are not in it.

    Raises:
        psycopg.Error: the role may not read the keys.
    """
    part.upper, part.has_nulls = await bounds_of(client, part.source, part.key, can_be_null)
    part.is_cut = part.upper is None and not part.has_nulls


def first_range(part: Part) -> Range:
    """Return a range as the first one may be."""
    high = part.upper
    if part.key.is_ctid and high is not None:
        high = next_block(None, high, part.batch_size, part.estimated_rows)
    return Range(1, None, high, False, part.batch_size)


_MAY_RUN = """
SELECT COALESCE(pg_catalog.bool_or(pg_catalog.has_language_privilege(l.oid, 'USAGE'::pg_catalog.text)), false)
FROM pg_catalog.pg_language AS l WHERE l.lanname OPERATOR(pg_catalog.=) 'plpgsql'
"""


async def explain(client: AsyncClient[Any], statement: str) -> list[str]:
    """Return how the server would run a statement, without running it.

    Raises:
        BackfillError: it is not one that can be a backfill's, or the server refuses it or the code around it.
    """
    query: Any = f"EXPLAIN (COSTS OFF) {statement}"
    async with client.session.connection() as connection, connection.transaction():
        cursor = client.session.cursor(connection)
        await cursor.execute(_MAY_RUN)
        if await cursor.fetchone() != (True,):
            raise BackfillError(
                "this role may not use the language plpgsql, in which jobs note what they have done",
                hint="GRANT USAGE ON LANGUAGE plpgsql to it",
            )
        try:
            # As a message that can have one statement only: a second one would be run.
            await cursor.execute(query, binary=True)
            return [line for (line,) in await cursor.fetchall()]
        except psycopg.Error as error:
            if error.sqlstate is None:
                raise
            raise BackfillError(
                f"the statement can't be run: {error.diag.message_primary} (SQLSTATE {error.sqlstate})",
                hint=error.diag.message_hint or "it is to be one INSERT, UPDATE, DELETE, MERGE or SELECT",
            ) from error


def key_names(key: Key) -> Sequence[str]:
    """Return the names of its columns."""
    return [column.name for column in key.columns]
