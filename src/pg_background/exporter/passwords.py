"""Who may read the metrics: basic authentication, by a file of names and passwords."""

from __future__ import annotations

import hmac
from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path

from ..errors import UserError

_SCHEME = "basic "


class Passwords:
    """A file with a line `name:password` for each who may, read at each request: it may change."""

    def __init__(self, path: Path) -> None:
        """
        Raises:
            UserError: the file can't be read, or has other lines or none.
        """
        self._path = path
        self._read()

    @property
    def is_open(self) -> bool:
        """Whether every user of this machine may read it."""
        return bool(self._path.stat().st_mode & 0o004)

    def admit(self, authorization: str | None) -> bool:
        """Tell whether a request's header names one of them.

        Raises:
            UserError: the file can't be read any more.
        """
        given = _credentials(authorization)
        found = False
        for name, password in self._read().items():
            # All are compared, each to its end: the time that it takes must tell nothing.
            found |= hmac.compare_digest(f"{name}:{password}".encode(), given)
        return found

    def _read(self) -> Mapping[str, str]:
        try:
            lines = self._path.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise UserError(f"can't read {self._path}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise UserError(f"{self._path} is not UTF-8") from None
        found: dict[str, str] = {}
        for number, line in enumerate(lines, start=1):
            if not line.strip() or line.startswith("#"):
                continue
            name, colon, password = line.partition(":")
            if not colon or not name or not password:
                raise UserError(f"line {number} of {self._path} is not NAME:PASSWORD")
            found[name] = password
        if not found:
            raise UserError(f"{self._path} has no line NAME:PASSWORD")
        return found


def _credentials(authorization: str | None) -> bytes:
    if authorization is None or not authorization.lower().startswith(_SCHEME):
        return b""
    try:
        return b64decode(authorization[len(_SCHEME) :].strip(), validate=True)
    except ValueError:
        return b""
