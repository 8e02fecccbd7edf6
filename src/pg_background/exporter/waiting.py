"""Connections that have not said yet what they want: so many, and then the oldest makes room."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress


class Waiting:
    """Whoever can connect can also say nothing, or a letter now and then: that must keep nobody else out."""

    def __init__(self, most: int) -> None:
        self._most = most
        # By their threads, the oldest first. A descriptor of our own: TLS takes the connection's away.
        self._lines: dict[int, socket.socket] = {}
        self._lock = threading.Lock()

    def begin(self, connection: socket.socket) -> None:
        """Count this thread's connection; end the oldest one if there are too many."""
        line = socket.socket(fileno=os.dup(connection.fileno()))
        with self._lock:
            self._lines[threading.get_ident()] = line
            oldest = self._lines.pop(next(iter(self._lines))) if len(self._lines) > self._most else None
        if oldest is not None:
            with oldest, suppress(OSError):
                oldest.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        """Count this thread's connection no more."""
        with self._lock:
            line = self._lines.pop(threading.get_ident(), None)
        if line is not None:
            line.close()
