# Made from _session_async.py by tools/async_to_sync.py: edit that one.
"""What a client, its jobs and its lists ask of a server; what is built on clients asks the same way."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import cast

import psycopg
from psycopg.rows import TupleRow, class_row

from ._asking import asking
from ._connections import Connections, NoticeHandler
from ._job_errors import ErrorFields
from ._shapes import Shapes
from ._source import Connection, Source
from ._waits import Waits
from ._watch import Watch
from .handles import arrays_of, telling_unknown
from .model import Handle, Inspection, JobColumn, JobInfo, Load, Outcome, Progress, Stats
from .statements import Statements


class Session:
    """How SQL gets to the server: over which connections, with which names, and who hears its notices.

    A client has one, `Client.session`, and shares it with its jobs. If the connection breaks during a
    question about a job, that is asked again over another one, where the source has one. What changes
    something is sent once.

    Attributes:
        shapes: what the results of earlier queries were like.
    """

    def __init__(self, source: Source) -> None:
        """
        Args:
            source: where its connections come from; closed with it.
        """
        self._connections = Connections(source)
        self._waits = Waits(self._connections)
        self.shapes = Shapes()

    def close(self) -> None:
        """End all waits, and the connection if the source opened it; jobs go on."""
        if self._connections.are_parents:
            # All that there is to close is the parent's.
            return
        self._connections.move_here()
        try:
            self._waits.close()
        finally:
            self._connections.close()

    # ---- connections

    @property
    def has_private(self) -> bool:
        """Whether `connection(private=True)` can be had."""
        return self._connections.source.has_private

    @property
    def is_in_transaction(self) -> bool:
        """Whether there is an open transaction, somebody's own, of which jobs don't see the writes."""
        return self._connections.source.is_in_transaction

    @property
    def statements(self) -> Statements:
        """The statements for the schema that the extension is in; known once a connection was lent."""
        return self._connections.statements

    def connection(
        self, *, private: bool = False, job_continues: bool | None = True
    ) -> AbstractContextManager[Connection]:
        """Lend a connection, for the block.

        Args:
            private: one that nobody else uses meanwhile, and that may be in a transaction for long.
            job_continues: what `ConnectionLost` tells if it breaks, and it is not the server that ends.

        Raises:
            ConnectionLost: it broke.
            psycopg.ProgrammingError: the database does not have the extension.
        """
        return self._connections.lend(private=private, job_continues=job_continues)

    @staticmethod
    def cursor(connection: Connection) -> psycopg.Cursor[TupleRow]:
        """Return a cursor of a lent connection, whose texts are `str` whatever the encoding is."""
        return asking(connection)

    def tell_ends(self, connection: Connection) -> bool:
        """Have the next job that is launched over a lent connection tell its end, if it may take long.

        To tell it costs a worker more than a quick job itself does.

        Returns:
            whether it does.
        """
        return self._connections.source.tell_ends(connection, self._waits.wants_notices)

    def add_notice_handler(self, callback: NoticeHandler) -> None:
        """Call it with each notice that comes over a connection while that is lent."""
        self._connections.add_notice_handler(callback)

    def remove_notice_handler(self, callback: NoticeHandler) -> None:
        """Call it no more.

        Raises:
            ValueError: it was not added.
        """
        self._connections.remove_notice_handler(callback)

    # ---- waits

    @property
    def reconnects(self) -> bool:
        """Whether another connection can be had when one broke."""
        return self._connections.source.reconnects

    @property
    def is_listening(self) -> bool:
        """Whether there is a connection over which jobs tell their ends."""
        return self._waits.is_listening

    def watch(self, *, is_notified: bool, earlier: Watch | None = None) -> Watch:
        """Return what tells that a job is over, once `begin` was called.

        Args:
            is_notified: whether the server gives notice when it ends.
            earlier: what this has returned for the job before; it is returned if it still is of use.
        """
        return self._waits.watch(is_notified=is_notified, earlier=earlier)

    def begin(self, handle: Handle, watch: Watch) -> Watch:
        """Watch the job until it is over, beside the caller; return the watch."""
        return self._waits.begin(handle, watch)

    # ---- questions

    def outcome(self, handle: Handle) -> Outcome:
        """Return how far a job is, or how it ended; its state is None if the server does not know it."""
        (row,) = self._connections.rows("outcome", *handle)
        return Outcome.of(row)

    def ended(self, handle: Handle, patience: int) -> Outcome | None:
        """Return how and when a job ended, if it has or does in so many milliseconds."""
        return next(iter(self._connections.ended([handle], patience)), None)

    def progress(self, handles: Sequence[Handle]) -> list[Progress]:
        """Return what each of the jobs has reported."""
        return [Progress(*row) for row in self._connections.rows("progress", *arrays_of(handles))]

    def describe(self, handle: Handle) -> tuple[JobColumn, ...]:
        """Return a job's columns, as far as they are known.

        Raises:
            JobLost: the server does not know the handle.
        """
        with telling_unknown(handle):
            rows = self._connections.rows("describe", *handle)
        return tuple(map(JobColumn.of, rows))

    def error_fields(self, handle: Handle) -> ErrorFields:
        """Return what the server keeps of a job's error; all are None if it has none."""
        (row,) = self._connections.rows("error_info", *handle)
        return ErrorFields(*row)

    def inspect(self, handle: Handle) -> Inspection:
        """Return all that the server keeps of a job; nothing for a role that may not see that.

        Raises:
            JobLost: the server does not know the handle.
        """
        try:
            with telling_unknown(handle):
                (row,) = self._connections.rows("inspect", *handle)
        except psycopg.errors.InsufficientPrivilege:
            return Inspection(None, None)
        return Inspection.of(row)

    def jobs(self) -> list[JobInfo]:
        """Return the server's jobs that this role may see, of all sessions."""
        with self.connection() as connection:
            cursor = asking(connection, class_row(JobInfo))
            cursor.execute(self.statements.jobs)
            return cursor.fetchall()

    def load(self) -> Load:
        """Return how busy the server is, as far as this role may see."""
        with self.connection() as connection:
            cursor = asking(connection, class_row(Load))
            try:
                cursor.execute(self.statements.load)
            except psycopg.errors.InsufficientPrivilege:
                cursor.execute(self.statements.load_of_jobs)
            return cast(Load, cursor.fetchone())

    def stats(self) -> Stats:
        """Return the counters of the session in the server."""
        with self.connection() as connection:
            cursor = asking(connection, class_row(Stats))
            cursor.execute(self.statements.stats)
            return cast(Stats, cursor.fetchone())

    # ---- commands

    def cancel(self, handle: Handle, grace: float = 0) -> None:
        """Cancel a job; after `grace` seconds, if that is not 0, its process is ended, which this waits for.

        Raises:
            JobLost: the server does not know the handle.
        """
        with telling_unknown(handle):
            self._connections.rows_once("cancel", *handle, round(grace * 1000))

    def detach(self, handle: Handle) -> None:
        """Forget a job.

        Raises:
            JobLost: the server does not know the handle.
        """
        with telling_unknown(handle):
            self._connections.rows_once("detach", *handle)
