"""The named points of a debug build, where a process stops or ends as a test wants."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import psycopg
import pytest
from psycopg import errors as e

from .calls import Caller, at_the_same_time, value
from .jobs import FOREVER, Connection, Handle, cancel, detach, launch, result, run
from .registry import registry, wait_until_quiet
from .server import Server

#: Processes that the server of the scenes may have: too few for one to be started ahead of need.
WORKERS = 2

#: How a process may end at a point of itself.
ERROR, FATAL, KILL = "error", "fatal", "kill"

#: It is held there until the point opens.
PAUSE = ""


class Point:
    """A point that is set."""

    def __init__(self, server: Server, name: str, what: str) -> None:
        """
        Args:
            what: becomes of the processes that reach it.
        """
        self._server = server
        self._name = name
        self._file = server.cluster.path / f"pg_background_point_{name}"
        self._mark = server.log.mark()
        self.become(what)

    def become(self, what: str) -> None:
        """Let this become of the processes that are there, and of those that reach it from now on."""
        new = self._file.with_name(f"new_point_{self._name}")
        new.write_text(what)
        new.chmod(0o644)
        new.rename(self._file)

    def reached(self) -> int:
        """Wait until a process is there, and return its pid."""
        return int(self._server.log.wait_for(rf"\[(\d+)\].* at debug point {self._name}\b", self._mark)[1])

    def open(self) -> None:
        """Let everybody pass, from now on."""
        self._file.unlink(missing_ok=True)


class Scene:
    """Sessions with parts of their own, on a server of a debug build."""

    def __init__(self, server: Server, connect: Callable[[], Connection]) -> None:
        self.server = server
        self.connect = connect
        self.watcher = connect()
        self.launcher = connect()
        self.waiter = connect()
        self.reader = connect()

    @contextmanager
    def point(self, name: str, what: str = PAUSE) -> Iterator[Point]:
        """Set a point for the block."""
        point = Point(self.server, name, what)
        try:
            yield point
        finally:
            point.open()

    @contextmanager
    def failing(self, name: str, what: str) -> Iterator[None]:
        """Set a point for a block in which a call of a session must fail at it."""
        with self.point(name, what), pytest.raises(e.InternalError_, match=rf"error at debug point {name}\b"):
            yield

    @contextmanager
    def calls(self) -> Iterator[Caller]:
        """Run calls of the sessions beside the test."""
        with at_the_same_time(self.launcher, self.waiter, self.reader) as call:
            yield call

    def terminate(self, session: Connection) -> None:
        """End a session, once it looks: at a point it does not."""
        self.watcher.execute("SELECT pg_terminate_backend(%s)", [session.info.backend_pid])

    def ran(self) -> int:
        """Return how many jobs have committed their row."""
        return int(value(self.watcher, "SELECT count(*) FROM ran"))

    def assert_nothing_is_left(self) -> None:
        """Fail unless all is as before the first job, and both workers can work."""
        with suppress(psycopg.OperationalError):
            for row in self.launcher.execute("SELECT pid, cookie FROM pg_background_list").fetchall():
                with suppress(e.UndefinedObject, e.ObjectNotInPrerequisiteState):
                    detach(self.launcher, Handle(*row))
        wait_until_quiet(self.watcher, area_bytes=0)
        assert registry(self.watcher).entries == 0
        assert temporary_files(self.watcher) == 0
        with suppress(psycopg.OperationalError):
            assert value(self.launcher, "SELECT workers_active FROM pg_background_stats()") == 0
        conn = self.connect()
        handles = [launch(conn, FOREVER) for _ in range(WORKERS)]
        for handle in handles:
            cancel(conn, handle)
            assert outcome(conn, handle) == Outcome("canceled")
        assert run(conn, "SELECT 'next'") == [("next",)]


def temporary_files(conn: Connection) -> int:
    """Count the server's temporary files."""
    return int(value(conn, "SELECT count(*) FROM pg_ls_tmpdir()"))


class Outcome(NamedTuple):
    """How a job ended, as the reader of its result is told."""

    state: str
    rows: tuple[tuple[Any, ...], ...] = ()


_STATES = {"08006": "lost", "57014": "canceled", "XX000": "error", "42704": "unknown", "55000": "unknown"}


def outcome(conn: Connection, handle: Handle, columns: str = "value text") -> Outcome:
    """Read a result; the state is "gone" where the reading session was ended."""
    try:
        return Outcome("stopped", tuple(result(conn, handle, columns)))
    except psycopg.Error as error:
        if conn.closed:
            return Outcome("gone")
        return Outcome(_STATES[error.sqlstate or ""])
