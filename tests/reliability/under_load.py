"""A server under load that faults meet, and what must be so when they are over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from ..support.fix_db import Connection
from ..support.jobs import run
from ..support.server import Server
from ..support.waiting import wait_until
from . import extent as extents
from .crew import Crew, crew_at_work
from .driver import Connect
from .faults import Injector
from .kinds import IDENTITIES, SET_UP, Identities
from .leaks import assert_nothing_is_left
from .tally import Tally

#: Sessions that work while faults come: few enough for each fault to matter to some of them.
SESSIONS = 12


@contextmanager
def under_load(
    server: Server,
    what: str,
    tally: Tally,
    connect: Connect | None = None,
    identities: Identities = IDENTITIES,
) -> Iterator[tuple[Crew, Injector]]:
    """Sessions at work during the block; at its end all that was promised of their jobs must be kept.

    Args:
        what: the run's name, by which it has its own random numbers.
        connect: by which the sessions come, unless directly.
        identities: who the sessions are, in turn.
    """
    server.psql(SET_UP)
    with crew_at_work(connect or server.connect, SESSIONS, what, identities) as crew:
        injector = Injector(server, crew, extents.chance(what, "faults"))
        try:
            yield crew, injector
            crew.stop()
        finally:
            injector.close()
    check(server, crew, tally)


def cancels_all(watcher: Connection) -> bool:
    """Cancel the jobs whose launch was cut off, of which nobody knows; one may be forgotten meanwhile."""
    try:
        watcher.execute(
            "SELECT count(pg_background_cancel(pid, cookie)) FROM pg_background_jobs "
            "WHERE finished_at IS NULL"
        )
    except psycopg.errors.UndefinedObject:
        return False
    return True


def check(server: Server, crew: Crew, tally: Tally) -> None:
    """What was promised of the jobs is kept, nothing of them is left, and the next one runs."""
    server.wait_ready()
    with server.connect() as watcher:
        wait_until(lambda: cancels_all(watcher), what="all jobs are canceled")
        assert_nothing_is_left(watcher)
        crew.ledger.check_effects(watcher, tally)
        crew.ledger.check_totals(watcher)
        for stage, count in crew.ledger.interrupted.items():
            tally.add(f"interrupted in: {stage}", count)
        assert run(watcher, "SELECT 'next'") == [("next",)]
