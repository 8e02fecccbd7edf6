"""The numbers and the name by which a server refuses libraries that were not built for it.

PostgreSQL's `PG_MODULE_MAGIC` puts them into each library, and the server has the same ones to compare.
Whoever changes what libraries depend on, as the makers of some other databases do, changes the name.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FIRST_WITH_NAME = 15

#: `Pg_abi_values` of fmgr.h; before 18 the same fields of `Pg_magic_struct`
_NUMBERS = struct.Struct("<5i")
_NAME_SIZE = 32


@dataclass(frozen=True)
class Abi:
    """What a library and its server must have in common."""

    major: int
    max_arguments: int
    max_index_keys: int
    name_length: int
    float8_by_value: bool
    #: `FMGR_ABI_EXTRA`: "PostgreSQL", or of whom the server is; 14 has none
    name: str

    @classmethod
    def found_in(cls, path: Path, major: int) -> frozenset[Abi]:
        """Return what can be such values of this major version in a program or library.

        Raises:
            OSError: it can't be read.
        """
        return frozenset(_candidates(path.read_bytes(), major))


def _candidates(data: bytes, major: int) -> Iterator[Abi]:
    version = struct.pack("<i", major * 100)
    size = _NUMBERS.size + (_NAME_SIZE if major >= _FIRST_WITH_NAME else 0)
    position = data.find(version)
    while position != -1:
        if position % 4 == 0 and position + size <= len(data):
            _, arguments, keys, name_length, by_value = _NUMBERS.unpack_from(data, position)
            name = _name(data[position + _NUMBERS.size : position + size])
            if (
                name is not None
                and 0 < arguments < 10_000
                and 0 < keys < 10_000
                and 0 < name_length < 10_000
                and by_value in (0, 1)
            ):
                yield Abi(major, arguments, keys, name_length, bool(by_value), name)
        position = data.find(version, position + 1)


def _name(field: bytes) -> str | None:
    """Return the text of a field that holds one and nothing else; "" of an empty field, as 14's is."""
    if not field:
        return ""
    text, _, rest = field.partition(b"\0")
    if not text or rest.strip(b"\0") or not text.isascii():
        return None
    name = text.decode()
    return name if name.isprintable() else None
