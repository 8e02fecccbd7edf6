# Made from state_async.py by tools/async_to_sync.py: edit that one.
"""Where a backfill is kept in a database, so that whoever comes after a crash goes on with it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psycopg

from .errors import BackfillError
from .part import Frontier, Part
from .ranges import BLOCKS_TO_COUNT, Key, Range, block_after, next_block
from .report import RangeError
from .state_sql import BLOCKS, FIND, GRANTEES, StateSql

if TYPE_CHECKING:
    from ..client.client import Client


#: Keys are kept as text, which whoever goes on must read as the same values.
_TEXTS = (
    "SELECT pg_catalog.set_config('datestyle', 'ISO, YMD', true),"
    " pg_catalog.set_config('timezone', 'UTC', true)"
)


class State:
    """The tables of a role in one database; found, or made, when they are needed."""

    def __init__(self, client: Client[Any], schema: str | None) -> None:
        """
        Args:
            schema: where the tables are to be; None for where the role has them already.
        """
        self.client = client
        self.schema = schema
        self._sql: StateSql | None = None

    @property
    def sql(self) -> StateSql:
        """Its statements; known once the tables were found."""
        assert self._sql is not None
        return self._sql

    @contextmanager
    def transaction(self) -> Iterator[psycopg.Connection[Any]]:
        """Lend a connection with a transaction of its own, in which who waits for another sees what that did.

        Raises:
            BackfillError: the client's connection is in one, so that jobs would not see what is written.
        """
        if self.client.session.is_in_transaction:
            raise BackfillError("a backfill can't be run inside of a transaction: its jobs don't see it")
        with self.client.session.connection() as connection, connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
            yield connection

    def find(self) -> bool:
        """Look for the tables, and tell whether they are there.

        Raises:
            BackfillError: they are there several times, or others may write to them.
        """
        if self._sql is not None:
            return True
        with self.client.session.connection() as connection:
            cursor = self.client.session.cursor(connection)
            cursor.execute(FIND, (self.schema, self.schema))
            rows = cursor.fetchall()
        found = [name for name, _ in rows]
        if len(found) > 1:
            raise BackfillError(
                f"backfills are kept in several schemas: {', '.join(found)}",
                hint="name the one that is meant",
            )
        if found:
            if rows[0][1]:
                raise BackfillError(
                    f"others may write to the state of backfills in schema {found[0]}, and so say what this"
                    " role runs",
                    hint="REVOKE that from them, look at what they have written, or drop the tables",
                )
            self.schema = found[0]
            self._sql = StateSql(found[0])
        return bool(found)

    def provide(self, default: str) -> None:
        """Make the tables if they are not there.

        Args:
            default: the schema to make them in, if none was named.

        Raises:
            BackfillError: the role may not, or something else has their names.
        """
        if self.find():
            return
        schema = self.schema or default
        made = StateSql(schema)
        try:
            with self.transaction() as connection:
                for statement in made.create:
                    connection.execute(statement, ())
                cursor = self.client.session.cursor(connection)
                cursor.execute(GRANTEES, (schema,))
                for (grantee,) in cursor.fetchall():
                    connection.execute(made.revoke(grantee), ())
        except (psycopg.errors.DuplicateTable, psycopg.errors.UniqueViolation) as error:
            # Another one of the role may have been quicker.
            if not self.find():
                raise BackfillError(
                    f"{error.diag.message_primary}, and belongs to another role",
                    hint="name another schema to keep the state in",
                ) from error
        except (psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidSchemaName) as error:
            raise BackfillError(
                f"the state of the backfill can't be kept in schema {schema}: {error.diag.message_primary}",
                hint="name a schema in which this role may create tables",
            ) from error
        else:
            self.schema, self._sql = schema, made

    # ---- backfills

    def parts(self, name: str) -> list[Part]:
        """Return what is kept of a backfill; nothing if there is none of that name."""
        if not self.find():
            return []
        return [Part.of_row(name, row) for row in self._rows(self.sql.runs, name)]

    def add(self, part: Part) -> None:
        """Keep a new one, with the ranges that are open in it.

        Raises:
            BackfillError: there is one of that name.
        """
        try:
            with self.transaction() as connection:
                connection.execute(self.sql.add, part.row())
                for piece in part.open:
                    connection.execute(
                        self.sql.add_range,
                        (
                            part.run,
                            part.part,
                            piece.number,
                            piece.low,
                            piece.high,
                            piece.is_null,
                            piece.size,
                        ),
                    )
                if part.open:
                    connection.execute(
                        self.sql.skip_to, (max(p.number for p in part.open) + 1, part.run, part.part)
                    )
        except psycopg.errors.UniqueViolation:
            raise BackfillError(
                f"there is a backfill of the name {part.name} already",
                hint="go on with it, or choose another name",
            ) from None

    def left(self, part: Part) -> list[Range]:
        """Return the ranges that were cut, and are not done."""
        return [Range(*row) for row in self._rows(self.sql.left, part.run, part.part)]

    def state(self, part: Part) -> str:
        """Return its state as it is now; others may have asked for its end."""
        rows = self._rows(self.sql.state, part.run, part.part)
        return rows[0][0] if rows else "forgotten"

    def go_on(self, part: Part) -> None:
        """Make it running again, with its options as they are now; what has failed is open again."""
        with self.transaction() as connection:
            connection.execute(self.sql.go_on, (part.options.as_json(), part.batch_size, part.run, part.part))
            connection.execute(self.sql.open_failed, (part.run, part.part))

    def ask_to_stop(self, name: str) -> bool:
        """Have whoever runs it stop soon, and tell whether it was said to run."""
        return self._change(self.sql.ask_to_stop, name) > 0

    def move_to(self, part: Part, other: State, place: str) -> Part:
        """Go on with a part on another node, where its shard is now; return it as it is there.

        What is not done yet is taken along; until that is noted there, no job of this node can do it.
        """
        with self.transaction() as connection:
            cursor = self.client.session.cursor(connection)
            cursor.execute(self.sql.unfinished, (part.run, part.part))
            pieces = [Range(*row) for row in cursor.fetchall()]
            cursor.execute(self.sql.frontier_of_all, (part.run, part.part))
            row = cursor.fetchone()
            if row is None:
                raise BackfillError(f"the backfill {part.name} was forgotten meanwhile")
            low, upper, has_nulls, is_cut, _ = row
            there = [each for each in other.parts(part.name) if each.part == part.part]
            if there and there[0].run != part.run:
                raise BackfillError(
                    f"{place} keeps another backfill of the name {part.name}", hint="forget that one there"
                )
            taken = replace(part, place=place, frontier=low, upper=upper, has_nulls=has_nulls, is_cut=is_cut)
            taken.state, taken.open = "running", pieces
            if not there:
                other.add(taken)
            elif there[0].state == "moved":
                other.take_back(taken)
            # Otherwise one that died in the middle of this has noted it there.
            cursor.execute(self.sql.drop_unfinished, (part.run, part.part))
            cursor.execute(self.sql.move_away, (part.run, part.part))
        (found,) = [each for each in other.parts(part.name) if each.part == part.part]
        found.open = other.left(found)
        return found

    def take_back(self, part: Part) -> None:
        """Go on with a part that has been here before."""
        with self.transaction() as connection:
            cursor = self.client.session.cursor(connection)
            cursor.execute(self.sql.frontier_of_all, (part.run, part.part))
            row = cursor.fetchone()
            assert row is not None
            number = row[4]
            for piece in part.open:
                given = (number, piece.low, piece.high, piece.is_null, piece.size)
                cursor.execute(self.sql.add_range, (part.run, part.part, *given))
                number += 1
            cursor.execute(self.sql.skip_to, (number, part.run, part.part))
            state = (part.frontier, part.is_cut, part.place, part.run, part.part)
            cursor.execute(self.sql.come_back, state)

    def end(self, part: Part, waited: Mapping[str, float]) -> None:
        """Note that nobody works at it any more, as it is done or not, and for what was waited meanwhile."""
        with self.transaction() as connection:
            cursor = self.client.session.cursor(connection)
            cursor.execute(self.sql.waited, (part.run, part.part))
            row = cursor.fetchone()
            before = row[0] if row else {}
            total = {kind: before.get(kind, 0) + waited.get(kind, 0) for kind in {*before, *waited}}
            cursor.execute(self.sql.end, (json.dumps(total), part.run, part.part))

    def forget(self, name: str) -> bool:
        """Delete what is kept of it, and tell whether there was something."""
        return self.find() and self._change(self.sql.forget, name) > 0

    # ---- ranges

    def cut(self, part: Part) -> Range | None:
        """Cut the next range; None if there is none, or if it was stopped."""
        with self.transaction() as connection:
            cursor = self.client.session.cursor(connection)
            cursor.execute(self.sql.frontier, (part.run, part.part))
            row = cursor.fetchone()
            if row is None:
                return None
            frontier = Frontier(*row)
            if frontier.is_cut:
                part.is_cut = True
                return None
            cursor.execute(_TEXTS)
            piece, after = self._next(cursor, part, frontier)
            given = (piece.number, piece.low, piece.high, piece.is_null, piece.size)
            cursor.execute(self.sql.add_range, (part.run, part.part, *given))
            cursor.execute(
                self.sql.advance,
                (after.low, after.has_nulls, after.is_cut, part.batch_size, part.run, part.part),
            )
        part.is_cut = after.is_cut
        return piece

    def _next(self, cursor: psycopg.Cursor[Any], part: Part, frontier: Frontier) -> tuple[Range, Frontier]:
        """Return the next range, and the frontier behind it."""
        low, upper, size, number = frontier.low, frontier.upper, part.batch_size, frontier.next_number
        if upper is None or low == upper:
            # What is left are the rows without a key.
            size = self._count(cursor, part, part.key.nulls())
            return Range(number, None, None, True, size), frontier._replace(has_nulls=False, is_cut=True)
        if part.key.is_ctid:
            near = part.key.between(low, block_after(low, BLOCKS_TO_COUNT))
            high = next_block(low, upper, size, part.estimated_rows, self._count(cursor, part, near))
        elif (found := self._next_key(cursor, part, frontier)) is not None:
            high = found
        else:
            high = upper
            size = self._count(cursor, part, part.key.between(low, upper))
        after = frontier._replace(low=high, is_cut=high == upper and not frontier.has_nulls)
        return Range(number, low, high, False, size), after

    def _next_key(self, cursor: psycopg.Cursor[Any], part: Part, frontier: Frontier) -> list[str] | None:
        key = part.key
        query: Any = (
            f"SELECT {key.texts()} FROM {part.source} AS s WHERE {key.between(frontier.low, frontier.upper)}"
            f" ORDER BY {key.order()} OFFSET {part.batch_size - 1} LIMIT 1"
        )
        cursor.execute(query)
        row = cursor.fetchone()
        return None if row is None else list(row)

    def _count(self, cursor: psycopg.Cursor[Any], part: Part, condition: str) -> int:
        """Return how many rows a range has that may have fewer, or more, than were asked for."""
        query: Any = f"SELECT pg_catalog.count(*) FROM {part.source} WHERE {condition}"
        cursor.execute(query)
        (rows,) = cursor.fetchone() or (0,)
        return int(rows)

    def outcome(self, part: Part, number: int) -> tuple[str, int, float] | None:
        """Return how a range is: its state, the rows that were changed, the seconds that it took."""
        rows = self._rows(self.sql.outcome, part.run, part.part, number)
        return None if not rows else (rows[0][0], rows[0][1] or 0, rows[0][2] or 0.0)

    def failed(self, part: Part, piece: Range, error: psycopg.Error) -> bool:
        """Note that it was given up, and why; False if another job, such as one left behind, is at it."""
        message = error.diag.message_primary or str(error)
        with self.transaction() as connection:
            cursor = self.client.session.cursor(connection)
            # Not an UPDATE alone: that would wait for the other job as long as that takes.
            cursor.execute(self.sql.seize, (part.run, part.part, piece.number))
            if cursor.fetchone() is None:
                return False
            given = (error.sqlstate, message, piece.tries, part.run, part.part, piece.number)
            cursor.execute(self.sql.failed, given)
        return True

    # ---- what was done

    def totals(self, run: str) -> tuple[int, ...]:
        """Return ranges done, failed and open, rows changed, retries, and rows that were gone over."""
        return tuple((self._rows(self.sql.totals, run))[0])

    def summary(self, run: str) -> list[tuple[str, bool, float | None, dict[str, float]]]:
        """Return of each part its state, whether it is cut, its seconds, and what was waited for."""
        return self._rows(self.sql.summary, run)

    def errors(self, run: str) -> list[RangeError]:
        """Return the ranges that have failed."""
        return [RangeError(*row) for row in self._rows(self.sql.errors, run)]

    # ---- inside

    def _rows(self, statement: Any, *parameters: Any) -> list[Any]:
        with self.client.session.connection() as connection:
            cursor = self.client.session.cursor(connection)
            cursor.execute(statement, parameters)
            return cursor.fetchall()

    def _change(self, statement: Any, *parameters: Any) -> int:
        with self.transaction() as connection:
            cursor = self.client.session.cursor(connection)
            cursor.execute(statement, parameters)
            return cursor.rowcount


def bounds_of(client: Client[Any], source: str, key: Key, can_be_null: bool) -> tuple[list[str] | None, bool]:
    """Return the highest key of a table, None if it has none, and whether rows are without one."""
    with client.session.connection() as connection, connection.transaction():
        cursor = client.session.cursor(connection)
        cursor.execute(_TEXTS)
        if key.is_ctid:
            cursor.execute(BLOCKS, (source,))
            (blocks,) = cursor.fetchone() or (0,)
            return ([f"({blocks},0)"] if blocks else None), False
        only = f"WHERE NOT {key.nulls()}" if can_be_null else ""
        highest: Any = (
            f"SELECT {key.texts()} FROM {source} AS s {only} ORDER BY {key.order(descending=True)} LIMIT 1"
        )
        cursor.execute(highest)
        row = cursor.fetchone()
        has_nulls = False
        if can_be_null:
            nulls: Any = f"SELECT EXISTS (SELECT FROM {source} WHERE {key.nulls()})"
            cursor.execute(nulls)
            (has_nulls,) = cursor.fetchone() or (False,)
        return (None if row is None else list(row)), has_nulls
