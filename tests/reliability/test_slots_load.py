"""What replication slots keep moves on under load, beside running jobs and idle workers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ..support.calls import Rows, query, value
from ..support.fix_standby import MakePair, Pair
from ..support.jobs import FOREVER, Connection, Handle, cancel, launch, wait, wait_until_asleep
from ..support.waiting import wait_until
from ..support.workers import wait_until_idle
from .extent import Extent
from .leaks import PATIENCE, assert_nothing_is_left
from .tally import Tally
from .under_load import under_load

pytestmark = pytest.mark.slow

#: Of the plug-in that every server has; the first byte of a row that was inserted is I.
CHANGES = (
    "SELECT count(*) FILTER (WHERE get_byte(data, 0) = ascii('I')) FROM pg_logical_slot_get_binary_changes("
    "'logical', NULL, NULL, 'proto_version', '1', 'publication_names', 'everything')"
)

#: Where the server is, and by these the slots that keep what is older.
MARKS = "SELECT pg_current_wal_lsn()::text, x, x FROM (SELECT pg_current_xact_id()::text AS x) now"
SLOTS = (
    "SELECT slot_name::text FROM pg_replication_slots WHERE restart_lsn < %s::pg_lsn "
    "OR age(catalog_xmin) > age(%s::text::xid) OR age(xmin) > age(%s::text::xid)"
)


@pytest.fixture
def pair(fresh_pair: MakePair) -> Pair:
    """A standby that tells the primary what its queries need, through a slot."""
    pair = fresh_pair(
        {
            "wal_level": "logical",
            "hot_standby_feedback": "on",
            "wal_receiver_status_interval": "1s",
            # So that every job of the load finds room beside those that stay.
            "pg_background.worker_idle_timeout": "1h",
        }
    )
    pair.primary.execute("SELECT pg_create_physical_replication_slot('physical')")
    pair.standby.restart({"primary_slot_name": "physical"})
    wait_until(
        lambda: pair.primary.execute("SELECT bool_and(active) FROM pg_replication_slots"),
        what="the standby uses its slot",
    )
    return pair


@contextmanager
def running(*sessions: Connection) -> Iterator[None]:
    """A job that writes nothing and ends with the block, in each session."""
    jobs: list[tuple[Connection, Handle]] = []
    for conn in sessions:
        jobs.append((conn, launch(conn, FOREVER)))
        wait_until_asleep(conn, jobs[-1][1].pid)
    yield
    for conn, handle in jobs:
        cancel(conn, handle)
        assert wait(conn, handle)


def make_idle(conn: Connection) -> None:
    """Leave workers that have read, and write nothing any more."""
    handles = [launch(conn, "SELECT count(*) FROM pg_class") for _ in range(3)]
    for handle in handles:
        assert wait(conn, handle)
        wait_until_idle(conn, handle.pid)


def test_slots_move_on(pair: Pair, extent: Extent, tally: Tally) -> None:
    """Each commit of a job is decoded once, and no slot keeps what only a job could need that has ended."""
    decoded = 0
    with pair.primary.connect() as conn, pair.standby.connect() as standby:
        make_idle(standby)
        query(conn, "CREATE PUBLICATION everything FOR ALL TABLES")
        query(conn, "SELECT pg_create_logical_replication_slot('logical', 'pgoutput')")
        with (
            under_load(pair.primary, "slots", tally) as (crew, injector),
            # Whose job is none of the load's.
            pair.primary.connect(user="greedy") as greedy,
        ):
            # The standby's slot keeps what a job there can see: none runs, but its workers are there.
            for where in ((), (greedy,)):
                with running(*where):
                    for _ in range(extent.neighbours):
                        marks = query(conn, MARKS)[0]
                        crew.sleep(0.1)

                        def left_behind(marks: tuple[str, ...] = marks) -> Rows:
                            nonlocal decoded
                            injector.sweep()
                            query(conn, "CHECKPOINT")
                            decoded += value(conn, CHANGES)
                            return query(conn, SLOTS, *marks)

                        wait_until(lambda: not left_behind(), deadline=PATIENCE, what="all slots move on")
                        tally.add("slots that have moved on", 2)
        decoded += value(conn, CHANGES)
        assert decoded == value(conn, "SELECT count(*) FROM effects")
        tally.add("commits decoded", decoded)
        assert_nothing_is_left(standby)
