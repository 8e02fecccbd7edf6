"""The operating-system user that a server runs as: PostgreSQL refuses to run as root."""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import ServerError

#: Every distribution's PostgreSQL package makes this user.
PACKAGED_NAME = "postgres"
#: Made when root starts a server on a machine without a PostgreSQL package.
OWN_NAME = "pg_background"


@dataclass(frozen=True)
class OsUser:
    """Somebody to run a server as."""

    name: str
    uid: int
    gid: int

    @property
    def is_self(self) -> bool:
        """True when a program needs no change of user to run as this one."""
        return self.uid == os.geteuid()

    def run(
        self, command: Sequence[str | Path], *, timeout: float | None = None, folder: Path = Path("/")
    ) -> subprocess.CompletedProcess[str]:
        """Run a program as this user, and collect what it writes.

        Args:
            timeout: in seconds.
            folder: where it runs; by default the one that everybody can enter.

        Raises:
            OSError: the program can't be run.
            subprocess.TimeoutExpired: it ran longer than `timeout`.
        """
        identity: Mapping[str, Any] = (
            {} if self.is_self else {"user": self.uid, "group": self.gid, "extra_groups": []}
        )
        return subprocess.run(
            list(map(str, command)),
            cwd=folder,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
            **identity,
        )

    def can_read(self, path: Path) -> bool:
        """Tell whether this user reaches and may read a file or folder."""
        if self.is_self:
            return os.access(path, os.R_OK)
        return self.run(["test", "-r", path]).returncode == 0


def server_user(data_directory: Path) -> OsUser:
    """Return the user to run the server of a data directory as.

    An ordinary user runs servers as himself. Root runs an existing one as the owner of its data
    directory, a new one as `postgres`, or, where that is missing, as the system user
    `pg_background`, which is then created.

    Raises:
        ServerError: such a user can't be created.
    """
    if os.geteuid() != 0:
        return _existing(os.geteuid())
    if data_directory.exists() and (owner := data_directory.stat().st_uid) != 0:
        return _existing(owner)
    return _for_new() or _create()


def _for_new() -> OsUser | None:
    for name in (PACKAGED_NAME, OWN_NAME):
        with suppress(KeyError):
            return _existing(pwd.getpwnam(name).pw_uid)
    return None


def _existing(uid: int) -> OsUser:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        # Containers run with uids that no user database knows.
        return OsUser(str(uid), uid, os.getegid())
    return OsUser(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _create() -> OsUser:
    # Of two useradd at once the second replaces the user of the first, whose files then belong to nobody.
    folder = os.open("/etc", os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        return _for_new() or _add()
    finally:
        os.close(folder)


def _add() -> OsUser:
    hint = f'create a system user named "{PACKAGED_NAME}", or run this as an ordinary user'
    useradd = shutil.which("useradd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if useradd is None:
        raise ServerError(
            "PostgreSQL can't run as root, and there is no useradd to make another user", hint=hint
        )
    shell = next((s for s in ("/usr/sbin/nologin", "/sbin/nologin") if Path(s).exists()), "/bin/false")
    done = subprocess.run(
        [useradd, "--system", "--user-group", "--no-create-home", "--shell", shell, OWN_NAME],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ServerError(
            f"PostgreSQL can't run as root, and useradd failed: {done.stderr.strip()}", hint=hint
        )
    return _existing(pwd.getpwnam(OWN_NAME).pw_uid)


def _environment() -> dict[str, str]:
    # PGDATA, PGPORT and their like would steer the server's programs; a translated log can't be read
    # by programs.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**kept, "LC_ALL": "C"}
