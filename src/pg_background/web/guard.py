"""What holds for every request: whom the page talks to, and what a browser may do with it."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # With less, browsers would send no Origin along with forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class Guard:
    """Stands before the app."""

    def __init__(self, app: ASGIApp, *, hosts: Collection[str] | None, origin: str | None) -> None:
        """
        Args:
            hosts: names by which the page may be called, without ports; None: whoever mounts it sees to that.
            origin: from which it is sent forms, if that is not the host that it is called by.
        """
        self._app = app
        self._hosts = hosts
        self._origin = origin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or have the app answer."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            elif scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        refusal = self._refusal(scope)
        if refusal is not None:
            await PlainTextResponse(f"{refusal}\n", 400 if "host" in refusal else 403)(
                scope, receive, guarded
            )
            return
        await self._app(scope, receive, guarded)

    def _refusal(self, scope: Scope) -> str | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        # A name that somebody else's DNS points here would make their pages those of the same origin.
        if self._hosts is not None and _name(host) not in self._hosts:
            return "refused: the page is not known by this host name"
        if scope["method"] in ("GET", "HEAD"):
            return None
        if scope["method"] != "POST":
            return "refused: there is nothing to be sent this way"
        origin = headers.get("origin", "")
        site = headers.get("sec-fetch-site", "same-origin")
        is_own = _is_of(origin, host) if self._origin is None else origin == self._origin
        if not is_own or site != "same-origin":
            return "refused: this was not sent from the page itself"
        return None


def _is_of(origin: str, host: str) -> bool:
    try:
        return urlsplit(origin).netloc == host != ""
    except ValueError:
        # Brackets without an address: anybody may send that.
        return False


def _name(host: str) -> str:
    """Return a host's name without its port."""
    name, _, port = host.rpartition(":")
    return (name if name and port.isdigit() else host).lower()
