"""The tables in which backfills are kept, and the SQL about them: nothing is looked up by the search_path.

They belong to the role that made the first backfill, and nobody else may use them. Only tables of the
role's own are used: those of others may have triggers, which would run with its rights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import sql

from ..client.statements import identifier, written
from .ranges import literal

if TYPE_CHECKING:
    from typing import LiteralString

RUNS = "pg_background_backfill"
RANGES = "pg_background_backfill_range"

#: The schemas in which the role has both tables, and whether others may write to them.
FIND = """
SELECT n.nspname, EXISTS (
  SELECT FROM (
    SELECT x.grantee, x.privilege_type FROM pg_catalog.aclexplode(c.relacl) AS x
    UNION ALL
    SELECT x.grantee, x.privilege_type FROM pg_catalog.aclexplode(g.relacl) AS x
    UNION ALL
    SELECT x.grantee, x.privilege_type
    FROM pg_catalog.pg_attribute AS k, LATERAL pg_catalog.aclexplode(k.attacl) AS x
    WHERE k.attrelid OPERATOR(pg_catalog.=) ANY (ARRAY[c.oid, g.oid])
  ) AS a
  WHERE a.grantee OPERATOR(pg_catalog.<>) c.relowner
    AND a.privilege_type OPERATOR(pg_catalog.<>) ALL ('{SELECT,REFERENCES,MAINTAIN}'::pg_catalog.text[]))
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_roles AS r ON r.oid OPERATOR(pg_catalog.=) c.relowner
JOIN pg_catalog.pg_class AS g ON g.relnamespace OPERATOR(pg_catalog.=) c.relnamespace
  AND g.relowner OPERATOR(pg_catalog.=) c.relowner
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
WHERE c.relname OPERATOR(pg_catalog.=) 'pg_background_backfill'
  AND g.relname OPERATOR(pg_catalog.=) 'pg_background_backfill_range'
  AND c.relkind OPERATOR(pg_catalog.=) 'r' AND g.relkind OPERATOR(pg_catalog.=) 'r'
  AND c.relpersistence OPERATOR(pg_catalog.=) 'p'
  AND r.rolname OPERATOR(pg_catalog.=) CURRENT_USER
  AND (%s::pg_catalog.text IS NULL OR n.nspname OPERATOR(pg_catalog.=) %s::pg_catalog.text)
ORDER BY n.nspname
"""

#: Who else got rights on a new table, by ALTER DEFAULT PRIVILEGES; PUBLIC is NULL.
GRANTEES = """
SELECT DISTINCT r.rolname
FROM pg_catalog.pg_class AS c
CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) AS x
LEFT JOIN pg_catalog.pg_roles AS r ON r.oid OPERATOR(pg_catalog.=) x.grantee
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
WHERE n.nspname OPERATOR(pg_catalog.=) %s::pg_catalog.name
  AND c.relname OPERATOR(pg_catalog.=) ANY (ARRAY['pg_background_backfill', 'pg_background_backfill_range'])
  AND x.grantee OPERATOR(pg_catalog.<>) c.relowner
