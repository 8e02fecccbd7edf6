# Made from _connections_async.py by tools/async_to_sync.py: edit that one.
"""What a client asks of its server, and what it makes of a broken connection."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from time import monotonic
from typing import Any

import psycopg
from psycopg.errors import Diagnostic
from psycopg.rows import TupleRow

from . import reading
from ._asking import asking
from ._home import Home
from ._source import Connection, Source
from ._watch import Watcher
from .acompat import loop
from .errors import ConnectionLost
from .model import Handle, JobColumn, Outcome, Progress
from .statements import LISTEN, LOOK, NUDGE, Statements

#: The server has ended the session for what the session did, or did not do: no other is concerned.
_SESSION_ENDS = ("25P03", "25P04", "57P05")

#: How often a listener looks whether the client is closed, if nothing wakes it, in seconds.
LISTEN_SECONDS = 5.0

#: How often waits that can't end are looked for; as the server's own deadlock_timeout.
DEADLOCK_SECONDS = 1.0


NoticeHandler = Callable[[Diagnostic], None]


class Calls:
    """The part of a client that speaks SQL."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._found: Statements | None = None
        self._last_look = monotonic()
        self._home = Home()
        self._watcher = Watcher(self._ask, self._listen)
        self._notice_handlers: list[NoticeHandler] = []

    def close(self) -> None:
        """End all waits, and the connection if it is the client's own; jobs go on."""
        if self._home.is_left:
            # All that there is to close is the parent's.
            return
        self._arrive()
        self._watcher.closed = True
        if self._watcher.listening:
            with suppress(psycopg.Error), self._session() as connection:
                connection.execute(NUDGE)
        self._watcher.close()
        self._source.close()

    def add_notice_handler(self, callback: NoticeHandler) -> None:
        """Call it with each notice that comes while a call of this client is served, such as a job's.

        A job's notices come when its result is read. The callback must not use the client.
        """
        self._notice_handlers.append(callback)

    def remove_notice_handler(self, callback: NoticeHandler) -> None:
        """Call it no more.

        Raises:
            ValueError: it was not added.
        """
        self._notice_handlers.remove(callback)

    def _arrive(self) -> None:
        """Leave behind what belongs to the parent of this process, or to an event loop that is closed.

        Raises:
            RuntimeError: the client can be used only there.
        """
        here = loop()
        if self._home.is_here(here):
            return
        with self._home.move(here) as forked:
            if forked is not None:
                self._source.move(forked=forked)
                # Whoever watched for the one before is not here.
                self._watcher = Watcher(self._ask, self._listen)

    @property
    def _statements(self) -> Statements:
        assert self._found is not None, "inside of a session only"
        return self._found

    @contextmanager
    def _session(self, *, private: bool = False, job_continues: bool | None = True) -> Iterator[Connection]:
        """Borrow a connection that has the extension; tell when it broke, and whether the job goes on."""
        self._arrive()
        lending = self._source.private() if private else self._source.shared()
        borrowed: Connection | None = None
        try:
            with lending as borrowed:
                if self._found is None:
                    self._found = self._look(borrowed)
                handlers = tuple(self._notice_handlers)
                for handler in handlers:
                    borrowed.add_notice_handler(handler)
                try:
                    yield borrowed
                finally:
                    for handler in handlers:
                        borrowed.remove_notice_handler(handler)
        except psycopg.Error as error:
            if not self._is_lost(borrowed, error):
                raise
            if not (self._source.is_closed_here or error.sqlstate in _SESSION_ENDS):
                # It may have been the end of the server, which takes its jobs with it.
                job_continues = None
            said = (
                "the job goes on in the server" if job_continues else "whether the job goes on is not known"
            )
            raise ConnectionLost(f"{str(error).strip()}; {said}", job_continues=job_continues) from error

    def _is_lost(self, borrowed: Connection | None, error: psycopg.Error) -> bool:
        """Tell a connection that broke, or can't be had any more, from other errors, such as the job's."""
        if isinstance(error, ConnectionLost):
            return False
        if not isinstance(error, psycopg.OperationalError) and error.sqlstate not in _SESSION_ENDS:
            return False
        if borrowed is not None:
            return borrowed.closed
        # A pool that has none to lend has its own words for it, and so has the first attempt to connect.
        return self._found is not None and not type(error).__module__.startswith("psycopg_pool")

    def _look(self, connection: Connection) -> Statements:
        with asking(connection) as cursor:
            cursor.execute(LOOK, prepare=False)
            row = cursor.fetchone()
        assert row is not None
        schema, server_pid = row
        if schema is None:
            raise psycopg.ProgrammingError(
                f'the database "{connection.info.dbname}" does not have the extension pg_background\n'
                "HINT:  Run CREATE EXTENSION pg_background there, or name a database that has it."
            )
        self._source.found(through_pooler=server_pid != connection.info.backend_pid)
        return Statements(schema)

    def _rows(self, statement: str, *parameters: Any) -> list[TupleRow]:
        """Ask what can be asked again, and do so once if the connection breaks and there is another."""
        try:
            return self._rows_once(statement, *parameters)
        except ConnectionLost:
            if not self._source.reconnects:
                raise
        return self._rows_once(statement, *parameters)

    def _rows_once(self, statement: str, *parameters: Any) -> list[TupleRow]:
        with self._session() as connection, asking(connection) as cursor:
            cursor.execute(getattr(self._statements, statement), parameters)
            return cursor.fetchall()

    def _ask(self, handles: Sequence[Handle]) -> list[Outcome]:
        """Return those that are final or unknown."""
        rows = self._rows("finished", *_columns(handles))
        if self._source.is_in_transaction and monotonic() - self._last_look >= DEADLOCK_SECONDS:
            self._last_look = monotonic()
            self._end_endless_waits(handles)
        return [Outcome(Handle(pid, cookie), *rest) for pid, cookie, *rest in rows]

    def _end_endless_waits(self, handles: Sequence[Handle]) -> None:
        """Tell those who wait, in an open transaction, for jobs that wait for its end."""
        for pid, cookie in self._rows("held_up", *_columns(handles)):
            error = psycopg.errors.DeadlockDetected(
                f"the job with PID {pid} waits for what this connection's open transaction holds\n"
                "HINT:  End the transaction, or wait over another connection."
            )
            self._watcher.fail(Handle(pid, cookie), error)

    def _listen(self, watcher: Watcher) -> None:
        """Hear the notices of jobs that ended; without them it takes a bit longer to learn of it."""
        if not self._source.can_listen:
            return
        with suppress(psycopg.Error), self._session(private=True) as connection:
            connection.execute(LISTEN)
            watcher.listening = True
            # For what ended just before.
            watcher.wake.set()
            while not watcher.closed:
                for notice in connection.notifies(timeout=LISTEN_SECONDS, stop_after=1):
                    watcher.hear(notice.payload)

    def _outcome(self, handle: Handle) -> Outcome:
        ((pid, cookie, *rest),) = self._rows("outcome", *handle)
        return Outcome(Handle(pid, cookie), *rest)

    def _progress(self, handles: Sequence[Handle]) -> list[Progress]:
        return [Progress(*row) for row in self._rows("progress", *_columns(handles))]

    def _describe(self, handle: Handle) -> tuple[JobColumn, ...]:
        with reading.telling_unknown(handle):
            rows = self._rows("describe", *handle)
        return reading.columns_of(rows)

    def _control(self, action: str, handle: Handle, *arguments: Any) -> None:
        with reading.telling_unknown(handle):
            self._rows_once(action, *handle, *arguments)


def _columns(handles: Sequence[Handle]) -> tuple[list[int], list[int]]:
    return [handle.pid for handle in handles], [handle.cookie for handle in handles]
