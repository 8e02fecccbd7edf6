"""Values as agents get them: as JSON has them where nothing is lost by that, else as text."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from .limits import VALUE_CHARS

_BOOL = 16
_INTEGERS = frozenset((20, 21, 23, 26))
_FLOATS = frozenset((700, 701))
_DOCUMENTS = frozenset((114, 3802))

#: What numbers of JavaScript hold exactly, as which many take those of JSON.
_MOST = 2**53
_MOST_DEPTH = 100

#: Bytes of a character in JSON, at most.
_WIDEST = 6

#: Characters to which values are cut at most: a number is whole.
_FEW = 30


def of_text(kind: int, text: str | None, most: int = VALUE_CHARS) -> tuple[Any, bool]:
    """Return a value that PostgreSQL has written, and whether only its beginning is there.

    Args:
        kind: OID of its type.
        most: characters of it.
    """
    if text is None:
        return None, False
    if len(text) > most:
        return f"{text[:most]}… (cut: it has {len(text)} characters)", True
    if kind == _BOOL:
        return text == "t", False
    if kind in _INTEGERS and abs(number := int(text)) <= _MOST:
        return number, False
    if kind in _FLOATS and math.isfinite(fraction := float(text)):
        return fraction, False
    if kind in _DOCUMENTS:
        return _document(text), False
    return text, False


def fitting(kinds: Sequence[int], texts: Sequence[str | None], most_bytes: int) -> tuple[list[Any], int]:
    """Return the values of a row, and of how many only the beginning is there.

    Those of a row that would be larger than a page are cut to shorter ones.
    """
    most = VALUE_CHARS
    while True:
        found = [of_text(kind, text, most) for kind, text in zip(kinds, texts, strict=True)]
        row = [value for value, _ in found]
        # Most rows are so short that they need not be written to be known to fit.
        is_short = _WIDEST * sum(len(text or "") for text in texts) + 8 * len(texts) <= most_bytes
        if is_short or most <= _FEW or len(written(row)) <= most_bytes:
            return row, sum(is_cut for _, is_cut in found)
        most //= 2


def written(row: Sequence[Any]) -> bytes:
    """Return a row as JSON."""
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode()


def _document(text: str) -> Any:
    """Return it as JSON, unless a number of it would be another one, or it is deeper than some can read."""
    if text.count("[") + text.count("{") > _MOST_DEPTH:
        return text
    try:
        return json.loads(text, parse_float=_exact, parse_int=_exact_int, parse_constant=_refuse)
    except ValueError:
        return text


def _exact(text: str) -> float:
    value = float(text)
    if not math.isfinite(value) or len(text.lstrip("-").replace(".", "").lstrip("0")) > 15:
        raise ValueError(text)
    return value


def _exact_int(text: str) -> int:
    value = int(text)
    if abs(value) > _MOST:
        raise ValueError(text)
    return value


def _refuse(text: str) -> Any:
    raise ValueError(text)


def to_text(value: Any) -> str | None:
    """Return a parameter as the server takes it; lists and objects as JSON."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
