"""What a program or library says of itself: just enough of the ELF format to tell whether two go together."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: e_machine, of the machines that PostgreSQL is packaged for
MACHINES = {62: "x86_64", 183: "aarch64", 21: "ppc64le", 243: "riscv64", 22: "s390x"}

_PROGRAM_INTERPRETER = 3
_DYNAMIC_SYMBOLS, _VERSIONS, _NEEDED_VERSIONS = 11, 0x6FFFFFFF, 0x6FFFFFFE
_WEAK = 2


class NotReadableError(ValueError):
    """The file is no ELF file of this kind: 64 bits, little-endian."""


@dataclass(frozen=True)
class _Section:
    kind: int
    offset: int
    size: int
    #: the section of its names
    link: int


@dataclass(frozen=True)
class Elf:
    """A program or a shared library."""

    #: as `uname -m` names it
    machine: str
    #: what loads a program: glibc's loader, or musl's; None in a library
    interpreter: str | None
    #: names that others may use
    exported: frozenset[str]
    #: names that must come from whoever loads it, other than those of the C library
    needed: frozenset[str]
    #: the oldest glibc that has all it needs
    glibc: tuple[int, ...]

    @classmethod
    def read(cls, path: Path) -> Elf:
        """Read a file.

        Raises:
            NotReadableError: it is something else, or damaged.
            OSError: it can't be read.
        """
        data = path.read_bytes()
        # 64 bits, little-endian
        if data[:6] != b"\x7fELF\x02\x01":
            raise NotReadableError(f'"{path}" is no 64-bit little-endian ELF file')
        try:
            return cls._parsed(data)
        except (struct.error, IndexError, UnicodeDecodeError) as error:
            raise NotReadableError(f'"{path}" is damaged') from error

    @classmethod
    def _parsed(cls, data: bytes) -> Elf:
        machine = struct.unpack_from("<H", data, 18)[0]
        sections = list(_sections(data))
        exported, needed = _symbols(data, sections)
        return cls(
            machine=MACHINES.get(machine, f"machine {machine}"),
            interpreter=_interpreter(data),
            exported=frozenset(exported),
            needed=frozenset(needed),
            glibc=max(_glibc_versions(data, sections), default=(0,)),
        )


def _sections(data: bytes) -> Iterator[_Section]:
    (start,) = struct.unpack_from("<Q", data, 40)
    size, count = struct.unpack_from("<HH", data, 58)
    for position in range(start, start + size * count, size):
        _, kind, _, _, offset, length, link = struct.unpack_from("<IIQQQQI", data, position)
        yield _Section(kind, offset, length, link)


def _interpreter(data: bytes) -> str | None:
    (start,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    for position in range(start, start + size * count, size):
        kind, _, offset = struct.unpack_from("<IIQ", data, position)
        if kind == _PROGRAM_INTERPRETER:
            return _string(data, offset)
    return None


def _symbols(data: bytes, sections: list[_Section]) -> tuple[set[str], set[str]]:
    exported: set[str] = set()
    needed: set[str] = set()
    for section in sections:
        if section.kind != _DYNAMIC_SYMBOLS:
            continue
        names = sections[section.link].offset
        versions = _version_indexes(data, sections)
        for number in range(1, section.size // 24):
            name, info, _, home = struct.unpack_from("<IBBH", data, section.offset + number * 24)
            if home:
                exported.add(_string(data, names + name))
            # What the C library gives has a version; what is weak may be missing.
            elif info >> 4 != _WEAK and not (versions and versions[number] & 0x7FFF > 1):
                needed.add(_string(data, names + name))
    return exported, needed


def _version_indexes(data: bytes, sections: list[_Section]) -> tuple[int, ...]:
    for section in sections:
        if section.kind == _VERSIONS:
            return struct.unpack_from(f"<{section.size // 2}H", data, section.offset)
    return ()


def _glibc_versions(data: bytes, sections: list[_Section]) -> Iterator[tuple[int, ...]]:
    for section in sections:
        if section.kind != _NEEDED_VERSIONS:
            continue
        names = sections[section.link].offset
        library = section.offset
        while True:
            _, count, _, first, following = struct.unpack_from("<HHIII", data, library)
            entry = library + first
            for _ in range(count):
                _, _, _, name, next_entry = struct.unpack_from("<IHHII", data, entry)
                word, _, version = _string(data, names + name).partition("GLIBC_")
                if not word and version[:1].isdigit():
                    yield tuple(int(part) for part in version.split("."))
                entry += next_entry
            if not following:
                break
            library += following


def _string(data: bytes, offset: int) -> str:
    return data[offset : data.index(b"\0", offset)].decode()
