"""The pager for what is longer than the screen, chosen and switched off as for psql."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain, islice

from .sink import Sink


def write_paged(sink: Sink, lines: Iterable[str], room: int) -> None:
    """Write lines; through the pager if they are more than the screen's."""
    left = iter(lines)
    first = list(islice(left, room))
    program = _program()
    if len(first) < room or not program:
        sink.lines(chain(first, left))
        return
    with _pager(sink, program):
        sink.lines(chain(first, left))


def _program() -> str:
    for name in ("PSQL_PAGER", "PAGER"):
        if name in os.environ:
            return os.environ[name].strip()
    return next((program for program in ("less", "more") if shutil.which(program)), "")


@contextmanager
def _pager(sink: Sink, program: str) -> Iterator[None]:
    process = subprocess.Popen(program, shell=True, stdin=subprocess.PIPE)
    assert process.stdin is not None
    sink.redirect(process.stdin)
    # Ctrl-C is for the pager.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        # Whoever leaves the pager has seen enough.
        with suppress(BrokenPipeError):
            yield
        with suppress(BrokenPipeError):
            process.stdin.close()
        process.wait()
    finally:
        signal.signal(signal.SIGINT, before)
        sink.redirect(sys.stdout.buffer)
