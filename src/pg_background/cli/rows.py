"""A job's rows on stdout."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import typer

from ..client.result import Result
from .formats import Format, print_rows
from .output import note
from .tables import Column

#: OIDs of types whose values JSON has: bool; numbers; json and jsonb.
_BOOL = 16
_NUMBERS = frozenset((20, 21, 23, 26, 700, 701, 1700))
_JSON = frozenset((114, 3802))
#: Shown to the right, but no number for JSON: money.
_TO_THE_RIGHT = _NUMBERS | {790}

#: NaN and Infinity are numbers of PostgreSQL, but not of JSON.
_JSON_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?")


def print_result(result: Result[Any], format: Format) -> None:
    """Print the rows; of a statement without rows the command tag."""
    if not result.columns:
        _print_tag(result, format)
        return
    columns = [Column(column.name, column.type_code in _TO_THE_RIGHT) for column in result.columns]
    print_rows(format, columns, _json_rows(result) if format is Format.JSON else _texts(result))
    if format is Format.TABLE:
        typer.echo(f"({len(result)} {'row' if len(result) == 1 else 'rows'})")


def _print_tag(result: Result[Any], format: Format) -> None:
    if format is Format.TABLE:
        typer.echo(result.statusmessage or "")
    else:
        # Not among the data.
        note(result.statusmessage or "")
        if format is Format.JSON:
            typer.echo("[]")


def _texts(result: Result[Any]) -> Iterator[tuple[str | None, ...]]:
    return zip(*(result.texts(n) for n in range(len(result.columns))), strict=True)


def _json_rows(result: Result[Any]) -> Iterator[tuple[str | None, ...]]:
    return zip(*(_json_column(result, n) for n in range(len(result.columns))), strict=True)


def _json_column(result: Result[Any], index: int) -> list[str | None]:
    kind = result.columns[index].type_code
    texts = result.texts(index)
    if kind == _BOOL:
        return [None if text is None else {"t": "true", "f": "false"}[text] for text in texts]
    if kind in _NUMBERS:
        return [None if text is None else _number(text) for text in texts]
    if kind in _JSON:
        # On one line: of white space outside of strings JSON has no need, and inside there are no line ends.
        return [None if text is None else " ".join(text.splitlines()) for text in texts]
    values = result.column(index) if any(text and text.startswith(("{", "[")) for text in texts) else texts
    return [
        None if text is None else _element(value) if isinstance(value, list) else _string(text)
        for text, value in zip(texts, values, strict=True)
    ]


def _number(text: str) -> str:
    return text if _JSON_NUMBER.fullmatch(text) else _string(text)


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _element(value: Any) -> str:
    """Return an element of an array, or an array of more dimensions."""
    if isinstance(value, list):
        return "[" + ", ".join(_element(element) for element in value) + "]"
    if value is None or isinstance(value, (bool, dict)):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, (int, float, Decimal)):
        return _number(str(value))
    return _string(value.hex() if isinstance(value, bytes) else str(value))
