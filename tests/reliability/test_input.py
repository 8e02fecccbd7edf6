"""Whatever a function of the extension is called with, it answers or fails as it may, and leaves nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from ..support.calls import query, value
from ..support.fix_server import FreshServer
from ..support.jobs import Connection, run
from ..support.registry import wait_until_quiet
from ..support.routines import routines
from ..support.server import Server
from . import extent as extents
from .extent import Extent
from .statements import EXPECTED, Jobs, Statement, statements
from .tally import Tally

pytestmark = pytest.mark.slow

#: A call may wait for a job that never ends.
LIMIT = "150ms"

ENTRIES = 64

#: More bytes than a job of a few words keeps when it has ended.
PLAIN_JOB = 8192


class Session:
    """Makes the calls; none of them may end it."""

    def __init__(self, conn: Connection) -> None:
        self.conn = conn
        self.seen = Counter[str]()
        self.jobs = Jobs(conn)

    def run(self, statement: Statement) -> None:
        """Run a statement, which must give rows or an error of a kind that is expected."""
        sql = self.jobs.fill(statement.sql)
        try:
            if statement.undone:
                query(self.conn, "BEGIN")
            query(self.conn, f"SET statement_timeout = '{LIMIT}'")
            query(self.conn, sql)
            self.seen["answers"] += 1
        except psycopg.Error as error:
            # Without one the session is gone.
            state = error.sqlstate or "none"
            if not EXPECTED.match(state):
                raise AssertionError(f"SQLSTATE {state} of {sql}") from error
            self.seen[f"errors of class {state[:2]}"] += 1
        finally:
            if statement.undone:
                self._surely("ROLLBACK")
            self._surely("RESET statement_timeout")
            self.jobs.clear()

    def _surely(self, sql: str) -> None:
        """Run what is quick, though on a busy machine even that may be too late for the timeout."""
        while True:
            with suppress(psycopg.errors.QueryCanceled):
                query(self.conn, sql)
                return


@pytest.fixture(scope="module")
def target(fresh_cluster: FreshServer) -> Server:
    """All of it is these tests': drain_server and the like act on all jobs."""
    return fresh_cluster(
        {
            "log_min_messages": "fatal",
            "log_min_error_statement": "panic",
            "pg_background.max_jobs": ENTRIES,
            # Jobs that jobs have launched leave results that nobody comes for.
            "pg_background.result_retention": 0,
        }
    )


@pytest.fixture
def session(target: Server) -> Iterator[Session]:
    """A session that makes the calls, and must be there at the end."""
    with target.connect(client_encoding="utf8") as conn:
        yield Session(conn)


def test_every_function_at_random(session: Session, extent: Extent, tally: Tally) -> None:
    every = routines(session.conn)
    called = Counter[str]()

    @seed(extents.seed())
    @settings(
        max_examples=extent.calls,
        derandomize=False,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        # A statement is short, and what shrinks it would take minutes.
        phases=[Phase.generate],
    )
    @given(statements(every))
    def call(statement: Statement) -> None:
        called.update(routine.name for routine in every if f".{routine.name}(" in statement.sql)
        session.run(statement)

    call()
    assert_nothing_is_left(session.conn)
    tally.jobs(session.jobs.launched)
    for what, count in session.seen.items():
        tally.add(f"calls with input at random: {what}", count)


#: Arrays of {many} handles, and what wait_any and drain say of each: a SQLSTATE, or how many jobs have ended,
#: of how many rows.
_KNOWN = "ROW({stopped.pid}, {stopped.cookie})::pg_background_handle"
_UNKNOWN = "ARRAY(SELECT ROW(g, g)::pg_background_handle FROM generate_series(1, {many}) g)"
ARRAYS = {
    "one that has ended": (f"array_fill({_KNOWN}, ARRAY[{{many}}])", "1 of 1", "{many} of {many}"),
    "one that runs": (
        f"array_fill({_KNOWN.replace('stopped', 'running')}, ARRAY[{{many}}])",
        "0 of 1",
        "0 of {many}",
    ),
    "unknown": (_UNKNOWN, "42704", "42704"),
    "one known behind all others": (f"{_UNKNOWN} || {_KNOWN}", "42704", "42704"),
    "nobody": ("array_fill(NULL::pg_background_handle, ARRAY[{many}])", "22004", "22004"),
}

#: Calls of each function, with a time for those that are still running.
CALLS = {
    "wait_any": "SELECT count((h).pid) || ' of ' || count(*) FROM pg_background_wait_any({}, 50) AS h",
    "drain": "SELECT count(*) FILTER (WHERE state = 'stopped') || ' of ' || count(*)"
    " FROM pg_background_drain({}, 50)",
}


@pytest.mark.parametrize("handles", ARRAYS)
@pytest.mark.parametrize("function", CALLS)
def test_handles_by_the_million(
    session: Session, extent: Extent, tally: Tally, function: str, handles: str
) -> None:
    array, of_any, of_all = (text.replace("{many}", str(extent.handles)) for text in ARRAYS[handles])
    sql = session.jobs.fill(CALLS[function].replace("{}", array))
    try:
        said = value(session.conn, sql)
    except psycopg.Error as error:
        said = error.sqlstate
    assert said == (of_any if function == "wait_any" else of_all)
    session.jobs.clear()
    assert_nothing_is_left(session.conn)
    tally.jobs(session.jobs.launched)
    tally.add("handles given by the million", extent.handles)


def assert_nothing_is_left(conn: Connection) -> None:
    """Fail unless the registry, the memory, the files and what is counted for roles are as at first."""
    wait_until_quiet(conn)
    # The history keeps texts, of a megabyte each, until later jobs have its places.
    for _ in range(2 * ENTRIES):
        assert run(conn, "SELECT 'next'") == [("next",)]
    assert wait_until_quiet(conn).area_bytes < ENTRIES * PLAIN_JOB
    assert value(conn, "SELECT entries FROM pg_background_registry()") == 0
    assert value(conn, "SELECT count(*) FROM pg_ls_tmpdir()") == 0
    used = query(conn, "SELECT kind, name, jobs, queued, memory_bytes, result_bytes FROM pg_background_usage")
    assert [row for row in used if row[0] != "server" and any(row[2:])] == []
