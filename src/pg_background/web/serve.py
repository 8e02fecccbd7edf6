"""The page as a server of its own: where it may listen, and its life."""

from __future__ import annotations

import ipaddress
import secrets
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn

from ..errors import UserError
from .app import WebApp, create_app
from .targets import Target

#: Seconds for which answers that are under way may go on when the page is stopped.
_GRACE = 3

_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True)
class Listening:
    """Where the page listens, and as what browsers know it."""

    host: str
    #: 0: any that is free
    port: int
    certificate: Path | None = None
    key: Path | None = None
    #: `https://host/path`, where something stands before it, or it has a certificate
    public_url: str = ""

    @property
    def is_loopback(self) -> bool:
        """Whether this machine alone reaches it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def check(self) -> None:
        """See that passwords can't be read on their way, and that the page knows its name.

        Raises:
            UserError: it is not so.
        """
        if (self.key is None) != (self.certificate is None):
            raise UserError("a certificate and its key are given together")
        public = urlsplit(self.public_url)
        if self.public_url and (
            public.scheme not in ("http", "https") or not public.hostname or public.query
        ):
            raise UserError(
                f"{self.public_url} is no address of a page", hint="write it as https://host/path"
            )
        if self.is_loopback:
            return
        if public.scheme != "https":
            raise UserError(
                f"{self.host} can be reached from other machines: passwords must not go there in the clear",
                hint="give --public-url https://…, with --certificate and --certificate-key or behind a "
                "proxy that speaks TLS; or listen on 127.0.0.1",
            )

    @property
    def origin(self) -> str | None:
        """The origin that browsers see, if it is another one than they call."""
        public = urlsplit(self.public_url)
        return f"{public.scheme}://{public.netloc}" if self.public_url else None

    @property
    def hosts(self) -> set[str]:
        """The names by which browsers may call it."""
        public = urlsplit(self.public_url).hostname
        return {*(_LOOPBACK_NAMES if self.is_loopback else ()), *((public,) if public else ())}

    @property
    def root_path(self) -> str:
        """What the proxy has taken off addresses."""
        return urlsplit(self.public_url).path.rstrip("/")


def serve(
    servers: Sequence[Target],
    listening: Listening,
    *,
    allow_actions: bool,
    own: bool,
    say: Callable[[str, str], None],
) -> None:
    """Serve the page until it is told to stop.

    Args:
        own: whoever sees what is said may enter as whom the targets mean; on loopback alone.
        say: takes the address of the page, and the one to enter by or nothing.

    Raises:
        UserError: it can't listen there, or must not.
    """
    listening.check()
    own_key = (
        secrets.token_urlsafe(24) if own and listening.is_loopback and not listening.public_url else None
    )
    with _bound(listening) as bound:
        port = bound.getsockname()[1]
        app = create_app(
            servers,
            allow_actions=allow_actions,
            own_key=own_key,
            hosts=listening.hosts,
            origin=listening.origin,
            cookie=f"pg_background_{port}",
        )
        scheme = "https" if listening.certificate else "http"
        host = f"[{listening.host}]" if ":" in listening.host else listening.host
        address = listening.public_url or f"{scheme}://{host}:{port}/"
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            # Who else could say from where a request comes?
            proxy_headers=bool(listening.public_url),
            root_path=listening.root_path,
            ssl_certfile=listening.certificate,
            ssl_keyfile=listening.key,
            timeout_graceful_shutdown=_GRACE,
        )
        say(address, f"{address}enter?key={own_key}" if own_key else "")
        try:
            _Server(config, app).run([bound])
        except KeyboardInterrupt:
            # It has shut down already: this is how it tells why.
            return


def _bound(listening: Listening) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(
            listening.host, listening.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        # As for other programs `::` is every address, those of IPv4 too.
        both = address[0] == "::" and socket.has_dualstack_ipv6()
        return socket.create_server(address[:2], family=family, dualstack_ipv6=both)
    except OSError as error:
        raise UserError(
            f"can't listen on {listening.host}:{listening.port}: {error.strerror or error}",
            hint="choose another address by --listen",
        ) from None


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, app: WebApp) -> None:
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # They would go on until their time has run out, and then be cancelled with a complaint in the log.
        self._app.site.end_streams()
        await super().shutdown(sockets)
