"""Where results go: stdout, a file, or a pager between."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import typer

from .terminal import is_terminal, visible


class Sink:
    """Takes text and bytes."""

    def __init__(self, to: IO[bytes], *, is_screen: bool) -> None:
        self.is_screen = is_screen
        #: of the text, as Python names it
        self.encoding = sys.stdout.encoding or "utf-8"
        self._to = to

    def redirect(self, to: IO[bytes]) -> None:
        """Write there from now on: into a pager."""
        self._to = to

    def write(self, text: str) -> None:
        """Write text; on a screen, without what would steer it."""
        if self.is_screen:
            text = visible(text)
        if self.encoding.lower() in ("utf-8", "utf8"):
            self._to.write(text.encode("utf-8", "surrogateescape"))
        else:
            self._to.write(text.encode(self.encoding, "backslashreplace"))

    def write_raw(self, text: str) -> None:
        """Write text that may steer a screen: the caller's own."""
        self._to.write(text.encode(self.encoding, "backslashreplace"))

    def write_bytes(self, piece: bytes) -> None:
        """Write bytes that are in the right encoding already."""
        if self.is_screen:
            self.write(piece.decode(self.encoding, "surrogateescape"))
        else:
            self._to.write(piece)

    def lines(self, lines: Iterable[str]) -> None:
        """Write each, with its end."""
        if self.is_screen:
            for line in lines:
                self.write(f"{line}\n")
            return
        some: list[str] = []
        for line in lines:
            some.append(line)
            # As the first rows should be there at once, and a call for each line takes time.
            if len(some) == 500:
                self.write("\n".join(some) + "\n")
                some = []
        if some:
            self.write("\n".join(some) + "\n")

    def flush(self) -> None:
        """Let a reader have what there is."""
        self._to.flush()


@contextmanager
def opened(file: Path | None = None) -> Iterator[Sink]:
    """Open a file, or else stdout, for the block; unless that fails, all is written at its end.

    Raises:
        typer.BadParameter: the file can't be written.
    """
    if file is None:
        sink = Sink(sys.stdout.buffer, is_screen=is_terminal(sys.stdout))
        yield sink
        sink.flush()
        return
    try:
        to = file.open("wb")
    except OSError as error:
        raise typer.BadParameter(f"can't write {file}: {error.strerror}") from None
    with to:
        yield Sink(to, is_screen=False)
