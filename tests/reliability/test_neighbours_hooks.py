"""Libraries that see each statement see those of jobs, each once, under load."""

from __future__ import annotations

import re

import pytest

from ..support.calls import query, value
from ..support.fix_server import FreshServer
from ..support.server import Server
from .extent import Extent
from .neighbours import provide
from .tally import Tally
from .under_load import under_load

pytestmark = pytest.mark.slow

#: Who is called first goes by the order.
LIBRARIES = (
    "pg_stat_statements,auto_explain,pg_background",
    "pg_background,auto_explain,pg_stat_statements",
)


def load(server: Server, extent: Extent, tally: Tally, what: str) -> tuple[int, int]:
    """Put a server under load; returns how many rows its jobs have committed, and how many they tried."""
    with under_load(server, what, tally) as (crew, injector):
        injector.inject(1, lambda: len(crew.ledger.jobs) > 100 * extent.neighbours)
    committed = server.execute("SELECT count(*) FROM effects")
    assert isinstance(committed, int)
    return committed, sum(job.kind.effects for job in crew.ledger.jobs)


@pytest.mark.contrib("pg_stat_statements")
@pytest.mark.contrib("auto_explain")
@pytest.mark.parametrize("libraries", LIBRARIES, ids=["before", "after"])
def test_statistics_and_plans(
    fresh_server: FreshServer, extent: Extent, tally: Tally, libraries: str
) -> None:
    """Each row that a job has committed is one of its role's statements, and has its plan in the log."""
    server = fresh_server(
        {
            "shared_preload_libraries": libraries,
            "auto_explain.log_min_duration": 0,
            "auto_explain.log_analyze": "on",
            "log_min_messages": "log",
        }
    )
    server.execute("CREATE EXTENSION pg_stat_statements")
    mark = server.log.mark()
    committed, tried = load(server, extent, tally, libraries)
    with server.connect() as conn:
        counted = value(
            conn, "SELECT sum(rows)::int8 FROM pg_stat_statements WHERE query LIKE 'INSERT INTO effects%'"
        )
        by_role = "SELECT {} FROM {} GROUP BY 1 ORDER BY 1"
        who = query(conn, by_role.format("who, count(*)", "effects"))
        seen: dict[str, int] = dict(
            query(
                conn,
                by_role.format(
                    "userid::regrole::text, sum(rows)::int8",
                    "(SELECT * FROM pg_stat_statements WHERE query LIKE 'INSERT INTO effects%') s",
                ),
            )
        )
    assert committed <= counted <= tried
    assert all(seen[role] >= rows for role, rows in who), (who, seen)
    plans = len(re.findall(r"plan:\n\tQuery Text: INSERT INTO effects", server.log.since(mark)))
    assert committed <= plans <= tried
    tally.add("statements seen by pg_stat_statements", counted)
    tally.add("plans of auto_explain", plans)


def test_audit(fresh_server: FreshServer, extent: Extent, tally: Tally) -> None:
    """Each row that a job has committed is in the audit log."""
    server = fresh_server({"log_min_messages": "log"})
    provide(server, "pgaudit")
    server.restart({"shared_preload_libraries": "pgaudit,pg_background", "pgaudit.log": "all"})
    server.execute("CREATE EXTENSION pgaudit")
    mark = server.log.mark()
    committed, tried = load(server, extent, tally, "pgaudit")
    found = re.findall(
        r"AUDIT: SESSION,\d+,\d+,WRITE,INSERT,.*?INSERT INTO effects VALUES \((\d+)\)", server.log.since(mark)
    )
    assert committed <= len(found) <= tried
    with server.connect() as conn:
        assert {n for (n,) in query(conn, "SELECT job FROM effects")} <= {int(number) for number in found}
    tally.add("statements in the audit log", len(found))
