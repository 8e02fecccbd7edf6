"""Results on this side, to be read page by page: the server gives each once."""

from __future__ import annotations

import json
import tempfile
from array import array
from typing import Any

from .answers import Column
from .values import written

#: Of a result that is kept in memory; more of it goes to a temporary file.
_IN_MEMORY = 256 * 1024


class Spool:
    """The rows of one result.

    Attributes:
        columns: of the rows.
        dropped: rows beyond what is kept.
    """

    def __init__(self, columns: list[Column], most: int) -> None:
        """
        Args:
            most: how much to keep, in bytes.
        """
        self.columns = columns
        self.dropped = 0
        self._most = most
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115
        self._ends = array("q", [0])
        self._cut = array("b")

    def __len__(self) -> int:
        return len(self._cut)

    def add(self, row: list[Any], cut: int) -> None:
        """Keep a row, `cut` of whose values are not whole, unless there is no room left."""
        line = written(row)
        if self.dropped or self._ends[-1] + len(line) > self._most:
            self.dropped += 1
            return
        self._file.write(line)
        self._ends.append(self._ends[-1] + len(line))
        self._cut.append(min(cut, 127))

    def page(self, offset: int, most_rows: int, most_bytes: int) -> tuple[list[list[Any]], int]:
        """Return rows from an offset on, at least one if there is one, and how many values are not whole."""
        start, end = min(offset, len(self)), min(offset + most_rows, len(self))
        while end > start + 1 and self._ends[end] - self._ends[start] > most_bytes:
            end -= 1
        self._file.seek(self._ends[start])
        content = self._file.read(self._ends[end] - self._ends[start])
        rows = []
        for n in range(start, end):
            low, high = self._ends[n] - self._ends[start], self._ends[n + 1] - self._ends[start]
            rows.append(json.loads(content[low:high]))
        return rows, sum(self._cut[start:end])

    def close(self) -> None:
        """Give up its rows."""
        self._file.close()
