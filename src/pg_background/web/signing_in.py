"""Whether someone is the PostgreSQL role that they say they are: the server decides, by the password."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable

import psycopg

from .targets import Target

#: So many wrong passwords from one address for one server within so many seconds, then it has to wait.
_TRIES = 10
_WINDOW = 60.0

#: Those that are remembered for that.
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
    """Counts attempts by who makes them, and keeps those off that go on with wrong passwords."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counted: OrderedDict[Hashable, deque[float]] = OrderedDict()

    def wait_of(self, who: Hashable) -> int:
        """Return the seconds for which they have to wait; 0 if they may try."""
        counted = self._counted.get(who)
        if counted is None:
            return 0
        while counted and counted[0] <= self._clock() - _WINDOW:
            counted.popleft()
        return 0 if len(counted) < _TRIES else max(1, round(counted[0] + _WINDOW - self._clock()))

    def began(self, who: Hashable) -> None:
        """Count one, before its end is known: many can be made at once."""
        self._counted.setdefault(who, deque(maxlen=_TRIES)).append(self._clock())
        self._counted.move_to_end(who)
        while len(self._counted) > _REMEMBERED:
            self._counted.popitem(last=False)

    def succeeded(self, who: Hashable) -> None:
        """Count one less: its password was right."""
        counted = self._counted.get(who)
        if counted:
            counted.pop()
