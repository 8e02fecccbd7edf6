"""Ranges of a key as SQL: no name or operator in it is looked up through a search_path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from psycopg import sql

#: The types that a key may be of, each with that of the values that it is compared with.
TYPES = {
    **{name: name for name in ("int2", "int4", "int8", "numeric", "oid", "uuid", "text", "bpchar")},
    **{name: name for name in ("date", "timestamp", "timestamptz", "tid")},
    "varchar": "text",
}


class Column(NamedTuple):
    """A column of a key."""

    name: str
    #: one of `TYPES`
    type_name: str


@dataclass(frozen=True)
class Key:
    """What ranges go by: columns, or the place of a row in its file."""

    columns: tuple[Column, ...]

    @property
    def is_ctid(self) -> bool:
        """Whether it is the place of a row."""
        return self.columns[0].type_name == "tid"

    def __str__(self) -> str:
        return ", ".join(column.name for column in self.columns)

    def texts(self) -> str:
        """Return its columns as texts, for the list of a SELECT."""
        return ", ".join(f"{quoted(column.name)}::pg_catalog.text" for column in self.columns)

    def order(self, *, descending: bool = False) -> str:
        """Return what an ORDER BY has, of a table called `s`: bare names would be those of the texts."""
        return ", ".join(f"s.{quoted(column.name)}{' DESC' if descending else ''}" for column in self.columns)

    def nulls(self, before: str = "") -> str:
        """Return the condition for rows without a key, which are in no range."""
        return f"({before}{quoted(self.columns[0].name)} IS NULL)"

    def between(self, low: Sequence[str] | None, high: Sequence[str] | None, before: str = "") -> str:
        """Return the condition for rows above `low`, up to `high`; None is no bound.

        Args:
            before: what stands before each name.
        """
        bounds = [
            f"{self._row(before)} OPERATOR(pg_catalog.{operator}) {self._values(bound)}"
            for operator, bound in ((">", low), ("<=", high))
            if bound is not None
        ]
        return f"({' AND '.join(bounds) or 'true'})"

    def _row(self, before: str) -> str:
        return _row([f"{before}{quoted(column.name)}" for column in self.columns])

    def _values(self, bound: Sequence[str]) -> str:
        return _row(
            [
                f"{literal(value)}::pg_catalog.{TYPES[column.type_name]}"
                for value, column in zip(bound, self.columns, strict=True)
            ]
        )


class Range(NamedTuple):
    """A piece of the work: what one job does, once."""

    number: int
    low: list[str] | None
    high: list[str] | None
    #: the rows without a key, instead
    is_null: bool
    #: rows of the table that it was cut for
    size: int
    #: how often it was tried again, and how often of these before it was given up the last time
    tries: int = 0
    earlier_tries: int = 0

    def condition(self, key: Key, before: str = "") -> str:
        """Return what its rows fulfil."""
        return key.nulls(before) if self.is_null else key.between(self.low, self.high, before)


#: Rows in a block where nothing is known of a table.
_ROWS_IN_BLOCK = 50
#: Blocks whose rows are counted before a range by ctid is cut: statistics may be of a table that was small.
BLOCKS_TO_COUNT = 8


def next_block(
    low: list[str] | None, upper: list[str], rows: int, all_rows: int | None, counted: int = 0
) -> list[str]:
    """Return the bound of a range by ctid that has about so many rows.

    Args:
        all_rows: that the table has, up to `upper`; None if that is not known.
        counted: rows in the next `BLOCKS_TO_COUNT` blocks.
    """
    last = _block(upper)
    usual = (_ROWS_IN_BLOCK if not counted else 1) if all_rows is None else all_rows / last
    blocks = max(round(rows / max(usual, counted / BLOCKS_TO_COUNT, 1)), 1)
    return block_after(low, min(blocks, last - _block(low)))


def block_after(low: list[str] | None, blocks: int) -> list[str]:
    """Return the bound that is so many blocks behind another."""
    return [f"({_block(low) + blocks},0)"]


def _block(bound: list[str] | None) -> int:
    return int(bound[0].strip("()").partition(",")[0]) if bound else 0


def _row(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"ROW({', '.join(parts)})"


def quoted(*names: str) -> str:
    """Return a name as SQL writes it."""
    return sql.Identifier(*names).as_string(None)


def literal(text: str) -> str:
    """Return a string as SQL writes it, whatever standard_conforming_strings is."""
    doubled = text.replace("'", "''")
    return "E'" + doubled.replace("\\", "\\\\") + "'" if "\\" in text else f"'{doubled}'"
