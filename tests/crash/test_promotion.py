"""Jobs live through the promotion of their standby; what a former primary had on disk for its jobs goes."""

from __future__ import annotations

import pytest

from ..support.calls import query, result_failure, value
from ..support.fix_standby import MakePair, Pair, rewind
from ..support.jobs import closed_gate, launch, result, run, start, state, wait, wait_for_state
from ..support.server import Server

#: A job whose result is too large for its queue.
MUCH = "SELECT repeat('x', 1000) FROM generate_series(1, 2000)"


@pytest.fixture
def pair(fresh_pair: MakePair) -> Pair:
    pair = fresh_pair({"pg_background.max_total_workers": 3})
    pair.primary.execute("CREATE TABLE noted (a text)")
    pair.replay()
    return pair


def test_promotion_with_jobs(pair: Pair) -> None:
    standby = pair.standby
    with standby.connect() as conn, standby.connect() as keeper:
        unread = launch(conn, MUCH)
        assert wait(conn, unread)
        with closed_gate(keeper) as gate:
            reading = launch(conn, f"{gate.sql}; SELECT pg_is_in_recovery()::text")
            writing = launch(conn, f"{gate.sql}; INSERT INTO noted VALUES ('in a transaction of before')")
            script = start(conn, f"{gate.sql}; INSERT INTO noted VALUES ('after')", each_statement=True)
            for handle in reading, writing, script:
                wait_for_state(conn, handle, "running")
            queued = start(conn, "INSERT INTO noted VALUES ('queued') RETURNING a", on_full="queue")
            assert state(conn, queued) == "queued"
            pair.promote()
        assert result(conn, reading) == [("false",)]
        assert wait(conn, script)
        assert state(conn, script) == "stopped"
        assert result(conn, queued) == [("queued",)]
        # As a session's transaction does: it began where nothing could be written.
        assert result_failure(conn, writing).sqlstate == "25006"
        assert len(result(conn, unread)) == 2000
        assert run(conn, "INSERT INTO noted VALUES ('next') RETURNING a") == [("next",)]
        assert query(conn, "SELECT a FROM noted ORDER BY a") == [("after",), ("next",), ("queued",)]


def files_of(server: Server) -> int:
    found = server.execute("SELECT count(*) FROM pg_ls_tmpdir()")
    assert isinstance(found, int)
    return found


def test_former_primary_that_is_rewound(pair: Pair) -> None:
    """Neither its own unread results nor the new primary's are on its disk when it follows that."""
    old, new = pair
    for server in pair:
        with server.connect() as conn:
            handle = launch(conn, MUCH)
            assert wait(conn, handle)
            assert files_of(server) == 1
    pair.promote()
    old.execute("INSERT INTO noted VALUES ('to be undone')")
    old.cluster.stop("fast")
    rewind(old, new)
    old.start()
    assert old.execute("SELECT pg_is_in_recovery()")
    assert (files_of(old), files_of(new)) == (0, 1)
    with old.connect() as conn:
        assert value(conn, "SELECT count(*) FROM pg_background_jobs") == 0
        assert run(conn, "SELECT count(*)::text FROM noted") == [("0",)]
