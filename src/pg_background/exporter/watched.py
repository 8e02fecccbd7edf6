"""One server that is watched: its session, and what it answered."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.rows import dict_row

from ..client.functions import in_schema
from ..client.statements import FIND_EXTENSION, identifier
from ..errors import UserError
from .labels import Labels
from .queries import COLUMNS, LIVE_BY_LABEL, Query, queries

Connection = psycopg.Connection[tuple[Any, ...]]
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Answer:
    """What a server said, or that it said nothing."""

    server: str
    seconds: float
    #: by the name of the query; nothing of those that this version of the extension can't answer
    rows: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    #: why there are no rows
    failure: str = ""


class Watched:
    """A server. Its session is kept between scrapes, and is used by one thread at a time.

    Each time that it is asked, a thread of its own does that: a server that hangs holds nothing else up, and
    is not asked again as long as that thread is there.
    """

    def __init__(
        self, name: str, connect: Callable[[], Connection], *, labels: Labels | None = None, limit: float = 5
    ) -> None:
        """
        Args:
            connect: opens a session in autocommit mode, or raises.
            labels: of jobs, as far as they are shown.
            limit: seconds that an answer may take.
        """
        self.name = name
        self._connect = connect
        self._labels = labels or Labels()
        self._limit = limit
        self._session: _Session | None = None
        self._lock = threading.Lock()
        self._asked: Future[Answer] | None = None
        self._began = 0.0

    def ask(self) -> Future[Answer]:
        """Ask it, or join those who are asking."""
        with self._lock:
            if self._asked is None or self._asked.done():
                asked: Future[Answer] = Future()
                # Kept only then: without a thread there would never be an answer.
                threading.Thread(target=self._answer, args=[asked], daemon=True).start()
                self._asked, self._began = asked, time.monotonic()
            return self._asked

    def give_up(self) -> Answer:
        """Return what is to be said of it now; end the session if its time is over."""
        with self._lock:
            taken = time.monotonic() - self._began
            session = self._session
            if taken >= self._limit and session is not None:
                session.cut()
        return Answer(self.name, taken, failure=f"no answer within {taken:.1f} s")

    def close(self) -> None:
        """End the session; whoever is asking hears nothing."""
        with self._lock:
            session = self._session
            if self._asked is not None and not self._asked.done():
                if session is not None:
                    session.cut()
                return
        self._forget()

    def _answer(self, asked: Future[Answer]) -> None:
        began = time.monotonic()
        rows: Mapping[str, Sequence[Row]] = {}
        failure = ""
        try:
            rows = self._ask()
        except Exception as error:
            # Whatever it is, it must not be the end of the other servers' metrics.
            failure = _told(error)
        asked.set_result(Answer(self.name, time.monotonic() - began, rows, failure))

    def _ask(self) -> Mapping[str, Sequence[Row]]:
        kept = self._session
        if kept is not None:
            try:
                return kept.ask()
            except psycopg.Error:
                self._forget()
                if not kept.is_lost:
                    raise
        # It may have restarted since: that is nothing to be told.
        session = _Session(self._connect(), self._labels, self._limit)
        with self._lock:
            self._session = session
        try:
            return session.ask()
        except BaseException:
            self._forget()
            raise

    def _forget(self) -> None:
        with self._lock:
            session, self._session = self._session, None
        if session is not None:
            session.close()


class _Session:
    """A session, and what the extension is there."""

    def __init__(self, connection: Connection, labels: Labels, limit: float) -> None:
        self._connection = connection
        # Others can end what goes over it, whatever this thread does with its own descriptor meanwhile.
        self._line = socket.socket(fileno=os.dup(connection.fileno()))
        self._labels = labels
        self._limit = limit
        self._found: tuple[str, Sequence[Query]] | None = None
        self._is_cut = False
        # Behind a pooler the next transaction may be another session's.
        connection.prepare_threshold = None

    @property
    def is_lost(self) -> bool:
        """Whether it has ended, by itself."""
        return self._connection.broken and not self._is_cut

    def cut(self) -> None:
        """End what is going on, from another thread."""
        self._is_cut = True
        with suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End it."""
        self._connection.close()
        self._line.close()

    def ask(self) -> Mapping[str, Sequence[Row]]:
        """Ask for everything.

        Raises:
            psycopg.Error: the server does not answer, or refuses.
            UserError: there is no extension.
        """
        with self._connection.transaction(), self._connection.cursor(row_factory=dict_row) as cursor:
            # Never longer than somebody waits for it, and nothing found that is not the server's own.
            cursor.execute(
                "SET LOCAL search_path = pg_catalog, pg_temp; SET LOCAL transaction_read_only = on;"
                f"SET LOCAL statement_timeout = {int(self._limit * 1000)}".encode()
            )
            schema, asked = self._found = self._found or self._find()
            rows: dict[str, Sequence[Row]] = {}
            for query in asked:
                cursor.execute(
                    in_schema(query.text, identifier(schema)),
                    self._labels.parameters if query is LIVE_BY_LABEL else None,
                )
                rows[query.name] = cursor.fetchall()
        return rows

    def _find(self) -> tuple[str, Sequence[Query]]:
        row = self._connection.execute(FIND_EXTENSION).fetchone()
        if row is None or row[0] is None:
            name = self._connection.info.dbname
            raise UserError(
                f'the database "{name}" does not have the extension',
                hint="name one that does, or CREATE EXTENSION pg_background",
            )
        schema: str = row[0]
        columns = set(self._connection.execute(COLUMNS, [schema]))
        asked = [query for query in queries(by_label=bool(self._labels.globs)) if query.needs in columns]
        if not asked:
            raise UserError(
                "the extension is older than 3.0, or another one", hint="ALTER EXTENSION pg_background UPDATE"
            )
        return schema, asked


def _told(error: Exception) -> str:
    if isinstance(error, psycopg.Error) and error.diag.message_primary:
        text, hint = error.diag.message_primary, error.diag.message_hint or _hint(error)
    elif isinstance(error, UserError):
        text, hint = error.message, error.hint
    else:
        text, hint = str(error) or type(error).__name__, ""
    return " ".join(f"{text} (hint: {hint})".split() if hint else text.split())


def _hint(error: psycopg.Error) -> str:
    if error.sqlstate != "42501":
        return ""
    if (error.diag.message_primary or "").startswith("permission denied for schema "):
        return "GRANT USAGE ON SCHEMA … TO pg_monitor"
    return "GRANT pg_monitor TO the role"
