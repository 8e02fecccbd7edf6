"""Tables as psql draws them, from rows that come one after the other: widths are those of the first ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from .terminal import width_of, without_controls

#: Rows that say how wide columns are; a longer value later on moves the rest of its row.
SAMPLE = 1000

Cells = Sequence[str | None]


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    name: str
    is_number: bool = False


#: A line of a cell, and its width.
_Line = tuple[str, int]


def table(
    columns: Sequence[Column], rows: Iterable[Cells], *, expanded: bool = False, room: int | None = None
) -> Iterator[str]:
    """Yield lines, without their ends.

    Args:
        expanded: a block for each row, with a line for each column.
        room: in which a table that is wider becomes expanded, and lines between records are drawn.
    """
    left = iter(rows)
    sample = list(islice(left, SAMPLE))
    aligned = _Aligned(columns, sample)
    if sample and columns and (expanded or (room is not None and aligned.width > room)):
        yield from _expanded(columns, sample, left, room)
        return
    if not expanded:
        yield from aligned.header()
    count = 0
    for row in chain(sample, left):
        count += 1
        if columns:
            yield from aligned.row(row)
    yield f"({count} {'row' if count == 1 else 'rows'})"
    yield ""


class _Aligned:
    """A line for each row."""

    def __init__(self, columns: Sequence[Column], sample: Sequence[Cells]) -> None:
        self._columns = columns
        self._names = [_lines(column.name) for column in columns]
        self._widths = [max(width for _, width in lines) for lines in self._names]
        for row in sample:
            for n, value in enumerate(row):
                if value:
                    self._widths[n] = max(self._widths[n], *(width for _, width in _lines(value)))
        cells = [
            f" {{:{'>' if column.is_number else '<'}{width}}}"
            for column, width in zip(columns, self._widths, strict=True)
        ]
        if columns and not columns[-1].is_number:
            cells[-1] = " {}"
        self._format = " |".join(cells).format
        #: of the whole line, as far as the sample goes
        self.width = sum(self._widths) + 3 * len(columns) - 1

    def header(self) -> Iterator[str]:
        """Yield the names, in the middle of their columns, and a rule."""
        for n in range(max(map(len, self._names), default=0)):
            yield "|".join(map(self._name, self._names, self._widths, [n] * len(self._names)))
        yield "-" + "-+-".join("-" * width for width in self._widths) + "-"

    def _name(self, lines: Sequence[_Line], width: int, n: int) -> str:
        text, taken = lines[n] if n < len(lines) else ("", 0)
        before = (width - taken) // 2
        mark = "+" if n + 1 < len(lines) else " "
        return f" {' ' * before}{text}{' ' * (width - taken - before)}{mark}"

    def row(self, row: Cells) -> Iterator[str]:
        """Yield the lines of a row."""
        texts = ["" if value is None else value for value in row]
        whole = "".join(texts)
        if whole.isascii() and whole.isprintable():
            yield self._format(*texts)
            return
        cells = [_lines(text) for text in texts]
        for n in range(max(map(len, cells))):
            yield "|".join(self._cell(cell, place, n) for place, cell in enumerate(cells))

    def _cell(self, lines: Sequence[_Line], place: int, n: int) -> str:
        text, taken = lines[n] if n < len(lines) else ("", 0)
        blanks = " " * (self._widths[place] - taken)
        is_last = place == len(self._columns) - 1
        mark = "+" if n + 1 < len(lines) else "" if is_last else " "
        if self._columns[place].is_number and n < len(lines):
            return f" {blanks}{text}{mark}"
        return f" {text}{'' if is_last and not mark else blanks}{mark}"


def _expanded(
    columns: Sequence[Column], sample: Sequence[Cells], left: Iterator[Cells], room: int | None
) -> Iterator[str]:
    names = [_lines(column.name) for column in columns]
    name_width = max(width for lines in names for _, width in lines)
    data_width = max(
        (width for row in sample for value in row for _, width in _lines(value or "")), default=0
    )
    # The line above a row has room for what it says.
    is_broken = any("\n" in (value or "") for row in sample for value in row)
    title = len(f"-[ RECORD {len(sample)} ]")
    data_width = max(data_width, title - name_width - (4 if is_broken else 3))
    for number, row in enumerate(chain(sample, left), 1):
        yield _record(number, name_width, data_width)[:room]
        for name, value in zip(names, row, strict=True):
            cell = _lines(value or "")
            for n in range(max(len(name), len(cell))):
                text, taken = name[n] if n < len(name) else ("", 0)
                mark = "+" if n + 1 < len(name) else " "
                line = f"{text}{' ' * (name_width - taken)}{mark}|"
                if n < len(cell):
                    text, taken = cell[n]
                    more = n + 1 < len(cell)
                    line += f" {text}{' ' * (data_width - taken) + '+' if more else ''}"
                yield line
    yield ""


def _record(number: int, name_width: int, data_width: int) -> str:
    title = f"-[ RECORD {number} ]"
    line = title.ljust(name_width + 1, "-")
    if len(line) == name_width + 1:
        line += "+"
    return line.ljust(name_width + data_width + 3, "-")


def _lines(text: str) -> list[_Line]:
    if text.isascii() and text.isprintable():
        return [(text, len(text))]
    made = []
    for line in text.split("\n"):
        shown = _tabs(without_controls(line.replace("\r", "\\r")))
        made.append((shown, width_of(shown)))
    return made


def _tabs(text: str) -> str:
    first, *others = text.split("\t")
    for other in others:
        first += " " * (8 - width_of(first) % 8) + other
    return first
