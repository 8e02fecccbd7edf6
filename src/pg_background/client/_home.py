"""Where a client is at home: connections and threads belong to one process, and tasks to one event loop."""

from __future__ import annotations

import os
import threading
from asyncio import AbstractEventLoop
from collections.abc import Iterator
from contextlib import contextmanager


class Home:
    """The process in which something was made, and the event loop that used it first; threads have none."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._loop: AbstractEventLoop | None = None
        self._moving = threading.Lock()

    @property
    def is_left(self) -> bool:
        """Whether this process is a forked child of the one that it was made in."""
        return self._process != os.getpid()

    def is_here(self, loop: AbstractEventLoop | None) -> bool:
        """Tell whether it is the caller's."""
        return self._loop is loop and self._process == os.getpid()

    @contextmanager
    def move(self, loop: AbstractEventLoop | None) -> Iterator[bool | None]:
        """Make the caller's process and loop its home, if the block does not fail.

        Yields:
            whether the process is a forked one; None if there is nothing to be left behind.

        Raises:
            RuntimeError: the loop that it belongs to is still in use.
        """
        if self.is_left:
            # Another thread of the parent may have held it.
            self._moving = threading.Lock()
        with self._moving:
            if self.is_left:
                yield True
            elif self._loop is None or self._loop is loop:
                yield None
            elif not self._loop.is_closed():
                raise RuntimeError("the client is used in another event loop: make one for each")
            else:
                yield False
            self._process, self._loop = os.getpid(), loop
