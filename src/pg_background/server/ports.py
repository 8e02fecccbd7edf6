"""TCP ports on this machine."""

from __future__ import annotations

import errno
import socket

from .errors import PortInUseError

#: A server without a wish gets 54300 + its major version, or the next free one.
FIRST_PORT = 54300
_TRIED = 100

_LOOPBACKS = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))


def is_free(port: int) -> bool:
    """Tell whether a server could listen on this port of localhost now."""
    for family, address in _LOOPBACKS:
        try:
            with socket.socket(family, socket.SOCK_STREAM) as trial:
                # As PostgreSQL does: a port whose old connections linger is free.
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                trial.bind((address, port))
        except OSError as error:
            # Machines without IPv6 fail otherwise.
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
    return True


def first_free(start: int) -> int:
    """Return the first free port from `start` on.

    Raises:
        PortInUseError: a hundred ports in a row are taken.
    """
    for port in range(start, start + _TRIED):
        if is_free(port):
            return port
    raise PortInUseError(
        f"the ports {start} to {start + _TRIED - 1} are all in use", hint="choose one with --port"
    )


def any_free() -> int:
    """Return a port that is free now; another program may take it a moment later."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        trial.bind(("127.0.0.1", 0))
        port: int = trial.getsockname()[1]
        return port


def require_free(port: int) -> None:
    """Check that a server could listen on this port.

    Raises:
        PortInUseError: another program does.
    """
    if not is_free(port):
        raise in_use(port)


def in_use(port: int) -> PortInUseError:
    """Return the error that says so."""
    return PortInUseError(
        f"port {port} is in use by another program",
        hint="stop that program, choose another port with --port, "
        "or leave --port out to get the first free one",
    )
