"""pg_background_cluster on three servers, through the same calls as on Citus."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from ..support.calls import query
from ..support.fix_cluster import Nodes
from ..support.fix_db import Connection
from ..support.waiting import wait_until

pytestmark = pytest.mark.contrib("dblink")

SLOW = "SELECT pg_sleep(3600)"


def launched(conn: Connection, sql: str, **options: Any) -> list[tuple[int, int, int]]:
    """Launch on all nodes, or those of `nodes`; return the handles."""
    names = "".join(f", {name} => %s" for name in options)
    rows = query(conn, f"SELECT * FROM cluster_launch(%s{names}) ORDER BY node", sql, *options.values())
    assert [row[3:] for row in rows] == [(None, None)] * len(rows)
    return [row[:3] for row in rows]


def of(handles: list[tuple[int, int, int]]) -> str:
    """Return handles as SQL."""
    texts = ", ".join(f"ROW({node}, {pid}, {cookie})::cluster_handle" for node, pid, cookie in handles)
    return f"ARRAY[{texts}]::cluster_handle[]"


def test_launched_everywhere_and_collected(nodes: Nodes, coordinator: Connection) -> None:
    handles = launched(coordinator, "SELECT current_setting('port') AS port, 1 AS n")
    assert [node for node, _, _ in handles] == [1, 2, 3]
    rows = query(
        coordinator,
        "SELECT node, state, row_count, command_tag, sqlstate, error, rows"
        f" FROM cluster_wait({of(handles)}, 20000, true)",
    )
    ports = [server.execute("SHOW port") for server in nodes]
    assert rows == [
        (node, "stopped", 1, "SELECT", None, None, [{"port": port, "n": 1}])
        for node, port in enumerate(ports, 1)
    ]


def test_launched_on_some(coordinator: Connection) -> None:
    assert [handle[0] for handle in launched(coordinator, "SELECT 1", nodes=[3])] == [3]
    assert [handle[0] for handle in launched(coordinator, "SELECT 1", nodes=[3, 1, 3])] == [1, 3]
    assert launched(coordinator, "SELECT 1", nodes=[]) == []
    rows = query(
        coordinator, "SELECT node, pid IS NULL, sqlstate FROM cluster_launch('SELECT 1', nodes => '{2,9}')"
    )
    assert rows == [(2, False, None), (9, True, "42704")]


def test_launched_from_any_node(nodes: Nodes) -> None:
    with nodes.connect(3, options="-c search_path=elsewhere,public") as conn:
        assert query(conn, "SELECT cluster_node_id()") == [(3,)]
        handles = launched(conn, "SELECT 7 AS n")
        assert query(conn, f"SELECT node, rows FROM cluster_wait({of(handles)}, 20000, true)") == [
            (1, [{"n": 7}]),
            (2, [{"n": 7}]),
            (3, [{"n": 7}]),
        ]


@pytest.mark.parametrize(
    "hostile", ["it's", 'quo"te', "back\\slash", "%I %L %s %%", "$$ $1 {} NULL", "é ü 漢", "';SELECT 1;--"]
)
def test_texts_arrive_as_they_are(coordinator: Connection, hostile: str) -> None:
    handles = launched(
        coordinator,
        f"SELECT $1 AS given, $q${hostile}$q$ AS said",
        label=hostile,
        params=[hostile],
        nodes=[2],
    )
    assert query(
        coordinator, f"SELECT label FROM cluster_jobs WHERE (node, cookie) = (2, {handles[0][2]})"
    ) == [(hostile,)]
    assert query(coordinator, f"SELECT rows FROM cluster_wait({of(handles)}, 20000, true)") == [
        ([{"given": hostile, "said": hostile}],)
    ]


def test_errors_are_rows(coordinator: Connection) -> None:
    refused = query(
        coordinator, "SELECT node, pid, sqlstate FROM cluster_launch('SELECT 1', label => repeat('x', 65))"
    )
    assert refused == [(1, None, "22001"), (2, None, "22001"), (3, None, "22001")]
    handles = launched(
        coordinator, "SELECT 1 / (current_setting('port')::int - current_setting('port')::int)"
    )
    assert (
        query(
            coordinator, f"SELECT state, sqlstate, error, rows FROM cluster_wait({of(handles)}, 20000, true)"
        )
        == [("error", "22012", "division by zero", None)] * 3
    )


def test_handles_that_are_unknown(coordinator: Connection) -> None:
    (good,) = launched(coordinator, "SELECT 1", nodes=[1])
    handles = f"{of([(2, 999999, 5), (9, 1, 1), good])} || NULL::cluster_handle"
    for call in (
        f"cluster_wait({handles}, 20000)",
        f"cluster_cancel({handles})",
        f"cluster_detach({handles})",
    ):
        assert query(coordinator, f"SELECT node, sqlstate FROM {call}") == [
            (2, "42704"),
            (9, "42704"),
            (1, None),
            (None, "42704"),
        ]


def test_handles_of_launches_that_failed(coordinator: Connection) -> None:
    """They have a node, and no job."""
    handles = "ARRAY[ROW(2, NULL, NULL), ROW(2, 1, NULL), ROW(NULL, 1, 1), NULL]::cluster_handle[]"
    rows = query(coordinator, f"SELECT node, state, sqlstate, error FROM cluster_wait({handles}, 20000)")
    told = ("unknown", "42704", "a cluster handle must not have NULLs")
    assert rows == [(2, *told), (2, *told), (None, *told), (None, *told)]


def test_a_time_limit_for_all(coordinator: Connection) -> None:
    handles = launched(coordinator, SLOW)
    states = query(coordinator, f"SELECT state FROM cluster_wait({of(handles)}, 50, true)")
    assert states == [("running",)] * 3
    assert query(coordinator, f"SELECT node, sqlstate FROM cluster_cancel({of(handles)})") == [
        (1, None),
        (2, None),
        (3, None),
    ]
    assert query(coordinator, f"SELECT state FROM cluster_wait({of(handles)}, 20000)") == [("canceled",)] * 3


def test_the_jobs_own_limit(coordinator: Connection) -> None:
    handles = launched(coordinator, SLOW, job_timeout_ms=50)
    assert query(coordinator, f"SELECT state FROM cluster_wait({of(handles)}, 20000)") == [("timed_out",)] * 3


def test_canceled_by_label(coordinator: Connection) -> None:
    handles = launched(coordinator, SLOW, label="50% done")
    (other,) = launched(coordinator, SLOW, label="500 done", nodes=[2])
    assert query(coordinator, r"SELECT * FROM cluster_cancel_by_label('50\% done')") == [
        (node, 1, None, None) for node in (1, 2, 3)
    ]
    assert query(coordinator, f"SELECT state FROM cluster_wait({of(handles)}, 20000)") == [("canceled",)] * 3
    assert query(coordinator, f"SELECT state FROM cluster_wait({of([other])}, 1)") == [("running",)]
    query(coordinator, f"SELECT FROM cluster_cancel({of([other])})")


def test_a_wait_is_one_connection_a_node(nodes: Nodes, coordinator: Connection) -> None:
    handles = launched(coordinator, SLOW) + launched(coordinator, SLOW)
    waiting = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE query LIKE '%cluster_node_wait%' AND pid <> pg_backend_pid()"
    )
    with nodes.connect(options="-c search_path=elsewhere,public") as other:
        coordinator.pgconn.send_query(f"SELECT state FROM cluster_wait({of(handles)})".encode())
        # the first has the caller's own session too
        wait_until(lambda: [server.execute(waiting) for server in nodes][1:] == [1, 1])
        query(other, f"SELECT FROM cluster_cancel({of(handles)})")
        result = coordinator.pgconn.get_result()
        while coordinator.pgconn.get_result():
            pass
        assert result is not None
        assert result.ntuples == 6
        assert {result.get_value(n, 0) for n in range(6)} == {b"canceled"}


def test_a_node_that_goes_and_comes_back(nodes: Nodes, coordinator: Connection) -> None:
    handles = launched(coordinator, "SELECT 1 AS n", label="before it went")
    query(coordinator, f"SELECT FROM cluster_wait({of(handles)}, 20000)")
    with nodes.down(3):
        told = query(
            coordinator,
            "SELECT node, pid IS NULL, sqlstate, error LIKE 'failed%' FROM cluster_launch('SELECT 2')",
        )
        assert told == [(1, False, None, None), (2, False, None, None), (3, True, "08000", True)]
        # nobody asks it when it was not meant
        assert [handle[0] for handle in launched(coordinator, "SELECT 1", nodes=[1, 2])] == [1, 2]
        assert query(
            coordinator, f"SELECT node, state, sqlstate, rows FROM cluster_wait({of(handles)}, 20000, true)"
        ) == [
            (1, "stopped", None, [{"n": 1}]),
            (2, "stopped", None, [{"n": 1}]),
            (3, "unreachable", "08000", None),
        ]
        unreachable = (
            "SELECT node, pid, error_message LIKE 'failed%' FROM cluster_jobs WHERE state = 'unreachable'"
        )
        assert query(coordinator, unreachable) == [(3, None, True)]
        canceled = query(coordinator, "SELECT node, canceled, sqlstate FROM cluster_cancel_by_label('none')")
        assert canceled == [(1, 0, None), (2, 0, None), (3, None, "08000")]
    assert query(
        coordinator, f"SELECT node, state, sqlstate FROM cluster_wait({of(handles[2:])}, 20000)"
    ) == [(3, "unknown", "42704")]


def test_drained_and_resumed(coordinator: Connection) -> None:
    try:
        drained = query(coordinator, "SELECT node, running, sqlstate, error FROM cluster_drain(20000)")
        assert drained == [(node, 0, None, None) for node in (1, 2, 3)]
        refused = query(coordinator, "SELECT node, sqlstate FROM cluster_launch('SELECT 1')")
        assert refused == [(node, "53300") for node in (1, 2, 3)]
    finally:
        assert query(coordinator, "SELECT * FROM cluster_resume()") == [
            (node, None, None) for node in (1, 2, 3)
        ]
    launched(coordinator, "SELECT 1")


def test_settings_on_all_nodes(nodes: Nodes, coordinator: Connection) -> None:
    def now(name: str) -> list[str]:
        return [server.execute(f"SHOW {name}") for server in nodes]

    before = now("pg_background.worker_timeout")
    try:
        changed = query(coordinator, "SELECT * FROM cluster_set('pg_background.Worker_Timeout', '7s')")
        assert changed == [(node, False, None) for node in (1, 2, 3)]
        wait_until(lambda: now("pg_background.worker_timeout") == ["7s"] * 3)
        failed = query(
            coordinator,
            "SELECT node, needs_restart, error IS NULL FROM cluster_set('pg_background.worker_timeout', 'x')",
        )
        assert failed == [(node, None, False) for node in (1, 2, 3)]
    finally:
        query(coordinator, "SELECT FROM cluster_set('pg_background.worker_timeout', NULL)")
    wait_until(lambda: now("pg_background.worker_timeout") == before)
    static = query(
        coordinator,
        "SELECT name FROM pg_settings WHERE name LIKE 'pg_background.%' AND context = 'postmaster' LIMIT 1",
    )
    if static:
        query(coordinator, "SELECT FROM cluster_set(%s, current_setting(%s))", *[static[0][0]] * 2)
        assert (
            query(coordinator, "SELECT needs_restart FROM cluster_set(%s, NULL)", static[0][0])
            == [(True,)] * 3
        )
    for name in ("work_mem", "pg_background.none", "pg_background.max_workers = 1; --"):
        with pytest.raises(psycopg.errors.UndefinedObject):
            query(coordinator, "SELECT FROM cluster_set(%s, '1')", name)


def test_jobs_have_the_settings_of_their_node(nodes: Nodes, coordinator: Connection) -> None:
    """Those of a new session there: none that the helpers need, and none of the caller's."""
    nodes[1].execute(f"ALTER DATABASE {nodes.database} SET search_path = theirs, public")
    try:
        handles = launched(coordinator, "SELECT current_setting('search_path') AS path", nodes=[2])
        rows = query(coordinator, f"SELECT rows FROM cluster_wait({of(handles)}, 20000, true)")
        assert rows == [([{"path": "theirs, public"}],)]
    finally:
        nodes[1].execute(f"ALTER DATABASE {nodes.database} RESET search_path")
