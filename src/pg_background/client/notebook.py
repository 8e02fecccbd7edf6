"""How jobs and results look in a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from typing import TYPE_CHECKING, Any

from .model import Progress

if TYPE_CHECKING:
    from .result import Result

SHOWN_ROWS = 20
SHOWN_CHARACTERS = 200


def card_of(name: str, state: str, query: str | None, progress: Progress) -> str:
    """Return a small table that says what is known of a job."""
    facts = {"job": name, "state": state}
    if progress.percent is not None:
        facts["progress"] = f"{progress.percent} % {progress.message or ''}".strip()
    if query is not None:
        facts["query"] = query if len(query) <= SHOWN_CHARACTERS else query[:SHOWN_CHARACTERS] + " …"
    rows = "".join(f"<tr><th>{title}</th><td>{escape(text)}</td></tr>" for title, text in facts.items())
    return f"<table>{rows}</table>"


def first_rows(result: Result[Any]) -> Iterator[tuple[str, ...]]:
    """Yield a result's first rows, each value as text."""
    columns = [result.column(n, SHOWN_ROWS) for n in range(len(result.columns))]
    for values in zip(*columns, strict=True):
        yield tuple("NULL" if value is None else str(value) for value in values)


def table_of(result: Result[Any]) -> str:
    """Return a result's first rows."""
    if not result.columns:
        return f"<p>{escape(result.statusmessage or '')}</p>"
    head = _row("th", (column.name for column in result.columns))
    body = "".join(_row("td", texts) for texts in first_rows(result))
    more = f"<p>{len(result)} rows</p>" if len(result) > SHOWN_ROWS else ""
    return f"<table>{head}{body}</table>{more}"


def _row(cell: str, texts: Iterable[str]) -> str:
    return "<tr>" + "".join(f"<{cell}>{escape(text)}</{cell}>" for text in texts) + "</tr>"
