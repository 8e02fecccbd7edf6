"""Values as agents get them: as JSON has them where nothing is lost by that, else as text."""

from __future__ import annotations

import json
import math
from typing import Any

from .limits import VALUE_CHARS

_BOOL = 16
_INTEGERS = frozenset((20, 21, 23, 26))
_FLOATS = frozenset((700, 701))
_DOCUMENTS = frozenset((114, 3802))

#: What numbers of JavaScript hold exactly, as which many take those of JSON.
_MOST = 2**53
_MOST_DEPTH = 100


def of_text(kind: int, text: str | None) -> tuple[Any, bool]:
    """Return a value that PostgreSQL has written, and whether only its beginning is there.

    Args:
        kind: OID of its type.
    """
    if text is None:
        return None, False
    if len(text) > VALUE_CHARS:
        return f"{text[:VALUE_CHARS]}… (cut: it has {len(text)} characters)", True
    if kind == _BOOL:
        return text == "t", False
    if kind in _INTEGERS and abs(number := int(text)) <= _MOST:
        return number, False
    if kind in _FLOATS and math.isfinite(fraction := float(text)):
        return fraction, False
    if kind in _DOCUMENTS:
        return _document(text), False
    return text, False


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
