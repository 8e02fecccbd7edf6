"""Whatever a function of the extension is called with, it answers or fails as it may, and leaves nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from ..support.calls import Connection, query, value
from ..support.fix_server import FreshServer
from ..support.jobs import run
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
            assert error.sqlstate, f"{sql}: {error}"
            assert EXPECTED.match(error.sqlstate), f"{sql}: {error.sqlstate} {error}"
            self.seen["errors"] += 1
            self.seen[f"class {error.sqlstate[:2]}"] += 1
        finally:
            if statement.undone:
                query(self.conn, "ROLLBACK")
            query(self.conn, "RESET statement_timeout")
            self.jobs.clear()


@pytest.fixture(scope="module")
def target(fresh_cluster: FreshServer) -> Server:
    """All of it is these tests': drain_server and the like act on all jobs."""
    return fresh_cluster({"log_min_messages": "fatal", "log_min_error_statement": "panic"})


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


#: Handles by the million, for a job that ends and one that does not; and what is to come of it.
ARRAYS = {
    "one that has ended": "array_fill(ROW({stopped.pid}, {stopped.cookie})::pg_background_handle, ARRAY[{many}])",
    "one that runs": "array_fill(ROW({running.pid}, {running.cookie})::pg_background_handle, ARRAY[{many}])",
    "unknown": "ARRAY(SELECT ROW(g, g)::pg_background_handle FROM generate_series(1, {many}) g)",
    "one known behind all others": "ARRAY(SELECT ROW(g, g)::pg_background_handle FROM generate_series(1, {many}) g)"
    " || ROW({stopped.pid}, {stopped.cookie})::pg_background_handle",
    "nobody": "array_fill(NULL::pg_background_handle, ARRAY[{many}])",
}


@pytest.mark.parametrize("handles", ARRAYS)
@pytest.mark.parametrize("function", ["wait_any", "drain"])
def test_handles_by_the_million(
    session: Session, extent: Extent, tally: Tally, function: str, handles: str
) -> None:
    """It ends by an answer, an error or the timeout, which must come soon enough for the suite."""
    array = ARRAYS[handles].replace("{many}", str(extent.handles))
    session.run(Statement(f"SELECT count(*) FROM pg_background_{function}({array}, 50)", undone=False))
    assert_nothing_is_left(session.conn)
    tally.jobs(session.jobs.launched)
    tally.add("handles given by the million", extent.handles)


def assert_nothing_is_left(conn: Connection) -> None:
    """Fail unless the registry, the memory, the files and what is counted for roles are as at first."""
    wait_until_quiet(conn, area_bytes=0)
    assert value(conn, "SELECT entries FROM pg_background_registry()") == 0
    assert value(conn, "SELECT count(*) FROM pg_ls_tmpdir()") == 0
    used = query(conn, "SELECT kind, name, jobs, queued, memory_bytes, result_bytes FROM pg_background_usage")
    assert [row for row in used if any(row[2:])] == []
    assert run(conn, "SELECT 'next'") == [("next",)]
