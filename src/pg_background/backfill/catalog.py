"""What the server's catalogue says of a table: its size, its columns, and what ranges can go by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .errors import BackfillError
from .ranges import TYPES, Column, Key, quoted

#: The table, whose name is the user's own and looked up as in the statement. Its rows are as the planner
#: estimates them: those of a block, in all blocks that there are now. They are NULL if that is not known
#: of it, or of a partition.
TABLE = """
SELECT c.oid, n.nspname, c.relname, c.relkind::pg_catalog.text, c.relpersistence::pg_catalog.text,
  (SELECT CASE WHEN pg_catalog.count(*) OPERATOR(pg_catalog.=) pg_catalog.count(e.rows)
     THEN pg_catalog.sum(e.rows)::pg_catalog.int8 END
   FROM pg_catalog.pg_class AS l
   CROSS JOIN LATERAL (
     SELECT pg_catalog.pg_relation_size(l.oid::pg_catalog.regclass) OPERATOR(pg_catalog./)
       pg_catalog.current_setting('block_size')::pg_catalog.int8 AS blocks
   ) AS f
   CROSS JOIN LATERAL (
     SELECT CASE WHEN f.blocks OPERATOR(pg_catalog.=) 0 THEN 0
       WHEN l.reltuples OPERATOR(pg_catalog.>=) 0 AND l.relpages OPERATOR(pg_catalog.>) 0
       THEN l.reltuples::pg_catalog.float8 OPERATOR(pg_catalog.*) f.blocks::pg_catalog.float8
         OPERATOR(pg_catalog./) l.relpages::pg_catalog.float8 END AS rows
   ) AS e
   WHERE l.oid OPERATOR(pg_catalog.=) c.oid AND c.relkind OPERATOR(pg_catalog.<>) 'p'
     OR l.oid OPERATOR(pg_catalog.=) ANY (
       SELECT t.relid::pg_catalog.oid FROM pg_catalog.pg_partition_tree(c.oid::pg_catalog.regclass) AS t
       WHERE c.relkind OPERATOR(pg_catalog.=) 'p' AND t.isleaf)),
  EXISTS (SELECT FROM pg_catalog.pg_inherits AS i WHERE i.inhparent OPERATOR(pg_catalog.=) c.oid)
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
WHERE c.oid OPERATOR(pg_catalog.=) %s::pg_catalog.regclass::pg_catalog.oid
"""

#: Its columns; of a domain the type below.
COLUMNS = """
WITH RECURSIVE below AS (
  SELECT a.attnum, a.attname, a.attnotnull, a.atttypid AS type
  FROM pg_catalog.pg_attribute AS a
  WHERE a.attrelid OPERATOR(pg_catalog.=) %s::pg_catalog.oid
    AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped
UNION ALL
  SELECT b.attnum, b.attname, b.attnotnull, t.typbasetype
  FROM below AS b JOIN pg_catalog.pg_type AS t ON t.oid OPERATOR(pg_catalog.=) b.type
  WHERE t.typtype OPERATOR(pg_catalog.=) 'd'
)
SELECT b.attnum, b.attname, b.attnotnull, t.typname
FROM below AS b
JOIN pg_catalog.pg_type AS t ON t.oid OPERATOR(pg_catalog.=) b.type
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) t.typnamespace
WHERE n.nspname OPERATOR(pg_catalog.=) 'pg_catalog' AND t.typtype OPERATOR(pg_catalog.<>) 'd'
"""

#: Its B-trees over all rows, each with the numbers of its columns; 0 is an expression.
INDEXES = """
SELECT i.indisprimary, i.indisunique,
  ARRAY(SELECT k.attnum FROM pg_catalog.unnest(i.indkey::pg_catalog.int2[]) WITH ORDINALITY AS k(attnum, n)
        WHERE k.n OPERATOR(pg_catalog.<=) i.indnkeyatts ORDER BY k.n)
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid
JOIN pg_catalog.pg_am AS m ON m.oid OPERATOR(pg_catalog.=) c.relam
WHERE i.indrelid OPERATOR(pg_catalog.=) %s::pg_catalog.oid AND i.indisvalid AND i.indpred IS NULL
  AND m.amname OPERATOR(pg_catalog.=) 'btree'
