"""The jobs of the load: what each does, how it is used, and what it must come to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: Commits that job {n} was there, once for each time that it ran, with who it was.
INSERT = "INSERT INTO effects VALUES ({n})"

FINAL = frozenset({"stopped", "error", "canceled", "timed_out", "lost"})

STOPPED = frozenset({"stopped"})

Use = Literal["read", "wait", "cancel", "cancel soon", "forget", "none"]


@dataclass(frozen=True, repr=False)
class Kind:
    """A kind of job."""

    name: str
    #: with {n} for its number
    sql: str
    #: the states that it may come to when nobody disturbs it
    ends: frozenset[str] = STOPPED
    #: rows that a reader gets
    rows: int = 0
    #: how often it commits its row when it has `stopped`
    effects: int = 1
    #: in one transaction, so that it commits all or nothing
    is_atomic: bool = True
    #: the call that returns its handle, given the SQL
    call: str = "pg_background_launch(%s)"
    use: Use = "read"
    #: its rows and its handle are kept until somebody takes them
    is_kept: bool = True
    #: of its owner instead of the session's role
    as_definer: bool = False
    weight: int = 1

    def __repr__(self) -> str:
        return self.name


KINDS = (
    Kind("insert", INSERT, rows=1, weight=5),
    Kind("rows", INSERT + "; SELECT g::text FROM generate_series(1, 50) g", rows=50, weight=4),
    Kind("much", INSERT + "; SELECT repeat('x', 1000) FROM generate_series(1, 300) g", rows=300, weight=2),
    Kind("nap", INSERT + "; SELECT pg_sleep(0.004)::text", rows=1, weight=2),
    Kind("late error", INSERT + "; SELECT (1 / 0)::text", ends=frozenset({"error"}), weight=2),
    Kind("early error", "SELECT 1 / 0; " + INSERT, ends=frozenset({"error"})),
    Kind("endless", INSERT + "; SELECT pg_sleep(3600)::text", frozenset({"canceled"}), use="cancel"),
    Kind(
        "raced",
        INSERT + "; SELECT pg_sleep(0.002)::text",
        ends=frozenset({"stopped", "canceled"}),
        rows=1,
        use="cancel soon",
    ),
    Kind(
        "timed",
        INSERT + "; SELECT pg_sleep(3600)::text",
        ends=frozenset({"timed_out"}),
        # Set for this statement alone, and before its second function is called.
        call="set_config('pg_background.worker_timeout', '20', true) AS t, "
        "pg_background_launch(%s || left(t, 0))",
    ),
    Kind("waited for", INSERT, use="wait", weight=2),
    Kind("submitted", INSERT, call="pg_background_submit(%s)", use="wait", is_kept=False, weight=2),
    Kind("forgotten", INSERT + "; SELECT pg_sleep(0.001)", use="forget", is_kept=False, weight=2),
    Kind("left alone", INSERT, call="pg_background_submit(%s)", use="none", is_kept=False, weight=2),
    Kind("queued", INSERT, rows=1, call="pg_background_start(%s, on_full => 'queue')", weight=4),
    Kind("waits for room", INSERT, rows=1, call="pg_background_start(%s, on_full => 'wait')", weight=2),
    Kind(
        "each statement",
        f"{INSERT}; {INSERT}",
        rows=2,
        effects=2,
        is_atomic=False,
        call="pg_background_start(%s, each_statement => true)",
    ),
    Kind("of a definer", INSERT, rows=1, call="launch_as_definer(%s)", as_definer=True),
    Kind(
        "with notices",
        INSERT + "; DO $$ BEGIN RAISE NOTICE 'one'; PERFORM pg_background_progress(50, 'half'); END $$",
        rows=2,
    ),
)

#: Tables, roles and functions that the jobs use; `greedy` is for jobs that are no part of the load.
SET_UP = """
CREATE ROLE first LOGIN; CREATE ROLE second LOGIN; CREATE ROLE other; CREATE ROLE definer;
CREATE ROLE greedy LOGIN;
GRANT pgbackground_role TO first, second, other, definer, greedy;
GRANT other TO first, second; GRANT definer TO first, second, other;
CREATE TABLE effects (job bigint, who name DEFAULT current_user, pid int DEFAULT pg_backend_pid());
GRANT INSERT ON effects TO PUBLIC;
CREATE FUNCTION launch_as_definer(job text) RETURNS pg_background_handle
  LANGUAGE sql SECURITY DEFINER AS 'SELECT pg_background_launch(job)';
ALTER FUNCTION launch_as_definer OWNER TO definer;
"""

Identities = tuple[tuple[str, str | None], ...]

#: Who logs in, and whom it becomes: the sessions take them in turn.
IDENTITIES: Identities = (("first", None), ("second", None), ("first", "other"), ("postgres", None))