"""

#: Of a table's file, by its name.
BLOCKS = (
    "SELECT pg_catalog.pg_relation_size(%s::pg_catalog.regclass) OPERATOR(pg_catalog./)"
    " pg_catalog.current_setting('block_size')::pg_catalog.int8"
)

_CREATE_RUNS: LiteralString = """
CREATE TABLE {runs} (
  run pg_catalog.uuid, part pg_catalog.text, PRIMARY KEY (run, part),
  name pg_catalog.text NOT NULL, UNIQUE (name, part),
  place pg_catalog.text NOT NULL,
  statement pg_catalog.text NOT NULL,
  source pg_catalog.text NOT NULL,
  key_columns pg_catalog.text[] NOT NULL, key_types pg_catalog.text[] NOT NULL,
  estimated_rows pg_catalog.int8,
  options pg_catalog.text NOT NULL,
  batch_size pg_catalog.int8 NOT NULL,
  frontier pg_catalog.text[], upper pg_catalog.text[],
  has_nulls pg_catalog.bool NOT NULL, is_cut pg_catalog.bool NOT NULL,
  next_number pg_catalog.int8 NOT NULL DEFAULT 1,
  state pg_catalog.text NOT NULL DEFAULT 'running',
  waited pg_catalog.jsonb NOT NULL DEFAULT '{{}}',
  began_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  ended_at pg_catalog.timestamptz
)
"""

_CREATE_RANGES: LiteralString = """
CREATE TABLE {ranges} (
  run pg_catalog.uuid, part pg_catalog.text, number pg_catalog.int8, PRIMARY KEY (run, part, number),
  FOREIGN KEY (run, part) REFERENCES {runs} ON DELETE CASCADE,
  low pg_catalog.text[], high pg_catalog.text[], is_null pg_catalog.bool NOT NULL,
  size pg_catalog.int8 NOT NULL,
  state pg_catalog.text NOT NULL DEFAULT 'open',
  tries pg_catalog.int4 NOT NULL DEFAULT 0,
  rows pg_catalog.int8, seconds pg_catalog.float8,
  sqlstate pg_catalog.text, message pg_catalog.text,
  ended_at pg_catalog.timestamptz
)
"""

#: A job, or a process, that is left of a backfill which was forgotten must not work at another of its name.
_RUN: LiteralString = "run OPERATOR(pg_catalog.=) %s::pg_catalog.uuid"
_THIS: LiteralString = f"{_RUN} AND part OPERATOR(pg_catalog.=) %s::pg_catalog.text"
_NAMED: LiteralString = "name OPERATOR(pg_catalog.=) %s::pg_catalog.text"
_NUMBERED: LiteralString = f"{_THIS} AND number OPERATOR(pg_catalog.=) %s::pg_catalog.int8"
_IS: LiteralString = "state OPERATOR(pg_catalog.=)"

#: The runner's statement about a job's range comes too late where the job has committed.
_OPEN: LiteralString = f"{_NUMBERED} AND {_IS} 'open'"


class StateSql:
    """The statements, for the schema that the tables are in."""

    def __init__(self, schema: str) -> None:
        self._runs = identifier(schema, RUNS)
        self._ranges = identifier(schema, RANGES)
        self.create = (self._sql(_CREATE_RUNS), self._sql(_CREATE_RANGES))
        self._revoke = sql.SQL("REVOKE ALL ON {}, {} FROM ").format(self._runs, self._ranges)
        self.add = self._sql(
            "INSERT INTO {runs} (run, name, part, place, statement, source, key_columns, key_types,"
            " estimated_rows, options, batch_size, frontier, upper, has_nulls, is_cut, state)"
            " VALUES (%s::pg_catalog.uuid, %s::pg_catalog.text, %s::pg_catalog.text, %s::pg_catalog.text,"
            " %s::pg_catalog.text, %s::pg_catalog.text,"
            " %s::pg_catalog.text[], %s::pg_catalog.text[], %s::pg_catalog.int8, %s::pg_catalog.text,"
            " %s::pg_catalog.int8, %s::pg_catalog.text[], %s::pg_catalog.text[], %s::pg_catalog.bool,"
            " %s::pg_catalog.bool, %s::pg_catalog.text)"
        )
        self.runs = self._sql(
            "SELECT run, part, place, statement, source, key_columns, key_types, estimated_rows, options,"
            " batch_size, frontier, upper, has_nulls, is_cut, state"
            f" FROM {{runs}} WHERE {_NAMED} ORDER BY part"
        )
        #: Held until the range that follows is in the table: two who work at it cut different ones.
        self.frontier = self._sql(
            "SELECT frontier, upper, has_nulls, is_cut, next_number FROM {runs}"
            f" WHERE {_THIS} AND {_IS} 'running' FOR UPDATE"
        )
        self.add_range = self._sql(
            "INSERT INTO {ranges} (run, part, number, low, high, is_null, size) VALUES (%s::pg_catalog.uuid,"
            " %s::pg_catalog.text, %s::pg_catalog.int8, %s::pg_catalog.text[], %s::pg_catalog.text[],"
            " %s::pg_catalog.bool, %s::pg_catalog.int8)"
        )
        self.advance = self._sql(
            "UPDATE {runs} SET frontier = %s::pg_catalog.text[], has_nulls = %s::pg_catalog.bool,"
            " is_cut = %s::pg_catalog.bool, batch_size = %s::pg_catalog.int8,"
            f" next_number = next_number OPERATOR(pg_catalog.+) 1 WHERE {_THIS}"
        )
        self.skip_to = self._sql(f"UPDATE {{runs}} SET next_number = %s::pg_catalog.int8 WHERE {_THIS}")
        self.left = self._sql(
            "SELECT number, low, high, is_null, size, tries, tries FROM {ranges}"
            f" WHERE {_THIS} AND {_IS} 'open' ORDER BY number"
        )
        #: Waits for the jobs that run: afterwards their ranges are done, or theirs no more.
        self.unfinished = self._sql(
            "SELECT number, low, high, is_null, size FROM {ranges}"
            f" WHERE {_THIS} AND state OPERATOR(pg_catalog.<>) 'done' ORDER BY number FOR UPDATE"
        )
        self.drop_unfinished = self._sql(
            f"DELETE FROM {{ranges}} WHERE {_THIS} AND state OPERATOR(pg_catalog.<>) 'done'"
        )
        self.move_away = self._sql(f"UPDATE {{runs}} SET state = 'moved' WHERE {_THIS}")
        self.come_back = self._sql(
            "UPDATE {runs} SET frontier = %s::pg_catalog.text[], is_cut = %s::pg_catalog.bool,"
            f" place = %s::pg_catalog.text, state = 'running', ended_at = NULL WHERE {_THIS}"
        )
        self.frontier_of_all = self._sql(
            f"SELECT frontier, upper, has_nulls, is_cut, next_number FROM {{runs}} WHERE {_THIS} FOR UPDATE"
        )
        self.outcome = self._sql(f"SELECT state, rows, seconds FROM {{ranges}} WHERE {_NUMBERED}")
        self.seize = self._sql(f"SELECT number FROM {{ranges}} WHERE {_OPEN} FOR UPDATE SKIP LOCKED")
        self.failed = self._sql(
            "UPDATE {ranges} SET state = 'failed', sqlstate = %s::pg_catalog.text,"
            " message = %s::pg_catalog.text, tries = %s::pg_catalog.int4,"
            f" ended_at = pg_catalog.clock_timestamp() WHERE {_OPEN}"
        )
        self.state = self._sql(f"SELECT state FROM {{runs}} WHERE {_THIS}")
        self.go_on = self._sql(
            "UPDATE {runs} SET state = 'running', ended_at = NULL, options = %s::pg_catalog.text,"
            f" batch_size = %s::pg_catalog.int8 WHERE {_THIS}"
        )
        self.open_failed = self._sql(f"UPDATE {{ranges}} SET state = 'open' WHERE {_THIS} AND {_IS} 'failed'")
        self.ask_to_stop = self._sql(
            f"UPDATE {{runs}} SET state = 'stopping' WHERE {_NAMED} AND {_IS} 'running'"
        )
        self.end = self._sql(
            "UPDATE {runs} AS r SET state = CASE WHEN r.is_cut AND NOT EXISTS (SELECT FROM {ranges} AS g"
            " WHERE g.run OPERATOR(pg_catalog.=) r.run AND g.part OPERATOR(pg_catalog.=) r.part"
            " AND g.state OPERATOR(pg_catalog.=) 'open') THEN 'done' ELSE 'stopped' END,"
            " ended_at = pg_catalog.clock_timestamp(), waited = %s::pg_catalog.jsonb"
            f" WHERE {_THIS}"
        )
        self.waited = self._sql(f"SELECT waited FROM {{runs}} WHERE {_THIS}")
        self.forget = self._sql(f"DELETE FROM {{runs}} WHERE {_NAMED}")
        self.totals = self._sql(
            "SELECT pg_catalog.count(*) FILTER (WHERE g.state OPERATOR(pg_catalog.=) 'done'),"
            " pg_catalog.count(*) FILTER (WHERE g.state OPERATOR(pg_catalog.=) 'failed'),"
            " pg_catalog.count(*) FILTER (WHERE g.state OPERATOR(pg_catalog.=) 'open'),"
            " COALESCE(pg_catalog.sum(g.rows), 0)::pg_catalog.int8,"
            " COALESCE(pg_catalog.sum(g.tries), 0)::pg_catalog.int8,"
            " COALESCE(pg_catalog.sum(g.size) FILTER (WHERE g.state OPERATOR(pg_catalog.=) 'done'), 0)"
            "   ::pg_catalog.int8"
            f" FROM {{ranges}} AS g WHERE {_RUN}"
        )
        self.summary = self._sql(
            "SELECT state, is_cut, pg_catalog.date_part('epoch', ended_at OPERATOR(pg_catalog.-) began_at),"
            f" waited FROM {{runs}} WHERE {_RUN}"
        )
        self.errors = self._sql(
            "SELECT part, number, low, high, sqlstate, message, tries FROM {ranges}"
            f" WHERE {_RUN} AND {_IS} 'failed' ORDER BY part, number LIMIT 100"
        )

    def _sql(self, text: LiteralString) -> sql.SQL:
        return written(sql.SQL(text).format(runs=self._runs, ranges=self._ranges))

    def revoke(self, grantee: str | None) -> sql.Composed:
        """Return what takes a role's rights away; None is PUBLIC."""
        return self._revoke + (sql.SQL("PUBLIC") if grantee is None else identifier(grantee))

    def job(
        self,
        run: str,
        part: str,
        number: int,
        tries: int,
        lock_timeout: float,
        statement: str,
        before: str = "",
    ) -> str:
        """Return the SQL of a range's job: the statement and its bookkeeping, in one transaction.

        The lock on the range's row comes first: of two jobs for one range, such as one that a process that
        died has left behind, the second waits for the first, and finds it done.

        Args:
            statement: an expression of PL/pgSQL, whose value is run.
            before: what is done before that; it may declare nothing.
        """
        ranges = self._ranges.as_string(None).replace("%%", "%")
        where = (
            f"g.run OPERATOR(pg_catalog.=) {literal(run)}::pg_catalog.uuid"
            f" AND g.part OPERATOR(pg_catalog.=) {literal(part)}::pg_catalog.text"
            f" AND g.number OPERATOR(pg_catalog.=) {number}::pg_catalog.int8"
        )
        body = f"""
#variable_conflict use_column
DECLARE
  changed pg_catalog.int8;
  keys pg_catalog.text;
  began pg_catalog.timestamptz := pg_catalog.clock_timestamp();
BEGIN
  PERFORM pg_catalog.set_config('lock_timeout', '{max(round(lock_timeout * 1000), 1)}', true);
  PERFORM FROM {ranges} AS g WHERE {where} AND g.state OPERATOR(pg_catalog.=) 'open' FOR UPDATE;
  IF NOT FOUND THEN
    RETURN;
  END IF;
{before}
  EXECUTE {statement};
  GET DIAGNOSTICS changed = ROW_COUNT;
  UPDATE {ranges} AS g SET state = 'done', rows = changed, tries = {tries}::pg_catalog.int4,
    sqlstate = NULL, message = NULL, ended_at = pg_catalog.clock_timestamp(),
    seconds = pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) began)
  WHERE {where};
END"""
        return f"DO LANGUAGE plpgsql {literal(body)}"
