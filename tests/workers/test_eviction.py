"""An idle worker never makes a launch fail: the longest idle one gives way."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from psycopg import errors as e

from ..support.fix_db import Connect, MakeRole
from ..support.jobs import FOREVER, Connection, cancel, launch, result, run, wait, wait_until_gone
from ..support.server import Server
from ..support.workers import wait_until_idle


@pytest.fixture
def two_places(server: Server) -> Iterator[None]:
    """A server with room for two workers that never leave of themselves."""
    with server.alter_system(
        {"pg_background.max_total_workers": 2, "pg_background.worker_idle_timeout": "1h"}
    ):
        yield


def idle_worker(conn: Connection) -> int:
    """Run a job and return its worker's pid once it is idle."""
    handle = launch(conn, "SELECT 1")
    assert result(conn, handle, "a int") == [(1,)]
    wait_until_idle(conn, handle.pid)
    return handle.pid


@pytest.mark.usefixtures("two_places")
def test_of_another_database(make_db: Callable[[str], str], connect: Connect) -> None:
    sessions = [connect(make_db(f"evicted_{n}")) for n in range(5)]
    workers = [idle_worker(conn) for conn in sessions]
    assert len(set(workers)) == 5
    for gone in workers[:3]:
        wait_until_gone(sessions[0], gone)


@pytest.mark.usefixtures("two_places")
def test_of_another_role(make_role: MakeRole, connect: Connect) -> None:
    roles = [make_role(member_of=("pgbackground_role",)) for _ in range(4)]
    sessions = [connect(user=role) for role in roles]
    watcher = connect()
    for _ in range(5):
        for conn in sessions:
            assert run(conn, "SELECT 1", "a int") == [(1,)]
    count = watcher.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_background'"
    ).fetchone()
    assert count in {(1,), (2,)}


@pytest.mark.usefixtures("two_places")
def test_the_longest_idle_one(make_db: Callable[[str], str], connect: Connect) -> None:
    first, second, third = (connect(make_db(f"evicted_{n}")) for n in range(3))
    old = idle_worker(first)
    new = idle_worker(second)
    assert idle_worker(first) == old
    # Now the second one's has been idle for longer.
    idle_worker(third)
    wait_until_gone(first, new)
    assert idle_worker(first) == old


@pytest.mark.usefixtures("two_places")
def test_never_a_busy_one(make_db: Callable[[str], str], connect: Connect) -> None:
    busy, other = connect(make_db("busy")), connect(make_db("other"))
    handles = [launch(busy, FOREVER), launch(busy, FOREVER)]
    with pytest.raises(e.ConfigurationLimitExceeded):
        launch(other, "SELECT 1")
    for handle in handles:
        assert not wait(busy, handle, 1)
        cancel(busy, handle)
        assert wait(busy, handle)
    assert run(other, "SELECT 1", "a int") == [(1,)]


@pytest.mark.usefixtures("two_places")
def test_back_and_forth(make_db: Callable[[str], str], connect: Connect) -> None:
    """Each launch evicts, a hundred times, and each job is done."""
    sessions = [connect(make_db(f"evicted_{n}")) for n in range(3)]
    for n in range(100):
        assert run(sessions[n % 3], f"SELECT {n}", "a int") == [(n,)]


@pytest.mark.usefixtures("two_places")
def test_a_worker_that_still_resets(make_db: Callable[[str], str], connect: Connect) -> None:
    """Its job is over, so it stands in nobody's way, however long it takes to clean up."""
    first, second = connect(make_db("evicted")), connect(make_db("evicting"))
    # Dropping temporary tables is most of a reset.
    job = (
        "DO $$ BEGIN FOR i IN 1..60 LOOP EXECUTE format('CREATE TEMP TABLE t%s (a int PRIMARY KEY)', i); "
        "END LOOP; END $$"
    )
    for n in range(5):
        handles = [launch(first, job), launch(first, job)]
        for handle in handles:
            assert wait(first, handle)
        assert run(second, f"SELECT {n}", "a int") == [(n,)]
