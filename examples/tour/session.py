"""A session whose statements are shown: each with its rows and its time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import psycopg

from .screen import Screen, duration

#: The types whose values stand to the right, by OID: integers, oid, floats, numeric.
_NUMBERS = frozenset((20, 21, 23, 26, 700, 701, 1700))
_VOID = 2278

T = TypeVar("T")


class Handle(NamedTuple):
    """What `launch` and `submit` return. As text it is the arguments of the other functions."""

    pid: int
    cookie: int

    def __str__(self) -> str:
        return f"{self.pid}, {self.cookie}"


class Answer(NamedTuple):
    """What a statement gave."""

    rows: list[tuple[Any, ...]]
    seconds: float


class Session:
    """Runs statements. What is shown is the very text that is sent."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]], screen: Screen) -> None:
        self._connection = connection
        self.screen = screen

    def say(self, text: str) -> None:
        """Say what comes."""
        self.screen.say(text)

    def run(self, statement: str, *, after: str = "") -> Answer:
        """Show a statement, run it, and show what it gave.

        Args:
            after: what to add to the line with the time.
        """
        begun = self._begin(statement)
        cursor = self._execute(statement)
        rows = cursor.fetchall() if cursor.description else []
        seconds = time.perf_counter() - begun
        if cursor.description:
            if cursor.description[0].type_code != _VOID:
                self._show_rows(cursor)
            count = "1 row" if len(rows) == 1 else f"{len(rows)} rows"
        else:
            count = cursor.statusmessage or ""
        self.screen.note(f"{count} in {duration(seconds)}{after}")
        return Answer(rows, seconds)

    def launch(self, statement: str) -> Handle:
        """Run a statement whose one row is a handle."""
        return Handle(*self.run(statement).rows[0])

    def quietly(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement without showing it."""
        cursor = self._execute(statement)
        return cursor.fetchall() if cursor.description else []

    def fails(self, statement: str) -> None:
        """Show a statement that must fail, and all that its error tells."""
        begun = self._begin(statement)
        try:
            self._execute(statement)
        except psycopg.Error as error:
            diagnosis = error.diag
        else:
            raise RuntimeError(f"this was to fail: {statement}")
        seconds = time.perf_counter() - begun
        self.screen.note(f"ERROR:  {diagnosis.sqlstate}: {diagnosis.message_primary}", "red")
        for title, text in (
            ("DETAIL", diagnosis.message_detail),
            ("HINT", diagnosis.message_hint),
            ("CONTEXT", diagnosis.context),
        ):
            if text:
                self.screen.note(f"{title}:  {text}", "red")
        self.screen.note(f"failed in {duration(seconds)}")

    def abandon(self) -> None:
        """Cancel what still runs: a job outlives its session."""
        self._connection.rollback()
        self.quietly(
            "SELECT public.pg_background_cancel(pid, cookie, 0) FROM public.pg_background_list "
            "WHERE state IN ('starting', 'running')"
        )

    def _begin(self, statement: str) -> float:
        self.screen.sql(f"{statement.strip()};")
        return time.perf_counter()

    def _execute(self, statement: str) -> psycopg.Cursor[tuple[Any, ...]]:
        # As bytes: psycopg wants text only as literals, which the handles in these statements are not.
        return self._connection.execute(f"{statement.strip()};".encode())

    def _show_rows(self, cursor: psycopg.Cursor[tuple[Any, ...]]) -> None:
        result, described = cursor.pgresult, cursor.description
        assert result is not None
        assert described is not None
        texts = [
            [_text(result.get_value(row, column)) for column in range(result.nfields)]
            for row in range(result.ntuples)
        ]
        self.screen.rows(
            [column.name for column in described],
            texts,
            [column.type_code in _NUMBERS for column in described],
        )


def only(rows: Sequence[tuple[T, ...]]) -> T:
    """Return the first column of the first row."""
    return rows[0][0]


def _text(value: bytes | None) -> str:
    """Return a value as the server writes it."""
    return "" if value is None else value.decode()
