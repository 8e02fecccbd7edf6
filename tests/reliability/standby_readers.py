"""Sessions on a standby whose jobs read what the primary changes."""

from __future__ import annotations

import random
import threading
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import psycopg

from ..support.calls import query
from ..support.jobs import Connection, Handle
from ..support.server import Server
from . import extent as extents
from .crew import PATIENCE
from .driver import is_of_the_job
from .tally import Tally

#: A table whose rows add up to the same whenever somebody looks.
SET_UP = "CREATE TABLE used AS SELECT generate_series(-50, 50) AS a"

_LOOK = "SELECT count(*) || ' ' || sum(a) FROM used"
_TOLD = ("101 0",)

#: Jobs, and the rows that each must have if it has any.
_JOBS = (
    (_LOOK, [_TOLD]),
    (f"SELECT pg_sleep(0.01); {_LOOK}", [_TOLD]),
    (f"WITH late AS (SELECT pg_sleep(0.02)) {_LOOK}, late", [_TOLD]),
    # In a subtransaction a conflict ends the process.
    (
        "DO $$ BEGIN BEGIN PERFORM pg_sleep(0.02) FROM (SELECT sum(a) FROM used) s;"
        f" EXCEPTION WHEN division_by_zero THEN NULL; END; END $$; {_LOOK}",
        [_TOLD],
    ),
    (
        "SELECT repeat('x', 1000) FROM generate_series(1, 300), (SELECT sum(a) FROM used) s",
        [("x" * 1000,)] * 300,
    ),
)

#: What replay does to who is in its way: it ends the statement or the process, or breaks a deadlock with it.
_CONFLICTS = frozenset({"40001", "40P01"})


class Readers:
    """Sessions at work on a standby, each in a thread of its own."""

    def __init__(self, standby: Server, sessions: int) -> None:
        self._standby = standby
        self._stop = threading.Event()
        #: ways in which jobs have ended
        self.ends = Counter[str]()
        #: jobs whose rows have been asked for
        self._read = set[Handle]()
        self._threads = ThreadPoolExecutor(sessions)
        self._calls: list[Future[None]] = [
            self._threads.submit(self._work, extents.chance("standby reader", place))
            for place in range(sessions)
        ]

    def close(self) -> None:
        """Let each end its job; raise what one has met that it must not."""
        self._stop.set()
        self._threads.shutdown(wait=False)
        for call in self._calls:
            call.result(PATIENCE)

    def note(self, tally: Tally) -> None:
        """Add what they have seen."""
        tally.jobs(self.ends.total())
        for end, count in self.ends.items():
            tally.add(f"on the standby: {end}", count)

    def _work(self, chance: random.Random) -> None:
        conn: Connection | None = None
        while not self._stop.is_set():
            job, rows = chance.choice(_JOBS)
            handle: Handle | None = None
            end: str | None = None
            while end is None:
                try:
                    conn = conn or self._standby.connect()
                    if handle is None:
                        ((*found,),) = query(conn, "SELECT pid, cookie FROM pg_background_launch(%s)", job)
                        handle = Handle(*found)
                    end = self._see_through(conn, handle, rows)
                except psycopg.Error as error:
                    # The session itself is in the way as often as its job.
                    if error.sqlstate not in _CONFLICTS and not is_of_conflict(error):
                        raise
                    if conn is not None and conn.closed:
                        conn = None
            self.ends[end] += 1
        if conn is not None:
            conn.close()

    def _see_through(self, conn: Connection, handle: Handle, rows: list[tuple[str]]) -> str:
        """Wait for a job and take its rows; returns how it ended."""
        try:
            query(conn, "SELECT pg_background_wait(%s, %s)", *handle)
        except psycopg.errors.UndefinedObject:
            # As below, and another job has had its entry since.
            if handle not in self._read:
                raise
            return "stopped, rows not seen"
        ((state, sqlstate),) = query(
            conn, "SELECT state, sqlstate FROM pg_background_outcome(%s, %s)", *handle
        )
        if state == "error":
            assert sqlstate in _CONFLICTS, sqlstate
            with suppress(psycopg.errors.UndefinedObject):
                query(conn, "SELECT pg_background_detach(%s, %s)", *handle)
            return f"error {sqlstate}"
        # None: this session has read it before, and was interrupted when it had.
        assert state in ("stopped", None), state
        if state is None:
            return "stopped, rows not seen"
        self._read.add(handle)
        try:
            found = query(conn, "SELECT * FROM pg_background_result(%s, %s) AS (value text)", *handle)
        except psycopg.Error as error:
            if is_of_the_job(error):
                raise AssertionError(f"it was told as stopped: {error}") from error
            raise
        assert found == rows, found
        return "stopped"


def is_of_conflict(error: psycopg.Error) -> bool:
    """Whether replay has ended the session."""
    return "conflict with recovery" in str(error)
