"""The files that a cluster keeps in its data directory beside PostgreSQL's own."""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .errors import DataDirectoryError
from .os_user import OsUser

_CONFIGURATION = "pg_background.conf"
_RECORD = "pg_background.json"
_PASSWORD = "pg_background.pgpass"


@dataclass(frozen=True)
class Record:
    """What has to be known about a cluster that is not running."""

    #: of the superuser `postgres`, for connections by TCP
    password: str
    #: the last port, preferred at the next start
    port: int | None = None
    #: the folder of the programs of the last start
    bindir: str = ""
    #: the configuration of the last start
    settings: Mapping[str, str] = field(default_factory=dict)


class DataDirectory:
    """A folder that is, or will be, the data directory of one of our clusters."""

    def __init__(self, path: Path, user: OsUser) -> None:
        """
        Args:
            user: who owns it, or will.
        """
        self.path = path
        self.user = user

    def is_initialized(self) -> bool:
        """Tell whether it holds a cluster that we made.

        Raises:
            DataDirectoryError: it holds anything else, or can't be read.
        """
        try:
            if not self.path.exists():
                return False
            if not self.path.is_dir():
                raise self._error("is not a folder")
            names = {path.name for path in self.path.iterdir()}
        except PermissionError as error:
            raise self._error("can't be read by this user") from error
        if not names:
            return False
        if "PG_VERSION" not in names:
            raise self._error("holds other files than a PostgreSQL cluster")
        if _RECORD not in names:
            raise self._error("is a PostgreSQL cluster that pg_background did not make")
        return True

    def create(self) -> None:
        """Make an empty folder that belongs to `user`.

        Raises:
            DataDirectoryError: it can't be made, or that user can't reach it.
        """
        existed = self.path.exists()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.mkdir(mode=0o700, exist_ok=True)
            self._own(self.path)
            self.path.chmod(0o700)
        except OSError as error:
            raise self._error(f"can't be written: {error.strerror}") from error
        if not self.user.can_read(self.path):
            if not existed:
                self.path.rmdir()
            raise DataDirectoryError(
                f'the data directory "{self.path}" is out of reach of the user "{self.user.name}", '
                "as which the server runs because PostgreSQL can't run as root",
                hint="choose a folder outside of root's home with --data",
            )
        if not os.access(self.path, os.W_OK):
            raise self._error("can't be written")

    def require_version(self, major: int) -> None:
        """Check that this major version of PostgreSQL can run the cluster.

        Raises:
            DataDirectoryError: it was made by another one.
        """
        found = (self.path / "PG_VERSION").read_text().strip()
        if found != str(major):
            raise DataDirectoryError(
                f'the data directory "{self.path}" was made by PostgreSQL {found}, '
                f"and this is PostgreSQL {major}",
                hint="name the right pg_config with --pg-config, or another folder with --data",
            )

    def adopt(self, record: Record) -> None:
        """Make a freshly initialised cluster ours."""
        with (self.path / "postgresql.conf").open("a") as configuration:
            configuration.write(f"\n# Written anew at each start.\ninclude '{_CONFIGURATION}'\n")
        self.write_settings({})
        self.write_record(record)

    def record(self) -> Record:
        """Read what was last written with `write_record`."""
        return Record(**json.loads((self.path / _RECORD).read_text()))

    def write_record(self, record: Record) -> None:
        """Keep a record, unreadable to others."""
        self._write(_RECORD, json.dumps(asdict(record), indent=2) + "\n")

    def password_file(self) -> Path:
        """Return the file from which libpq takes the superuser's password; write it if it is not there."""
        path = self.path / _PASSWORD
        if not path.exists():
            password = re.sub(r"([\\:])", r"\\\1", self.record().password)
            self._write(_PASSWORD, f"*:*:*:*:{password}\n")
        return path

    def write_settings(self, settings: Mapping[str, str]) -> None:
        """Replace the configuration that postgresql.conf includes."""
        lines = [f"{name} = {_quoted(value)}\n" for name, value in settings.items()]
        self._write(_CONFIGURATION, "".join(lines))

    def _write(self, name: str, text: str) -> None:
        # Renamed into place: as root, never write through a link that the server's user could have laid.
        new = self.path / f".{name}.{secrets.token_hex(8)}"
        try:
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(text)
            self._own(new)
            new.replace(self.path / name)
        except OSError as error:
            raise self._error(f"can't be written: {error.strerror}") from error

    def _own(self, path: Path) -> None:
        if not self.user.is_self:
            os.chown(path, self.user.uid, self.user.gid, follow_symlinks=False)

    def _error(self, problem: str) -> DataDirectoryError:
        return DataDirectoryError(
            f'the data directory "{self.path}" {problem}',
            hint="choose a folder that is empty, or not there yet, and that you can write to, with --data",
        )


def _quoted(value: str) -> str:
    doubled = value.replace("\\", "\\\\").replace("'", "''")
    return f"'{doubled}'"
