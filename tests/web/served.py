"""The page on a port, served by a thread beside the test."""

from __future__ import annotations

import socket
import threading
from typing import Any

import uvicorn

from pg_background.web import create_app

from ..support.waiting import wait_until

KEY = "key-of-the-test"


class Served:
    """Runs until it is stopped."""

    def __init__(self, servers: Any, **options: Any) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        options.setdefault("hosts", {"127.0.0.1"})
        self.app = create_app(servers, **options)
        config = uvicorn.Config(self.app, log_level="error", access_log=False, timeout_graceful_shutdown=5)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))
        self._thread.start()
        wait_until(lambda: self._server.started, what="the page is served")

    @property
    def entry(self) -> str:
        """The address by which whoever runs the page enters, if it was made with `KEY`."""
        return f"{self.address}/enter?key={KEY}"

    def stop(self) -> None:
        """Stop it."""
        self.app.site.end_streams()
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()
