"""A primary under load is followed by a standby whose jobs are in the way of replay."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ..support.calls import query, value
from ..support.fix_standby import MakePair
from .extent import Extent
from .leaks import assert_nothing_is_left
from .standby_readers import SET_UP, Readers
from .tally import Tally
from .under_load import under_load

pytestmark = pytest.mark.slow

#: What the primary does that jobs on the standby may be in the way of; the rows' sum stays.
CONFLICTS = {
    "rows removed": ("UPDATE used SET a = -a", "VACUUM used"),
    "table locked": ("ALTER TABLE used ADD more int", "ALTER TABLE used DROP more"),
    "table moved": ("VACUUM FULL used",),
}

READERS = 6


def test_conflicts_with_recovery(fresh_pair: MakePair, extent: Extent, tally: Tally) -> None:
    """A job on the standby sees all rows or fails with the conflict; none is lost, none holds replay up."""
    pair = fresh_pair()
    pair.primary.execute(SET_UP)
    pair.replay()
    with under_load(pair.primary, "standby", tally) as (_, injector):
        readers = Readers(pair.standby, READERS)
        try:
            for name, statements in CONFLICTS.items():

                def conflict(statements: tuple[str, ...] = statements) -> int:
                    for statement in statements:
                        pair.primary.execute(statement)
                    return 1

                tally.faults(name, injector.inject(extent.neighbours, conflict, pause=0.1))
        finally:
            readers.close()
    readers.note(tally)
    pair.replay()
    with pair.primary.connect() as primary, pair.standby.connect() as standby:
        assert_nothing_is_left(standby)
        ((launched, completed, failed, others),) = query(
            standby,
            "SELECT sum(launched)::int8, sum(completed)::int8, sum(failed)::int8, "
            "sum(canceled + timed_out + lost)::int8 FROM pg_background_totals",
        )
        # One that a session was interrupted in launching is counted, and nobody has seen its end.
        assert (launched, others) == (completed + failed, 0)
        kinds = "confl_lock + confl_snapshot + confl_bufferpin + confl_deadlock"
        met = value(standby, f"SELECT sum({kinds})::int8 FROM pg_stat_database_conflicts")
        tally.add("conflicts with recovery", met)
        assert met > 0
        same: list[Callable[[], object]] = [
            lambda conn=conn: query(conn, "SELECT count(*), sum(job), count(DISTINCT who) FROM effects")  # type: ignore[misc]
            for conn in (primary, standby)
        ]
        assert same[0]() == same[1]()
