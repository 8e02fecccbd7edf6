"""TLS for the endpoint."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from pathlib import Path

from ..errors import UserError


class Certificate:
    """A certificate and its key, read again when they have changed: they are renewed every few weeks."""

    def __init__(
        self, certificate: Path, key: Path | None = None, *, tell: Callable[[str], None] = lambda _: None
    ) -> None:
        """
        Args:
            certificate: in PEM, with its chain.
            key: None if it is in the same file.
            tell: is told why a changed one can't be used; the one before stays in use.

        Raises:
            UserError: they can't be read, or don't belong together.
        """
        self._paths = [certificate, *([key] if key else [])]
        self._tell = tell
        self._lock = threading.Lock()
        self._stamp = self._stamp_now()
        self._context = self._load()

    def context(self) -> ssl.SSLContext:
        """Return what a new connection is to use."""
        with self._lock:
            try:
                if (stamp := self._stamp_now()) != self._stamp:
                    # Once for each change, whatever comes of it.
                    self._stamp = stamp
                    self._context = self._load()
            except UserError as error:
                self._tell(f"{error.message}; the certificate before is still in use")
            return self._context

    def _stamp_now(self) -> list[tuple[int, int, int]]:
        try:
            found = [path.stat() for path in self._paths]
        except OSError as error:
            raise UserError(f"can't read {error.filename}: {error.strerror}") from None
        return [(each.st_ino, each.st_size, each.st_mtime_ns) for each in found]

    def _load(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            # Without a password an encrypted key would be asked for on the terminal.
            context.load_cert_chain(self._paths[0], self._paths[-1], password="")
        except OSError as error:
            names = " and ".join(map(str, self._paths))
            raise UserError(f"can't use {names} for TLS: {error.strerror or error}") from None
        return context
