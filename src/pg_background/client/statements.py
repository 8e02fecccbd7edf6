"""The SQL that a client sends: no name or operator in it is looked up through a search_path."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from psycopg import sql

from .functions import call
from .model import JobColumn

if TYPE_CHECKING:
    from typing import LiteralString

#: Finds the extension. A pooler between shows by the pid, which it makes up when a client connects.
FIND_EXTENSION = """
SELECT n.nspname, pg_catalog.pg_backend_pid()
FROM (VALUES (1)) AS always(here)
LEFT JOIN (pg_catalog.pg_extension e
           JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace)
  ON e.extname OPERATOR(pg_catalog.=) 'pg_background'
"""

#: So that jobs which are launched from then on tell when they end …
NOTIFY_ENDS = "SET pg_background.notify_channel = 'pg_background'"
NOTIFY_NO_ENDS = "SET pg_background.notify_channel = ''"
#: … a session that has sent this. All clients have one channel: with one for each, workers would have another
#: setting to change from job to job, and the payload tells whose job it was.
LISTEN = "LISTEN pg_background"
#: Wakes those who listen, to no end.
NUDGE = "NOTIFY pg_background"

_START = call("pg_background_start")
#: Only the query, its values and what is done when there is no worker are not as they are by default.
_START_PLAIN = call("pg_background_start", "%s", "%s", "NULL", "0", "0", "NULL", "false", "false", "%s")

#: It refers to the settings' new values, so that it comes after these were set.
_START_DURING = _START.replace("%s", "(CASE WHEN s.during IS NOT NULL THEN %s END)", 1)

#: The settings that a launch may have of its own.
LIMIT: LiteralString = "pg_background.worker_timeout"
READ_ONLY: LiteralString = "pg_background.read_only"
TRACEPARENT: LiteralString = "pg_background.traceparent"

#: What a server may not know, and a launch can do without.
_OPTIONAL = (TRACEPARENT,)

#: Handles, h, that are given as two arrays.
_ARRAYS = "ROWS FROM (pg_catalog.unnest(%s::pg_catalog.int4[]), pg_catalog.unnest(%s::pg_catalog.int8[]))"
_HANDLES = f"{_ARRAYS} AS h(pid, cookie)"

#: The handle of one job, h.
HANDLE = "(VALUES (%s::pg_catalog.int4, %s::pg_catalog.int8)) AS h(pid, cookie)"

_OUTCOME = f"LATERAL {call('pg_background_outcome', 'h.pid', 'h.cookie')} AS o"
_OUTCOME_COLUMNS = "h.pid, h.cookie, o.state, o.row_count, o.command_tag, o.sqlstate, o.error_message"
_OUTCOMES = f"SELECT {_OUTCOME_COLUMNS} FROM "


def _epoch(moment: LiteralString) -> LiteralString:
    """Return a time as seconds since 1970, in whatever time zone and style the session shows times."""
    return f"pg_catalog.date_part('epoch'::pg_catalog.text, {moment})"


#: The handle of one job in statements that name it several times.
_BY_NAME = ("%(pid)s", "%(cookie)s")

#: A row of pg_background_jobs is that of a handle.
_SAME_JOB = "j.pid OPERATOR(pg_catalog.=) h.pid AND j.cookie OPERATOR(pg_catalog.=) h.cookie"


_IF_WITHOUT_ROWS: LiteralString = (
    "(CASE WHEN (o.o).state OPERATOR(pg_catalog.=) 'stopped'::pg_catalog.text"
    " AND (o.o).command_tag OPERATOR(pg_catalog.=) %s::pg_catalog.text"
    f" THEN CASE WHEN NOT EXISTS (SELECT FROM {call('pg_background_describe', 'h.pid', 'h.cookie')})"
    " THEN h.cookie END END)"
)

#: Waits as long as it is told, and gives the cookie of a job that has rows of those columns, each written as
#: name and type.
_IF_SO_SHAPED: LiteralString = (
    f"(CASE WHEN {call('pg_background_wait', *_BY_NAME, '%(patience)s')} THEN CASE WHEN"
    " (SELECT (i.i).completed AND NOT (i.i).has_error"
    " AND (i.i).row_count OPERATOR(pg_catalog.>) 0::pg_catalog.int8 FROM"
    f" (SELECT {call('pg_background_result_info', *_BY_NAME)} AS i OFFSET 0) AS i)"
    f" AND NOT EXISTS (SELECT FROM {call('pg_background_describe', *_BY_NAME)} AS d WHERE COALESCE("
    "(d.name OPERATOR(pg_catalog.||) ' '::pg_catalog.text OPERATOR(pg_catalog.||) d.type_name)"
    " OPERATOR(pg_catalog.<>) ({columns}::pg_catalog.text[])[d.ordinal], true))"
    " THEN %(cookie)s END END)"
)

#: The limit of workers in the server; 0 leaves that to it.
_CAPACITY: LiteralString = (
    "(SELECT CASE WHEN s.own OPERATOR(pg_catalog.<>) '0'::pg_catalog.text THEN s.own"
    " ELSE pg_catalog.current_setting('max_worker_processes') END::pg_catalog.int4 AS capacity"
    " FROM pg_catalog.current_setting('pg_background.max_total_workers') AS s(own)) AS c"
)

#: Those of `Statements` that are sent as they are, with parameters.
StatementName = Literal[
    "cancel",
    "describe",
    "detach",
    "ended",
    "error_info",
    "finished",
    "held_up",
    "inspect",
    "outcome",
    "progress",
]


class Statements:
    """The statements, for the schema that the extension is in."""

    def __init__(self, schema: str) -> None:
        self._schema = identifier(schema)
        self.start = self._sql(f"SELECT pid, cookie FROM {_START}")
        self.start_plain = self._sql(f"SELECT pid, cookie FROM {_START_PLAIN}")
        self._start_with: dict[tuple[LiteralString, ...], sql.SQL] = {}
        #: Of those handles that are final or unknown.
        self.finished = self._sql(
            f"{_OUTCOMES}{_HANDLES} CROSS JOIN {_OUTCOME}"
            " WHERE o.state IS NULL OR o.state OPERATOR(pg_catalog.<>)"
            " ALL ('{{queued,starting,running}}'::pg_catalog.text[])"
        )
        self.outcome = self._sql(f"{_OUTCOMES}{HANDLE} CROSS JOIN {_OUTCOME}")
        #: Waits so many milliseconds; without an outcome the job goes on. Of a job that has given no rows,
        #: and whose tag is the one that is expected, all that can be read is taken: its notices come.
        self.look = self._sql(
            "SELECT h.pid, h.cookie, (o.o).state, (o.o).row_count, (o.o).command_tag, (o.o).sqlstate,"
            f" (o.o).error_message, t.tags FROM {HANDLE} CROSS JOIN LATERAL (SELECT"
            f" CASE WHEN {call('pg_background_wait', 'h.pid', 'h.cookie', '%s')}"
            f" THEN {call('pg_background_outcome', 'h.pid', 'h.cookie')} END AS o OFFSET 0) AS o"
            " CROSS JOIN LATERAL (SELECT pg_catalog.count(*) AS tags FROM "
            f"{call('pg_background_result_json', 'h.pid', _IF_WITHOUT_ROWS)}) AS t"
        )
        self.label = self._sql(f"SELECT label FROM {call('pg_background_outcome')}")
        #: Of those handles that end within so many milliseconds, with their times, which are told until the
        #: result is read. It is for jobs that somebody follows.
        self.ended = self._sql(
            f"SELECT {_OUTCOME_COLUMNS}, {_epoch('o.launched_at')}, {_epoch('(i.i).started_at')},"
            f" {_epoch('(i.i).finished_at')} FROM (VALUES (%s::pg_catalog.int4)) AS p(patience)"
            f" CROSS JOIN {_HANDLES} CROSS JOIN LATERAL (SELECT"
            f" CASE WHEN {call('pg_background_wait', 'h.pid', 'h.cookie', 'p.patience')}"
            f" THEN {call('pg_background_outcome', 'h.pid', 'h.cookie')} END AS o OFFSET 0) AS w"
            " CROSS JOIN LATERAL (SELECT (w.o).*) AS o CROSS JOIN LATERAL (SELECT CASE WHEN NOT o.consumed"
            f" THEN {call('pg_background_result_info', 'h.pid', 'h.cookie')} END AS i OFFSET 0) AS i"
            " WHERE o.completed"
        )
        #: Of those handles that wait for this session, which waits for them.
        self.held_up = self._sql(
            f"SELECT j.pid, j.cookie FROM {{schema}}.pg_background_jobs AS j"
            f" JOIN {_HANDLES} ON {_SAME_JOB}"
            " WHERE pg_catalog.pg_backend_pid() OPERATOR(pg_catalog.=) ANY (j.blocked_by)"
        )
        self.progress = self._sql(
            "SELECT p.progress_pct, p.progress_msg"
            f" FROM {_ARRAYS} WITH ORDINALITY AS h(pid, cookie, n)"
            f" CROSS JOIN LATERAL {call('pg_background_get_progress', 'h.pid', 'h.cookie')} AS p ORDER BY h.n"
        )
        self.describe = self._sql(
            "SELECT d.name, d.type_name, d.type::pg_catalog.oid, n.nspname, t.typname"
            f" FROM {call('pg_background_describe')} AS d"
            " LEFT JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) d.type::pg_catalog.oid"
            " AND t.typname OPERATOR(pg_catalog.<>) 'void'"
            " LEFT JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) t.typnamespace"
            " ORDER BY d.ordinal"
        )
        self.error_info = self._sql(
            f"SELECT sqlstate, message, detail, hint FROM {call('pg_background_error_info')}"
        )
        self.cancel = self._sql(f"SELECT {call('pg_background_cancel')}")
        self.detach = self._sql(f"SELECT {call('pg_background_detach')}")
        self.jobs = self._sql("SELECT * FROM {schema}.pg_background_jobs")
        self.job_and_sql = self._sql(
            f"SELECT j.*, {call('pg_background_full_sql', 'j.pid', 'j.cookie')} AS full_sql"
            f" FROM {{schema}}.pg_background_jobs AS j JOIN {HANDLE} ON {_SAME_JOB}"
        )
        self.inspect = self._sql(
            f"SELECT {call('pg_background_full_sql', 'h.pid', 'h.cookie')},"
            " e.sqlstate, e.message, e.detail, e.hint, e.context,"
            " e.schema_name, e.table_name, e.column_name, e.constraint_name"
            f" FROM {HANDLE} CROSS JOIN LATERAL {call('pg_background_error_info', 'h.pid', 'h.cookie')} AS e"
        )
        #: Jobs that have not ended, and how many run at once: a limit of 0 leaves that to the server.
        self.load = self._sql(
            f"SELECT l.live AS jobs, c.capacity FROM {call('pg_background_registry')} AS l, {_CAPACITY}"
        )
        #: For roles that may not see the registry: of others the list shows the processes.
        self.load_of_jobs = self._sql(
            "SELECT l.live AS jobs, c.capacity FROM (SELECT pg_catalog.count(*) AS live"
            " FROM {schema}.pg_background_jobs AS j WHERE j.state IS NULL"
            " OR j.state OPERATOR(pg_catalog.=) ANY ('{{queued,starting,running}}'::pg_catalog.text[])) AS l,"
            f" {_CAPACITY}"
        )
        self.stats = self._sql(f"SELECT * FROM {call('pg_background_stats')}")

        #: As many rows as the job has, of no columns: none where it has tags only. No column list has zero
        #: columns. As JSON such a row is an empty object, and a tag is not.
        self.rows_without_columns = self._sql(
            f"SELECT FROM {call('pg_background_result_json')} AS r"
            " WHERE r::pg_catalog.text OPERATOR(pg_catalog.=) '{{}}'::pg_catalog.text"
        )

    def _sql(self, text: LiteralString, **parts: sql.Composable) -> sql.SQL:
        """Return a statement that need not be put together again each time that it is sent."""
        return written(sql.SQL(text).format(schema=self._schema, **parts))

    def start_with(self, settings: tuple[LiteralString, ...]) -> sql.SQL:
        """Return `start` with settings of the job's own, whose values come before the other parameters.

        They are set for the launch and taken back after it, in one statement.

        Args:
            settings: one or more of the names above.
        """
        if settings not in self._start_with:
            self._start_with[settings] = self._sql(_start_with(settings))
        return self._start_with[settings]

    def result(self, columns: Sequence[JobColumn]) -> sql.SQL:
        """Read rows."""
        return self._reading(self._sql(call("pg_background_result")), columns)

    def result_if_shaped(self, columns: Sequence[JobColumn]) -> sql.SQL:
        """Read rows of a job that ends in the time given, if they are of these columns and there are any.

        Otherwise no rows come, and nothing of the job is taken.
        """
        lines: Any = sql.Literal([f"{column.name} {column.type_name}" for column in columns]).as_string()
        function = self._sql(
            call("pg_background_result", "%(pid)s", _IF_SO_SHAPED), columns=sql.SQL(lines.replace("%", "%%"))
        )
        return self._reading(function, columns)

    @staticmethod
    def _reading(function: sql.SQL, columns: Sequence[JobColumn]) -> sql.SQL:
        """Read rows of these columns. Inside they have numbers for names, as two may have the same."""
        composed = sql.SQL("SELECT {} FROM {} AS r({})").format(
            sql.SQL(", ").join(
                sql.SQL("r.{} AS {}").format(sql.Identifier(f"c{n}"), identifier(column.name))
                for n, column in enumerate(columns)
            ),
            function,
            sql.SQL(", ").join(
                sql.SQL("{} {}").format(sql.Identifier(f"c{n}"), _type_of(column))
                for n, column in enumerate(columns)
            ),
        )
        return written(composed)


def _start_with(settings: tuple[LiteralString, ...]) -> LiteralString:
    before = ", ".join(f"{_current(name)} AS {_before(n)}" for n, name in enumerate(settings))
    during = ", ".join(_if_known(name, f"pg_catalog.set_config('{name}', %s, true)") for name in settings)
    after = ", ".join(
        _if_known(name, f"pg_catalog.set_config('{name}', s.{_before(n)}, true)")
        for n, name in enumerate(settings)
    )
    return (
        f"SELECT h.pid, h.cookie, {after}"
        f" FROM (SELECT {before}, pg_catalog.concat({during}) AS during OFFSET 0) AS s"
        f" CROSS JOIN LATERAL {_START_DURING} AS h"
    )


def _before(number: int) -> LiteralString:
    names: tuple[LiteralString, ...] = ("before_0", "before_1", "before_2")
    return names[number]


def _current(name: LiteralString) -> LiteralString:
    missing: LiteralString = ", true" if name in _OPTIONAL else ""
    return f"pg_catalog.current_setting('{name}'{missing})"


def _if_known(name: LiteralString, call_of_it: LiteralString) -> LiteralString:
    return (
        f"CASE WHEN {_current(name)} IS NOT NULL THEN {call_of_it} END" if name in _OPTIONAL else call_of_it
    )


def written(composed: sql.Composed) -> sql.SQL:
    """Return what was composed as one piece."""
    text: Any = composed.as_string()
    return sql.SQL(text)


def identifier(*names: str) -> sql.SQL:
    """Return a name for statements with placeholders, to which a percent sign in it would be one."""
    quoted: Any = sql.Identifier(*names).as_string().replace("%", "%%")
    return sql.SQL(quoted)


#: How the server writes built-in types with modifiers. These words mean them under every search_path.
_MODIFIED = re.compile(
    r"""(
    (character|character\ varying|bit|bit\ varying|numeric) \([0-9,-]+\)
    | (time|timestamp) \(\d\) \ (with|without)\ time\ zone
    | interval ([ ](year|month|day|hour|minute|second|to))* (\(\d\))?
    ) (\[\])?""",
    re.VERBOSE,
)


def _type_of(column: JobColumn) -> sql.SQL:
    """Return a column's type; a built-in one with its modifiers, for psycopg tells precision and scale."""
    is_built_in = column.type_path[0] == "pg_catalog" and column.type_path[1] != "text"
    written: Any = column.type_name
    if is_built_in and _MODIFIED.fullmatch(written):
        return sql.SQL(written)
    return identifier(*column.type_path)
