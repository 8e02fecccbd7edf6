"""How jobs and results look in a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from typing import TYPE_CHECKING, Any

import psycopg

from .model import Progress, in_words

if TYPE_CHECKING:
    from .result import Result

SHOWN_ROWS = 20
SHOWN_CHARACTERS = 200


def card_of(name: str, state: str, query: str | None, progress: Progress) -> str:
    """Return a small table that says what is known of a job."""
    fields = {"job": name, "state": in_words(state)}
    if progress.percent is not None:
        fields["progress"] = f"{progress.percent} % {progress.message or ''}".strip()
    if query is not None:
        fields["query"] = query if len(query) <= SHOWN_CHARACTERS else query[:SHOWN_CHARACTERS] + " …"
    rows = "".join(f"<tr><th>{title}</th><td>{escape(text)}</td></tr>" for title, text in fields.items())
    return f"<table>{rows}</table>"


def first_rows(result: Result[Any]) -> Iterator[tuple[str, ...]]:
    """Yield a result's first rows, each value as text."""
    columns = [_first_values(result, n) for n in range(len(result.columns))]
    for values in zip(*columns, strict=True):
        yield tuple("NULL" if value is None else str(value) for value in values)


def _first_values(result: Result[Any], index: int) -> list[Any]:
    try:
        return result.column(index, SHOWN_ROWS)
    except psycopg.DataError:
        # Python has no such value; SQL has.
        return list(result.texts(index, SHOWN_ROWS))


def counted(rows: int) -> str:
    """Return `1 row` or `2 rows`."""
    return f"{rows} row" if rows == 1 else f"{rows} rows"


def shown_of(result: Result[Any]) -> str:
    """Return how many rows there are, and how many of them are shown."""
    rows = len(result)
    return f"{SHOWN_ROWS} of {counted(rows)}" if rows > SHOWN_ROWS else counted(rows)


def table_of(result: Result[Any]) -> str:
    """Return a result's first rows; of a statement without rows the tag."""
    if not result.columns:
        return f"<p>{escape(result.statusmessage or '')}</p>"
    more = f"<p>{shown_of(result)}</p>" if len(result) > SHOWN_ROWS else ""
    return rows_of(result) + more


def rows_of(result: Result[Any]) -> str:
    """Return a result's first rows alone."""
    head = _row("th", (column.name for column in result.columns))
    return f"<table>{head}{''.join(_row('td', texts) for texts in first_rows(result))}</table>"


def _row(cell: str, texts: Iterable[str]) -> str:
    return "<tr>" + "".join(f"<{cell}>{escape(text)}</{cell}>" for text in texts) + "</tr>"
