"""The end of a session, also where the server does not answer any more."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

    from ..client.client import Client

#: Seconds for what the client still asks, such as whether a job has ended; nobody waits for the answer.
PATIENCE = 1
#: Seconds until all threads know of a connection's end.
_LONGEST = 5


@contextmanager
def ended(client: Client[Any], connection: psycopg.Connection[Any]) -> Iterator[None]:
    """End a client and its connection behind the block, whether the server answers or not."""
    silence()
    try:
        yield
    finally:
        closing = Thread(target=client.close, daemon=True)
        closing.start()
        closing.join(PATIENCE)
        if closing.is_alive():
            _hang_up(connection)
            closing.join(_LONGEST)
            # Other threads must have left it, too.
            connection.lock.acquire(timeout=_LONGEST)
        connection.close()


def silence() -> None:
    """Keep psycopg from telling, on stderr, what it could not cancel: of a server that does not answer."""
    logging.getLogger("psycopg").addHandler(logging.NullHandler())


def _hang_up(connection: psycopg.Connection[Any]) -> None:
    """Let everybody who waits for an answer have an error."""
    with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)
