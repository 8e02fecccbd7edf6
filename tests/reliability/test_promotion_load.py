"""Under load primary and standby change places, and the former primary is rewound, again and again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Literal

import pytest

from ..support.calls import query
from ..support.fix_standby import MakePair, Pair, rewind
from ..support.jobs import Connection
from ..support.server import Server
from ..support.waiting import wait_until
from . import extent as extents
from .crew import Crew, crew_at_work
from .extent import Extent
from .kinds import SET_UP
from .leaks import PATIENCE, assert_nothing_is_left
from .tally import Tally
from .under_load import SESSIONS, check

pytestmark = pytest.mark.slow


class Places:
    """Who is the primary by now, and who follows it."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair

    def connect(self, **parameters: Any) -> Connection:
        """Open a session where one would look for the primary."""
        return self.pair.primary.connect(**parameters)

    def change(self, crew: Crew, mode: Literal["fast", "immediate"]) -> None:
        """Stop the primary, promote its standby, and let the former primary follow that."""
        old, new = self.pair
        crew.ledger.life += 1
        old.cluster.stop(mode, timeout=PATIENCE)
        # From now on sessions go there, also while it is still a standby.
        self.pair = Pair(new, old)
        Pair(old, new).promote()
        crew.ledger.life += 1
        crew.sleep(0.2)
        rewind(old, new)
        old.start()
        wait_until(
            lambda: new.execute("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"),
            deadline=PATIENCE,
            what="the former primary follows",
        )


@contextmanager
def synchronous(pair: Pair) -> Iterator[None]:
    """Each of the two, when it is the primary, commits what its standby has."""
    for server in pair:
        server.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        server.reload()
    yield
    for server in pair:
        server.execute("ALTER SYSTEM RESET synchronous_standby_names")
        server.reload()


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_promotion_and_rewind(
    fresh_pair: MakePair, extent: Extent, tally: Tally, mode: Literal["fast", "immediate"]
) -> None:
    """What was told of a job stays true on the new primary: after a crash if replication is synchronous."""
    places = Places(fresh_pair())
    places.pair.primary.psql(SET_UP)
    chance = extents.chance("promotion", mode)
    with synchronous(places.pair) if mode == "immediate" else nullcontext():
        with crew_at_work(places.connect, SESSIONS, f"promotion {mode}") as crew:
            for _ in range(extent.promotions):
                crew.sleep(chance.uniform(0.1, 1))
                places.change(crew, mode)
                tally.faults(f"promotion and pg_rewind, {mode}")
            crew.sleep(0.5)
        primary, standby = places.pair
        check(primary, crew, tally)
        places.pair.replay()
        assert effects(primary) == effects(standby)
        with standby.connect() as conn:
            assert_nothing_is_left(conn)


def effects(server: Server) -> list[tuple[object, ...]]:
    """All that jobs have committed, in short."""
    with server.connect() as conn:
        return query(conn, "SELECT count(*), sum(job), sum(hashtext(who)) FROM effects")
