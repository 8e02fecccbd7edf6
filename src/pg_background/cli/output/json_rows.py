"""Rows as JSON: numbers, booleans, arrays and documents as JSON has them, all other values as strings."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from json.encoder import encode_basestring

from ...client.names import unique
from .array_text import elements
from .copy_text import cells

_ToJson = Callable[[str], str]

BOOL = 16
_BOOLS = 1000
#: Numbers that are always numbers for JSON too, and those that have NaN and Infinity.
_INTEGERS = frozenset((20, 21, 23, 26))
_FRACTIONS = frozenset((700, 701, 1700))
_NUMBERS = _INTEGERS | _FRACTIONS
_DOCUMENTS = frozenset((114, 3802))

#: NaN and Infinity are numbers of PostgreSQL, but not of JSON.
_JSON_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?")

_CONTROLS = bytes(byte for byte in range(32) if byte not in b"\t\n")

#: An array's type, and that of its elements.
_ELEMENTS = {
    1000: 16,
    1005: 21,
    1007: 23,
    1016: 20,
    1028: 26,
    1021: 700,
    1022: 701,
    1231: 1700,
    199: 114,
    3807: 3802,
    1001: 17,
    1002: 18,
    1003: 19,
    1009: 25,
    1014: 1042,
    1015: 1043,
    2951: 2950,
    1182: 1082,
    1183: 1083,
    1270: 1266,
    1115: 1114,
    1185: 1184,
    1187: 1186,
    791: 790,
    1041: 869,
    651: 650,
    1040: 829,
    775: 774,
    1561: 1560,
    1563: 1562,
    143: 142,
    3643: 3614,
    3645: 3615,
    2949: 2970,
    1013: 30,
    1006: 22,
    1008: 24,
    2207: 2202,
    2208: 2203,
    2209: 2204,
    2210: 2205,
    2211: 2206,
    2287: 2249,
    3905: 3904,
    3907: 3906,
    3909: 3908,
    3911: 3910,
    3913: 3912,
    3927: 3926,
    4073: 4072,
    3221: 3220,
    6150: 4451,
    6151: 4532,
    6152: 4533,
    6153: 4534,
    6155: 4535,
    6157: 4536,
    4090: 4089,
    4097: 4096,
    1010: 27,
    1011: 28,
    1012: 29,
    271: 5069,
    1017: 600,
    1018: 601,
    1019: 602,
    1027: 604,
    629: 628,
    719: 718,
}
#: Of all arrays but those of box, a semicolon parts the elements of.
_BOXES = {1020: 603}


def objects(
    names: Sequence[str], types: Sequence[int], pieces: Iterable[bytes], *, encoding: str, between: str
) -> Iterator[str]:
    """Yield objects, many together, for lines as COPY writes them.

    Args:
        types: OIDs of the columns' types.
        pieces: many lines together; booleans in words.
        encoding: of the pieces.
        between: what stands between two objects.
    """
    make = _Objects(names, types, encoding, between)
    for piece in pieces:
        yield make.of(piece)


class _Objects:
    """Makes objects of lines. Most lines are what JSON has between quotes, and are put there as they are."""

    def __init__(self, names: Sequence[str], types: Sequence[int], encoding: str, between: str) -> None:
        keys = [string(name).replace("%", "%%") for name in unique(names)]
        self._types = types
        self._line = "{" + ", ".join(f"{key}: %s" for key in keys) + "}"
        self._plain_line = (
            "{" + ", ".join(f"{key}: {_place(kind)}" for key, kind in zip(keys, types, strict=True)) + "}"
        )
        self._are_plain = not any(kind in _DOCUMENTS or kind in _ELEMENTS or kind in _BOXES for kind in types)
        self._have_fractions = any(kind in _FRACTIONS for kind in types)
        self._encoding = encoding
        self._between = between
        self._template_of = 0
        self._many_lines = ""
        self._converters = [_converter(kind) for kind in types]

    def of(self, raw: bytes) -> str:
        piece = raw.decode(self._encoding, "surrogateescape")
        # A step for each row, even a small one, is what takes the time: most pieces are made at once.
        if self._are_plain and _is_plain(piece) and not self._is_odd(raw):
            return self._template(piece.count("\n")) % tuple(piece[:-1].replace("\n", "\t").split("\t"))
        lines = piece.split("\n")[:-1]
        if not self._are_plain or self._is_odd(raw):
            return self._between.join(map(self._object, lines))
        plain = self._plain_line
        return self._between.join(
            plain % tuple(line.split("\t")) if _is_plain(line) else self._object(line) for line in lines
        )

    def _is_odd(self, raw: bytes) -> bool:
        """Tell whether there may be control characters, which COPY leaves as they are, or NaN, Infinity."""
        if len(raw.translate(None, _CONTROLS)) != len(raw):
            return True
        return self._have_fractions and (b"NaN" in raw or b"Infinity" in raw)

    def _template(self, count: int) -> str:
        if self._template_of != count:
            self._template_of = count
            self._many_lines = self._between.join([self._plain_line] * count)
        return self._many_lines

    def _object(self, line: str) -> str:
        return self._line % tuple(
            "null" if text is None else convert(text)
            for text, convert in zip(cells(line), self._converters, strict=True)
        )


def _is_plain(text: str) -> bool:
    """Tell whether there is nothing that JSON writes in another way than COPY: a quote, NULL, a \\v."""
    return '"' not in text and ("\\" not in text or ("\\N" not in text and "\\v" not in text))


def _place(kind: int) -> str:
    return "%s" if kind == BOOL or kind in _NUMBERS else '"%s"'


def _converter(kind: int) -> _ToJson:
    if kind == BOOL or kind in _INTEGERS:
        return str
    if kind in _NUMBERS:
        return number
    if kind in _DOCUMENTS:
        # On one line: of white space outside of strings JSON has no need, and inside there are no line ends.
        return lambda text: " ".join(text.splitlines()) if "\n" in text or "\r" in text else text
    if kind in _BOXES:
        return lambda text: _array(elements(text, ";"), string)
    if kind == _BOOLS:
        # Of arrays' elements COPY writes the letter.
        return lambda text: _array(elements(text), lambda letter: "true" if letter == "t" else "false")
    if kind in _ELEMENTS:
        convert = _converter(_ELEMENTS[kind])
        return lambda text: _array(elements(text), convert)
    return string


def _array(value: list[object], convert: _ToJson) -> str:
    parts = (
        _array(element, convert)
        if isinstance(element, list)
        else "null"
        if element is None
        else convert(str(element))
        for element in value
    )
    return f"[{', '.join(parts)}]"


def number(text: str) -> str:
    """Return a number, or a string for what JSON has no number for."""
    return text if _JSON_NUMBER.fullmatch(text) else string(text)


def string(text: str) -> str:
    """Return a string; control characters that JSON would let through are escaped too."""
    made = encode_basestring(text)
    return made if made.isascii() and made.isprintable() else _escaped(made)


def _escaped(made: str) -> str:
    return re.sub("[\x7f-\x9f\u2028\u2029]", lambda found: f"\\u{ord(found[0]):04x}", made)


def value_text(value: object) -> str:
    """Return a value of Python's as JSON."""
    return json.dumps(value, ensure_ascii=False)