ORDER BY i.indisprimary DESC, i.indnkeyatts, i.indexrelid
"""


@dataclass(frozen=True)
class Table:
    """A table, as the catalogue has it."""

    oid: int
    schema: str
    name: str
    kind: str
    persistence: str
    #: None if it was never analyzed
    rows: int | None
    has_children: bool
    #: by number
    columns: dict[int, tuple[Column, bool]]
    #: whether primary, whether unique, numbers of the columns
    indexes: Sequence[tuple[bool, bool, list[int]]]

    @property
    def quoted(self) -> str:
        """Its name as SQL writes it, with its schema."""
        return quoted(self.schema, self.name)

    def check(self) -> None:
        """See that jobs can work on it.

        Raises:
            BackfillError: they can't.
        """
        if self.kind not in ("r", "p", "m"):
            raise BackfillError(f"{self.quoted} is not a table", hint="name the table whose rows are meant")
        if self.persistence == "t":
            raise BackfillError(f"{self.quoted} is a temporary table, which jobs don't see")

    def key(self, names: Sequence[str] | None) -> tuple[Key, list[str], bool]:
        """Return the key to go by, what is to be said about it, and whether rows may have none.

        Args:
            names: of its columns, or "ctid"; None for the primary key, or else another that is unique.

        Raises:
            BackfillError: there is none, or it can't be used.
        """
        if names is None:
            return self._own_key(), [], False
        if list(names) == ["ctid"]:
            return self._ctid(), [_CTID], False
        by_name = {column.name: (number, column, known) for number, (column, known) in self.columns.items()}
        for name in names:
            if name not in by_name or by_name[name][1].type_name not in TYPES:
                raise BackfillError(
                    f'{self.quoted} has no column "{name}" that can be a key',
                    hint=f"keys are columns of the types {', '.join(sorted({*TYPES} - {'tid'}))}, or ctid",
                )
        found = [by_name[name] for name in names]
        can_be_null = not all(not_null for _, _, not_null in found)
        if can_be_null and len(found) > 1:
            raise BackfillError("a key of several columns must not have NULLs: declare them NOT NULL")
        numbers = [number for number, _, _ in found]
        warnings = [
            f"no index begins with {', '.join(names)}: each range reads the whole table"
            for _ in [1]
            if not any(columns[: len(numbers)] == numbers for _, _, columns in self.indexes)
        ]
        if can_be_null:
            warnings.append(f"the rows whose {names[0]} is NULL are one range, however many they are")
        return Key(tuple(column for _, column, _ in found)), warnings, can_be_null

    def _own_key(self) -> Key:
        for _, is_unique, numbers in self.indexes:
            found = [self.columns.get(number) for number in numbers]
            if is_unique and all(f is not None and f[1] and f[0].type_name in TYPES for f in found):
                return Key(tuple(f[0] for f in found if f is not None))
        raise BackfillError(
            f"{self.quoted} has no unique key to go by",
            hint="name the columns of an index by key; or key ctid, by which rows that are moved meanwhile "
            "may be left out or come twice",
        )

    def _ctid(self) -> Key:
        if self.kind == "p" or self.has_children:
            raise BackfillError(
                f"{self.quoted} has partitions or children, whose ctid are not unique",
                hint="go by a key, or do it for each partition",
            )
        return Key((Column("ctid", "tid"),))


_CTID = (
    "an UPDATE moves rows: by ctid those that are updated meanwhile, by this statement too, may come twice "
    "or be left out. Let its WHERE say which rows are left, and run it again until it changes none"
)
