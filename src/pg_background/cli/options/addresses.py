"""Where a command listens: an address and a port."""

from __future__ import annotations

import re

_FORM = re.compile(r"(?:\[(?P<v6>[^\[\]]+)\]|(?P<host>[^:\[\]]*)):(?P<port>\d{1,5})")


def listen_address(word: str) -> tuple[str, int]:
    """Return the host and the port. Without a host it is every address of this machine.

    Raises:
        ValueError: it is none.
    """
    found = _FORM.fullmatch(word)
    if found is None or int(found["port"]) > 65535:
        raise ValueError(f"{word!r} is not ADDRESS:PORT, such as 127.0.0.1:10432 or [::1]:10432")
    host = found["v6"] or found["host"]
    if not host:
        import socket

        host = "::" if socket.has_dualstack_ipv6() else "0.0.0.0"
    return host, int(found["port"])


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches it."""
    import ipaddress
    import socket

    try:
        found = {each[4][0] for each in socket.getaddrinfo(host, None)}
        return all(ipaddress.ip_address(str(address).partition("%")[0]).is_loopback for address in found)
    except (OSError, ValueError):
        return False
