"""Who is signed in: kept in memory alone, under a random id that the browser has in a cookie."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from .gateway import Gateway, Gateways

#: Seconds without a request or an open live view, and at all, after which one has to sign in again.
IDLE = 30 * 60.0
LONGEST = 12 * 3600.0

#: Seconds between two looks at whose time is over, though nobody asks for a page.
SWEEP = 60.0

#: At most; whoever has the most of them makes room.
_SESSIONS = 200

#: Live views of one session at a time.
STREAMS = 16


@dataclass
class Session:
    """A browser that has signed in, to one server or more."""

    id: str
    #: what forms have to bring back
    csrf: str
    began: float
    used: float
    #: by the server's name
    gateways: dict[str, Gateway] = field(default_factory=dict)
    #: what was done, to be told on the next page: good or bad news, and the text
    news: list[tuple[str, str]] = field(default_factory=list)
    streams: int = 0
    #: signed out, or expired; whoever still holds it must stop
    is_over: bool = False

    def tell(self, text: str, *, bad: bool = False) -> None:
        """Have the next page say this."""
        self.news = [*self.news[-4:], ("bad" if bad else "good", text)]

    def take_news(self) -> list[tuple[str, str]]:
        """Return what is to be said, once."""
        news, self.news = self.news, []
        return news


class Sessions:
    """All of them."""

    def __init__(self, gateways: Gateways, clock: Callable[[], float] = time.monotonic) -> None:
        self._gateways = gateways
        self._clock = clock
        self._sessions: dict[str, Session] = {}
        self._timer: asyncio.TimerHandle | None = None

    def find(self, id: str | None) -> Session | None:
        """Return the session of a cookie, if it is one that is signed in."""
        self._expire()
        session = self._sessions.get(id or "")
        if session is not None:
            session.used = self._clock()
        return session

    def sign_in(self, earlier: Session | None, gateway: Gateway) -> Session:
        """Return a session that also has this, under a new id: one that somebody planted is worthless."""
        now = self._clock()
        session = Session(secrets.token_urlsafe(32), secrets.token_urlsafe(32), now, now)
        self._gateways.hold(gateway)
        if earlier is not None:
            for kept in earlier.gateways.values():
                if kept.target.name != gateway.target.name:
                    self._gateways.hold(kept)
                    session.gateways[kept.target.name] = kept
            self.end(earlier)
        session.gateways[gateway.target.name] = gateway
        while len(self._sessions) >= _SESSIONS:
            self.end(self._next_to_go())
        self._sessions[session.id] = session
        self._sweep_later()
        return session

    def _next_to_go(self) -> Session:
        """Return the least used one of the role that has the most: who signs in for ever costs no others."""
        held = (gateway for session in self._sessions.values() for gateway in session.gateways.values())
        crowd = max(held, key=lambda gateway: gateway.holders)
        of_crowd = (one for one in self._sessions.values() if crowd in one.gateways.values())
        return min(of_crowd, key=lambda session: session.used)

    def sign_out(self, session: Session, server: str) -> None:
        """Forget the role of one server; with the last one the session is over."""
        gateway = session.gateways.pop(server, None)
        if gateway is not None:
            gateway.watcher.announce()
            self._gateways.release(gateway)
        if not session.gateways:
            self.end(session)

    def end(self, session: Session) -> None:
        """Forget it, with all credentials that nobody else has."""
        session.is_over = True
        self._sessions.pop(session.id, None)
        for gateway in session.gateways.values():
            # Its live views end at once.
            gateway.watcher.announce()
            self._gateways.release(gateway)
        session.gateways = {}

    def end_all(self) -> None:
        """Forget everybody."""
        for session in list(self._sessions.values()):
            self.end(session)
        self._sweep_later()

    def _sweep(self) -> None:
        self._timer = None
        self._expire()
        self._sweep_later()

    def _sweep_later(self) -> None:
        """Have passwords forgotten in time also when all browsers are closed; without sessions never."""
        if not self._sessions and self._timer is not None:
            self._timer.cancel()
            self._timer = None
        elif self._sessions and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SWEEP, self._sweep)

    def _expire(self) -> None:
        now = self._clock()
        for session in list(self._sessions.values()):
            if now - session.used > IDLE or now - session.began > LONGEST:
                self.end(session)
