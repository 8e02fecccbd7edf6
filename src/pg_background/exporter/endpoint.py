"""The HTTP server that Prometheus asks."""

from __future__ import annotations

import gzip
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import inf
from typing import Any

from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder

from ..errors import UserError
from .certificates import Certificate
from .gathering import Collected
from .passwords import Passwords
from .waiting import Waiting

#: Seconds for whoever connects to say what is wanted, and to take the answer: each piece of it.
_PATIENCE = 10.0
#: Connections at once that have not asked yet, and that are answered. Prometheus has one or two; more would
#: be threads that do nothing.
_MOST = 64
#: Prometheus says how long it waits; the answer has to be made and sent within that too.
_WAITS = "X-Prometheus-Scrape-Timeout-Seconds"
_MARGIN = 0.5

_PAGE = b"""<!doctype html>
<html lang="en"><title>pg-background exporter</title>
<h1>pg-background exporter</h1><p><a href="/metrics">Metrics</a></p></html>
"""

Metrics = Callable[[float | None], Iterator[Metric]]


class Endpoint(ThreadingHTTPServer):
    """Serves `/metrics`; each connection has a thread, which also does the handshake."""

    # A peer that is slow must not keep the process from ending.
    daemon_threads = True

    def __init__(
        self,
        address: tuple[str, int],
        metrics: Metrics,
        *,
        passwords: Passwords | None = None,
        certificate: Certificate | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """
        Args:
            address: host and port; port 0 is any that is free.
            metrics: makes them, within so many seconds.
            tell: is told what went wrong.

        Raises:
            UserError: it can't listen there.
        """
        host, port = address
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            self.address_family = found[0][0]
            place = found[0][4]
            super().__init__(place[:2], _Handler)  # type: ignore[arg-type]
        except OSError as error:
            raise UserError(f"can't listen on {host}:{port}: {error.strerror or error}") from None
        self.metrics = metrics
        self.passwords = passwords
        self._certificate = certificate
        self.tell = tell
        self.room = threading.BoundedSemaphore(_MOST)
        self.waiting = Waiting(_MOST)

    @property
    def place(self) -> tuple[str, int]:
        """The address and the port."""
        return str(self.server_address[0]), int(self.server_address[1])

    @property
    def url(self) -> str:
        """Where the metrics are."""
        host, port = self.place
        shown = f"[{host}]" if self.address_family == socket.AF_INET6 else host
        return f"http{'s' if self._certificate else ''}://{shown}:{port}/metrics"

    def server_bind(self) -> None:
        """Bind, without asking for this machine's name, which may take long."""
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Do all for one connection."""
        self.waiting.begin(request)
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.waiting.end()

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Talk to it."""
        request.settimeout(_PATIENCE)
        if self._certificate is None:
            super().finish_request(request, client_address)
            return
        with self._certificate.context().wrap_socket(request, server_side=True) as secured:
            super().finish_request(secured, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Leave those alone who went away, were too slow or spoke no TLS; tell the rest."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            self.tell(f"a request failed: {type(error).__name__}: {error}")


class _Handler(BaseHTTPRequestHandler):
    server_version = "pg-background"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer a request, if there are not too many."""
        self._endpoint.waiting.end()
        if not self._endpoint.room.acquire(blocking=False):
            self._send(HTTPStatus.SERVICE_UNAVAILABLE, b"too many ask at once\n")
            return
        try:
            self._answer()
        finally:
            self._endpoint.room.release()

    do_HEAD = do_GET

    def _answer(self) -> None:
        try:
            if self._endpoint.passwords and not self._endpoint.passwords.admit(self.headers["Authorization"]):
                self._send(
                    HTTPStatus.UNAUTHORIZED,
                    b"a name and a password are needed\n",
                    **{"WWW-Authenticate": 'Basic realm="pg-background", charset="UTF-8"'},
                )
                return
        except UserError as error:
            self._endpoint.tell(error.message)
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, b"the file of passwords can't be read\n")
            return
        path = self.path.partition("?")[0]
        if path == "/metrics":
            self._send_metrics()
        elif path == "/":
            self._send(HTTPStatus.OK, _PAGE, **{"Content-Type": "text/html; charset=utf-8"})
        else:
            self._send(HTTPStatus.NOT_FOUND, b"it is at /metrics\n")

    @property
    def _endpoint(self) -> Endpoint:
        assert isinstance(self.server, Endpoint)
        return self.server

    def log_message(self, format: str, *arguments: Any) -> None:
        """Write nothing: a line every few seconds helps nobody."""

    def _send_metrics(self) -> None:
        encode, kind = choose_encoder(self.headers["Accept"] or "")
        body = encode(Collected(self._endpoint.metrics(self._patience())))
        headers = {"Content-Type": kind}
        if "gzip" in (self.headers["Accept-Encoding"] or "").lower():
            body = gzip.compress(body, 6)
            headers["Content-Encoding"] = "gzip"
        self._send(HTTPStatus.OK, body, **headers)

    def _patience(self) -> float | None:
        try:
            seconds = float(self.headers[_WAITS] or "")
        except ValueError:
            return None
        return seconds - min(_MARGIN, seconds / 2) if 0 < seconds < inf else None

    def _send(self, status: HTTPStatus, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "text/plain; charset=utf-8", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
