"""What all requests of an app share, and what each of them is about."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from ..watching import SourceError
from .drains import Drains
from .gateway import Gateway, Gateways
from .links import Links
from .sessions import Session, Sessions
from .signing_in import Attempts
from .targets import Target

#: Beside this file.
STATIC = Path(__file__).with_name("static")

#: Bytes of a form; the longest is the one to sign in.
_BODY = 16 * 1024


@dataclass
class Site:
    """The servers, who is signed in, and what is allowed."""

    targets: Mapping[str, Target]
    allow_actions: bool
    #: of the cookie: on one host the ports share cookies
    cookie: str
    #: what whoever runs the page shows to be signed in as the conninfo's own role; None: nobody can
    own_key: str | None = None
    #: browsers reach it by https, whatever comes in here
    is_secure: bool = False
    gateways: Gateways = field(default_factory=Gateways)
    attempts: Attempts = field(default_factory=Attempts)
    drains: Drains = field(default_factory=Drains)
    #: passwords that are tried at a time, by server: one that does not answer holds up nobody else
    trying: Mapping[str, asyncio.Semaphore] = field(
        default_factory=lambda: defaultdict(lambda: asyncio.Semaphore(4))
    )
    #: the app is being stopped: live views end
    is_closing: bool = False

    def __post_init__(self) -> None:
        self.sessions = Sessions(self.gateways)

    def end_streams(self) -> None:
        """End all live views."""
        self.is_closing = True
        self.gateways.announce()

    async def close(self) -> None:
        """End all live views, forget who is signed in, and close all connections."""
        self.end_streams()
        self.sessions.end_all()
        self.drains.close()
        await self.gateways.closed()


class Visit:
    """A request: who it is from, and which server it is about."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.site: Site = request.app.state.site
        self.links = Links.of(request, versions())
        self.session: Session | None = self.site.sessions.find(request.cookies.get(self.site.cookie))

    @property
    def server(self) -> str:
        """The name of the server in the address; empty for a page that is about none."""
        return str(self.request.path_params.get("server", ""))

    @property
    def query(self) -> Mapping[str, str]:
        """What the address asks for."""
        return self.request.query_params

    @property
    def address(self) -> str:
        """The address of this page, to come back to."""
        query = self.request.url.query
        return self.request.url.path + (f"?{query}" if query else "")

    def known_server(self) -> Target:
        """Return the server of the address.

        Raises:
            HTTPException: there is no such server.
        """
        if self.server not in self.site.targets:
            raise HTTPException(404, "There is no such server on this page.")
        return self.site.targets[self.server]

    @property
    def gateway(self) -> Gateway:
        """The way to the server of the address.

        Raises:
            NotSignedIn: one has to sign in before.
        """
        self.known_server()
        gateway = self.session.gateways.get(self.server) if self.session else None
        if gateway is None:
            raise NotSignedIn
        return gateway

    @property
    def own(self) -> Session:
        """The session.

        Raises:
            NotSignedIn: there is none.
        """
        if self.session is None:
            raise NotSignedIn
        return self.session

    async def form(self) -> dict[str, str]:
        """Return what a form of this session has sent.

        Raises:
            HTTPException: it does not have what the session's forms have.
        """
        given = await fields_of(self.request)
        if not secrets.compare_digest(given.get("csrf", "").encode(), self.own.csrf.encode()):
            raise HTTPException(403, "This form is not of the page that you are signed in to. Load it again.")
        return given


class NotSignedIn(Exception):
    """One has to sign in to see this."""


class Gone(SourceError):
    """What was asked for is not there any more."""


async def fields_of(request: Request) -> dict[str, str]:
    """Return the fields of a form that was sent.

    Raises:
        HTTPException: it is none.
    """
    if (
        request.headers.get("content-type", "").partition(";")[0].strip()
        != "application/x-www-form-urlencoded"
    ):
        raise HTTPException(415, "Forms are sent as application/x-www-form-urlencoded.")
    body = b""
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > _BODY:
                raise HTTPException(413, "No form of the page is so long.")
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=50))
    except (ValueError, ClientDisconnect):
        raise HTTPException(400, "What was sent is no form.") from None


@cache
def versions() -> dict[str, str]:
    """Return for each static file what changes when it does."""
    return {
        str(path.relative_to(STATIC)): hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        for path in sorted(STATIC.rglob("*"))
        if path.is_file()
    }
