"""Whether someone is the PostgreSQL role that they say they are: the server decides, by the password."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable

import psycopg

from .targets import Target

#: So many wrong passwords from one address within so many seconds, then it has to wait.
_TRIES = 10
_WINDOW = 60.0

#: Addresses that are remembered for that.
_REMEMBERED = 10_000


class Refused(Exception):
    """They are not, or can't show it; the text says why."""


async def prove(target: Target, role: str, password: str) -> str:
    """Connect with a password, and return the conninfo that has it.

    The page's process may have other means than the password: its system user by `peer`, a password file, a
    certificate, Kerberos; and a server may let in everybody. So the server must have asked for the password,
    or whoever reaches the page would be whom they like.

    Raises:
        Refused: the server does not let them in, or did not ask.
    """
    if not role or not password or "\0" in role + password:
        raise Refused("give a role and its password")
    conninfo = target.conninfo_of(role, password)
    try:
        connection = await psycopg.AsyncConnection.connect(conninfo, autocommit=True)
    except psycopg.Error as error:
        said = " ".join(str(error).split()).rpartition("failed: ")[2]
        raise Refused(said or "the server does not answer") from None
    try:
        if not connection.pgconn.used_password:
            raise Refused(
                "the server let this role in without asking for its password, so anybody could say to be it: "
                "have pg_hba.conf ask for passwords (scram-sha-256) where this page connects from"
            )
    finally:
        await connection.close()
    return conninfo


class Attempts:
    """Counts wrong passwords by the address that they come from, and keeps those off that go on."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_of(self, address: str) -> int:
        """Return the seconds for which an address has to wait; 0 if it may try."""
        failed = self._failed.get(address)
        if failed is None:
            return 0
        while failed and failed[0] <= self._clock() - _WINDOW:
            failed.popleft()
        return 0 if len(failed) < _TRIES else max(1, round(failed[0] + _WINDOW - self._clock()))

    def failed(self, address: str) -> None:
        """Count one."""
        self._failed.setdefault(address, deque(maxlen=_TRIES)).append(self._clock())
        self._failed.move_to_end(address)
        while len(self._failed) > _REMEMBERED:
            self._failed.popitem(last=False)
