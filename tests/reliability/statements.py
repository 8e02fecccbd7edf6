"""Calls of every function of the extension, with arguments at random, in places where SQL may have them."""

from __future__ import annotations

import re
from typing import NamedTuple

from hypothesis import strategies as st

from ..support.calls import query
from ..support.jobs import Connection, Handle, launch, wait
from ..support.routines import Routine
from .arguments import COLUMNS, JOBS, argument

#: What a statement with a call may look like; {f} is the call, as something to select from.
FORMS = [
    "SELECT * FROM {f}",
    "SELECT * FROM {f} LIMIT 1",
    "SELECT (SELECT count(*) FROM {f}) FROM generate_series(1, 2)",
    "SELECT count(*) FROM generate_series(1, 2) g CROSS JOIN LATERAL (SELECT * FROM {f} LIMIT g) x",
    "SELECT * FROM {f} x WHERE EXISTS (SELECT FROM {f} y)",
    "WITH w AS MATERIALIZED (SELECT x::text FROM {f} x) SELECT * FROM w UNION ALL SELECT * FROM w ORDER BY 1",
    "EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM {f}",
    "SELECT jsonb_agg(x), max(x::text) FROM {f} x",
    "SELECT 1 / (count(*) - count(*)) FROM {f}",
    "DO $do$ BEGIN PERFORM * FROM {f}; RAISE division_by_zero;"
    " EXCEPTION WHEN OTHERS THEN PERFORM * FROM {f}; END $do$",
    "DO $do$ DECLARE c CURSOR FOR SELECT * FROM {f}; BEGIN FOR r IN c LOOP EXIT; END LOOP; END $do$",
    "SELECT * FROM pg_background_run_query($run$SELECT x::text FROM {f} x$run$, timeout_ms => 2000)"
    " AS (a text)",
    "COPY (SELECT * FROM {f}) TO '/dev/null'",
]

#: They change roles: what they have done is taken back.
_UNDONE = ("privileges", "executor_role")

#: SQLSTATEs, or their classes, that a call may fail with: mistakes of the caller, limits, states of jobs.
EXPECTED = re.compile(r"0A000|08006|22|25|2D|34|3B|3D|42|53|54|55|57014|P0")


#: Ends what no handle reaches: jobs that were detached run on.
CANCEL_RUNNING = "SELECT count(pg_cancel_backend(worker_pid)) FROM pg_background_jobs WHERE state = 'running'"


class Statement(NamedTuple):
    """A statement at random."""

    sql: str
    #: whether it is taken back
    undone: bool


@st.composite
def statements(draw: st.DrawFn, routines: list[Routine]) -> Statement:
    """Draw a call of one of the functions in one of the forms."""
    routine = draw(st.sampled_from(routines))
    arguments = ", ".join(
        draw(argument(name, type_name))
        for name, type_name in zip(routine.arguments, routine.types, strict=True)
    )
    called = f"{routine.schema}.{routine.name}({arguments})"
    undone = any(word in routine.name for word in _UNDONE)
    if routine.is_procedure:
        return Statement(f"CALL {called}", undone)
    if routine.needs_columns:
        called += f" AS x({draw(st.sampled_from(COLUMNS))})"
        forms = [form.replace("{f} x", "{f}").replace("{f} y", "{f}") for form in FORMS]
    else:
        forms = FORMS
    # By hand: arguments have braces of their own.
    form = draw(st.sampled_from(forms))
    return Statement(form.replace("{f}", called), undone)


class Jobs:
    """A job of each kind, made anew where a statement names one."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self.launched = 0

    def fill(self, sql: str) -> str:
        """Put handles of jobs into a statement."""
        for name, job in JOBS.items():
            if f"{{{name}." in sql:
                handle = self._make(name, job)
                sql = sql.replace(f"{{{name}.pid}}", str(handle.pid))
                sql = sql.replace(f"{{{name}.cookie}}", str(handle.cookie))
        return sql

    def _make(self, name: str, job: str) -> Handle:
        handle = launch(self._conn, job)
        self.launched += 1
        if name != "running":
            wait(self._conn, handle)
        return handle

    def clear(self) -> None:
        """End all jobs and forget those of the session, and let jobs be launched again."""
        query(self._conn, "SELECT pg_background_resume_server()")
        query(self._conn, "SELECT pg_background_cancel_all()")
        query(self._conn, "SELECT pg_background_detach_all()")
        query(self._conn, CANCEL_RUNNING)
