"""Jobs whose commit waits for a standby, under load, and what may end that wait."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from psycopg import errors as e

from ..support.calls import query, value
from ..support.fix_standby import MakePair, Pair
from ..support.jobs import Connection
from ..support.waiting import wait_until
from .extent import Extent
from .faults import Injector
from .tally import Tally
from .under_load import under_load

pytestmark = pytest.mark.slow

#: Workers at their commit.
WAITING = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'pg_background' AND wait_event = 'SyncRep'"


@pytest.fixture
def pair(fresh_pair: MakePair) -> Iterator[Pair]:
    """What is committed on the primary can be seen on the standby."""
    pair = fresh_pair()
    settings = {"synchronous_standby_names": "*", "synchronous_commit": "remote_apply"}
    with pair.primary.alter_system(settings):
        yield pair


@contextmanager
def paused(pair: Pair) -> Iterator[None]:
    """The standby replays nothing during the block, and no commit is confirmed."""
    pair.standby.execute("SELECT pg_wal_replay_pause()")
    wait_until(
        lambda: pair.standby.execute("SELECT pg_get_wal_replay_pause_state()") == "paused", what="the pause"
    )
    try:
        yield
    finally:
        pair.standby.execute("SELECT pg_wal_replay_resume()")


def test_what_ends_the_wait(pair: Pair, extent: Extent, tally: Tally) -> None:
    """A job that waits for a standby has committed: whoever ends its wait, it is `stopped`."""
    with pair.primary.connect() as admin, under_load(pair.primary, "synchronous", tally) as (_, injector):

        def waiting() -> list[int]:
            return [pid for (pid,) in query(admin, WAITING)]

        endings: dict[str, Callable[[], int]] = {
            "cancel of the job": lambda: cancel_one(admin, waiting()),
            "SIGINT": lambda: injector.send(signal.SIGINT, waiting),
            "SIGTERM": lambda: injector.send(signal.SIGTERM, waiting),
        }
        for name, end_one in endings.items():
            with paused(pair):
                met = injector.inject(extent.neighbours, end_one)
            tally.faults(f"{name} at a wait for the standby", met)
        end_all(admin, pair, injector, tally)
    pair.replay()
    count = "SELECT count(*) FROM effects"
    assert pair.primary.execute(count) == pair.standby.execute(count)


def cancel_one(conn: Connection, pids: list[int]) -> int:
    """Cancel the job of one of these workers; returns 1, or 0 where each was detached or has just ended."""
    jobs = "FROM pg_background_jobs WHERE worker_pid = %s AND state = 'running'"
    for pid in pids:
        # It may have been canceled by its own session, and be known no more.
        with suppress(e.UndefinedObject, e.ObjectNotInPrerequisiteState):
            if value(conn, f"SELECT count(pg_background_cancel(pid, cookie)) {jobs}", pid):
                return 1
    # Jobs without a handle may by now have all the places, and then no other comes this far.
    for pid in pids[:1]:
        query(conn, "SELECT pg_cancel_backend(%s)", pid)
    return 0


def end_all(admin: Connection, pair: Pair, injector: Injector, tally: Tally) -> None:
    """No standby is asked for any more: all that wait go on."""
    with paused(pair):
        injector.inject(1, lambda: len(query(admin, WAITING)))
        query(admin, "ALTER SYSTEM SET synchronous_standby_names = ''")
        pair.primary.reload()
        wait_until(lambda: not query(admin, WAITING), what="nobody waits")
        tally.faults("end of synchronous replication")
