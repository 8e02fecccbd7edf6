"""A part of a backfill: all of it on one server, or a shard on its node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .options import BackfillOptions
from .ranges import Column, Key, Range, literal, quoted
from .template import Template

#: The SQLSTATE by which a job tells that its shard is on another node now.
MOVED = "PBMVD"

#: Stands for the keys of a range until the job has read them.
_KEYS = "{pg_background_keys}"


class Frontier(NamedTuple):
    """How far a part was cut into ranges."""

    #: up to here, above nothing at first
    low: list[str] | None
    #: the highest key when it began; None if there was none
    upper: list[str] | None
    has_nulls: bool
    is_cut: bool
    next_number: int


@dataclass
class Part:
    """What is to be done in it, as its row in the table of backfills has it."""

    #: which backfill it is of; another one may have its name when this one was forgotten
    run: str
    name: str
    #: the number of a shard; empty without Citus
    part: str
    #: the name of its node; empty for a single server
    place: str
    statement: str
    #: the table, or shard, whose keys are read, as SQL writes it
    source: str
    key: Key
    estimated_rows: int | None
    options: BackfillOptions
    batch_size: int
    frontier: list[str] | None = None
    upper: list[str] | None = None
    has_nulls: bool = False
    is_cut: bool = False
    state: str = "running"
    #: ranges to be done that were cut already
    open: list[Range] = field(default_factory=list)

    @classmethod
    def of_row(cls, name: str, row: Sequence[Any]) -> Part:
        """Return it from what `StateSql.runs` gives."""
        run, part, place, statement, source, columns, types, rows, options, size, *rest = row
        key = Key(tuple(Column(*both) for both in zip(columns, types, strict=True)))
        return cls(
            str(run),
            name,
            part,
            place,
            statement,
            source,
            key,
            rows,
            BackfillOptions.from_json(options),
            size,
            *rest,
        )

    def row(self) -> tuple[Any, ...]:
        """Return what `StateSql.add` takes."""
        return (
            *(self.run, self.name, self.part, self.place, self.statement, self.source),
            [column.name for column in self.key.columns],
            [column.type_name for column in self.key.columns],
            *(self.estimated_rows, self.options.as_json(), self.batch_size),
            *(self.frontier, self.upper, self.has_nulls, self.is_cut, self.state),
        )

    def statement_of(self, piece: Range) -> str:
        """Return the statement for a range, as it is shown."""
        return Template(self.statement).filled(lambda before: piece.condition(self.key, before))

    def work(self, piece: Range) -> tuple[str, str]:
        """Return what the job of a range does, for `StateSql.job`: what is run, and what is done before."""
        if not self.part:
            return literal(self.statement_of(piece)), ""
        # Values of the distribution column lead Citus to the shard; by bounds it would ask all shards.
        column = self.key.columns[0]
        text = Template(self.statement).filled(
            lambda before: f"({before}{quoted(column.name)} OPERATOR(pg_catalog.=) ANY ({_KEYS}))"
        )
        array = f" OPERATOR(pg_catalog.||) '::pg_catalog.{column.type_name}[]'::pg_catalog.text"
        keys = f"pg_catalog.quote_literal(COALESCE(keys, '{{}}'::pg_catalog.text)){array}"
        return (
            f"pg_catalog.replace({literal(text)}::pg_catalog.text, '{_KEYS}'::pg_catalog.text, {keys})",
            self._read_keys(piece),
        )

    def _read_keys(self, piece: Range) -> str:
        name = quoted(self.key.columns[0].name)
        return f"""  IF NOT EXISTS (
    SELECT FROM pg_catalog.pg_dist_placement AS p
    JOIN pg_catalog.pg_dist_local_group AS l ON l.groupid OPERATOR(pg_catalog.=) p.groupid
    WHERE p.shardid OPERATOR(pg_catalog.=) {int(self.part)}::pg_catalog.int8
  ) THEN
    RAISE EXCEPTION 'shard {int(self.part)} is not on this node' USING ERRCODE = '{MOVED}';
  END IF;
  SELECT pg_catalog.array_agg(s.{name})::pg_catalog.text INTO keys
  FROM {self.source} AS s WHERE {piece.condition(self.key, "s.")};"""
