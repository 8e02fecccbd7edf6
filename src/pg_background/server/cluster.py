"""One PostgreSQL server with the extension in it: initialise, start, stop, ask."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from enum import Enum
from hashlib import sha256
from pathlib import Path
from typing import Literal
from urllib.parse import quote, urlencode

from . import ports
from .data_directory import DataDirectory, Record
from .errors import DataDirectoryError, NotRunningError, ServerError, StartError
from .os_user import OsUser, server_user
from .postmaster import Postmaster
from .runtime import Runtime

SUPERUSER = "postgres"

#: Jobs may take all but three of the server's worker slots: 32 of these.
MAX_WORKER_PROCESSES = 35

#: Not $TMPDIR, which may be deep, and out of reach of the server's user.
TEMPORARY = Path("/tmp")

#: The system's limit for a socket's path is 107 bytes; PostgreSQL adds a name of up to 16.
_LONGEST_SOCKET_DIRECTORY = 88

#: What a shell takes for itself between double quotes.
_SHELL_EXPANDS = frozenset('"$`\\')

#: By what initdb says of what it lacks.
_REMEDIES = {
    "could not look up effective user ID": "PostgreSQL wants a name for its user: add one to /etc/passwd, or "
    "start it as another user",
    "No space left on device": "free some space, or name another folder by --data",
}

_STOP_SIGNALS = {
    "smart": signal.SIGTERM,
    "fast": signal.SIGINT,
    "immediate": signal.SIGQUIT,
}


class Status(Enum):
    """Whether a cluster's server runs."""

    RUNNING = "running"
    STOPPED = "stopped"
    #: the data directory is not there, or empty
    ABSENT = "not initialized"


class Cluster:
    """A data directory and the server that runs on it.

    `provide` a runtime before `init`, `start` and `restart`; the other methods work on a server that
    another process started.
    """

    def __init__(self, data_directory: Path) -> None:
        """
        Raises:
            ServerError: root has no user to run the server as.
        """
        self.path = data_directory.absolute()
        self.os_user: OsUser = server_user(self.path)
        self._data = DataDirectory(self.path, self.os_user)
        self._runtime: Runtime | None = None

    def provide(self, runtime: Runtime) -> None:
        """Say which programs run the server and where it finds the extension."""
        self._runtime = runtime

    @property
    def runtime(self) -> Runtime:
        """What `provide` was given."""
        if self._runtime is None:
            raise RuntimeError("provide() a runtime first")
        return self._runtime

    @property
    def log_path(self) -> Path:
        """The server's log."""
        return self.path / "server.log"

    def status(self) -> Status:
        """Look whether the server runs.

        Raises:
            DataDirectoryError: the data directory holds something else, or can't be read.
        """
        if not self._data.is_initialized():
            return Status.ABSENT
        return Status.RUNNING if Postmaster.of(self.path) else Status.STOPPED

    def postmaster(self) -> Postmaster:
        """Return the running server's process.

        Raises:
            NotRunningError: it does not run.
            DataDirectoryError: as `status`.
        """
        self._data.is_initialized()
        if (found := Postmaster.of(self.path)) is None:
            raise NotRunningError(f'no server is running on "{self.path}"', hint="pg-background server start")
        return found

    def init(self, *, sync: bool = True) -> bool:
        """Make a cluster, unless there is one. Return True when one was made.

        Args:
            sync: False leaves the new files to the operating system's cache.

        Raises:
            DataDirectoryError: the folder can't be written, or holds something that is not ours.
            StartError: initdb failed.
        """
        if self._data.is_initialized():
            self._data.require_version(self.runtime.installation.major)
            return False
        self._data.create()
        password = secrets.token_urlsafe(18)
        with tempfile.NamedTemporaryFile("w", prefix="pg_background-", dir=TEMPORARY) as file:
            file.write(password)
            file.flush()
            if not self.os_user.is_self:
                os.fchown(file.fileno(), self.os_user.uid, self.os_user.gid)
            done = self.os_user.run(
                [
                    self.runtime.installation.program("initdb"),
                    *("-D", self.path),
                    *("--username", SUPERUSER),
                    *("--encoding", "UTF8"),
                    *("--locale", "C"),
                    # The socket is in a folder that only the server's user and root can enter.
                    *("--auth-local", "trust"),
                    *("--auth-host", "scram-sha-256"),
                    *("--pwfile", file.name),
                    *(() if sync else ("--no-sync",)),
                ]
            )
        if done.returncode != 0:
            said = done.stdout.rstrip()
            hint = next(
                (hint for words, hint in _REMEDIES.items() if words in said), "see what it says above"
            )
            raise StartError(f'initdb failed on "{self.path}":\n{said}', hint=hint)
        self._data.adopt(Record(password=password))
        return True

    def start(
        self,
        *,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        timeout: float = 60,
    ) -> bool:
        """Start the server, unless it runs. Return True when it was started.

        Args:
            port: by default the last one, if it is free, else the first free one.
            settings: configuration beside, or instead of, our own.
            timeout: seconds until it must accept connections.

        Raises:
            PortInUseError: another program has the port.
            DataDirectoryError: as `status`, or the cluster is of another major version.
            StartError: it did not start, or runs on another port than the one asked for.
        """
        if not self._data.is_initialized():
            raise DataDirectoryError(f'"{self.path}" holds no cluster yet', hint="init() it first")
        self._data.require_version(self.runtime.installation.major)
        if running := Postmaster.of(self.path):
            if port not in (None, running.port):
                raise StartError(
                    f"the server already runs, on port {running.port}",
                    hint="stop it first: pg-background server stop",
                )
            return False
        record = self._data.record()
        chosen = self._choose_port(port, record.port)
        configuration = {**self._own_settings(chosen), **(settings or {})}
        self._data.write_settings(configuration)
        bindir = str(self.runtime.installation.bindir)
        self._data.write_record(replace(record, port=chosen, bindir=bindir, settings=configuration))
        self._pg_ctl_start(chosen, timeout)
        return True

    def stop(self, mode: Literal["smart", "fast", "immediate"] = "fast", *, timeout: float = 60) -> bool:
        """Stop the server, if it runs. Return True when it was stopped.

        Args:
            mode: as of pg_ctl.
            timeout: seconds until it must be gone.

        Raises:
            StartError: it still runs after `timeout`.
            DataDirectoryError: as `status`.
        """
        if self.status() is not Status.RUNNING or (running := Postmaster.of(self.path)) is None:
            return False
        with suppress(ProcessLookupError):
            os.kill(running.pid, _STOP_SIGNALS[mode])
        deadline = time.monotonic() + timeout
        while (found := Postmaster.of(self.path)) is not None and found.pid == running.pid:
            if time.monotonic() > deadline:
                raise StartError(
                    f"the server (pid {running.pid}) still runs after {timeout:g} s",
                    hint=f'sessions may be busy; see its log "{self.log_path}"',
                )
            time.sleep(0.01)
        return True

    def restart(self, *, settings: Mapping[str, str] | None = None, timeout: float = 60) -> None:
        """Stop and start the server on the same port.

        Raises:
            ServerError: as `stop` and `start`.
        """
        port = self._data.record().port
        self.stop(timeout=timeout)
        self.start(port=port, settings=settings, timeout=timeout)

    def reload(self) -> None:
        """Make the server read its configuration again.

        Raises:
            NotRunningError: it does not run.
        """
        os.kill(self.postmaster().pid, signal.SIGHUP)

    def destroy(self) -> None:
        """Stop the server at once and delete its data."""
        self.stop("immediate")
        shutil.rmtree(self.path)

    def dsn(self, database: str = "postgres") -> str:
        """Return the URI of a connection by TCP as superuser, with the file that has its password.

        Raises:
            NotRunningError: the server does not run.
        """
        port = self.postmaster().port
        # Not the password itself: whoever passes this on as an argument shows it to all users of the machine.
        password = _parameters(passfile=self._data.password_file())
        return f"postgresql://{SUPERUSER}@localhost:{port}/{quote(database, safe='')}?{password}"

    def socket_dsn(self, database: str = "postgres") -> str:
        """Return the URI of a connection by Unix socket as superuser; only the server's user and root can.

        Raises:
            NotRunningError: the server does not run.
        """
        running = self.postmaster()
        where = _parameters(host=running.socket_directory, port=running.port)
        return f"postgresql://{SUPERUSER}@/{quote(database, safe='')}?{where}"

    def bindir(self) -> Path:
        """Return the folder of the programs with which the server was last started."""
        return Path(self._data.record().bindir)

    def create_extension(self, database: str = "postgres") -> None:
        """Create pg_background in a database, or update it to the version that was built.

        Raises:
            NotRunningError: the server does not run.
            ServerError: PostgreSQL refused.
        """
        # Not above: everything else here works without a driver, and faster.
        import psycopg

        try:
            with psycopg.connect(self.socket_dsn(database), autocommit=True) as connection:
                connection.execute("SET client_min_messages = warning")
                connection.execute("CREATE EXTENSION IF NOT EXISTS pg_background")
                connection.execute("ALTER EXTENSION pg_background UPDATE")
        except psycopg.Error as error:
            raise ServerError(
                f"could not create the extension in database {database}: {error}",
                hint=f'see the server\'s log "{self.log_path}"',
            ) from error

    def runs_the_provided(self) -> bool:
        """Tell whether the server was last started with the runtime that `provide` was given."""
        last = self._data.record()
        return last.bindir == str(self.runtime.installation.bindir) and all(
            last.settings.get(name) == value for name, value in self.runtime.settings.items()
        )

    def _own_settings(self, port: int) -> dict[str, str]:
        return {
            "port": str(port),
            "listen_addresses": "localhost",
            "unix_socket_directories": str(self._socket_directory()),
            "max_worker_processes": str(MAX_WORKER_PROCESSES),
            "shared_preload_libraries": "pg_background",
            "log_line_prefix": "%m [%p] %q%u@%d ",
            **self.runtime.settings,
        }

    def _choose_port(self, wanted: int | None, last: int | None) -> int:
        if wanted is not None:
            ports.require_free(wanted)
            return wanted
        if last is not None and ports.is_free(last):
            return last
        return ports.first_free(ports.FIRST_PORT + self.runtime.installation.major)

    def _socket_directory(self) -> Path:
        # Commas separate folders in the server's setting, and hosts in a DSN.
        if len(os.fsencode(self.path)) <= _LONGEST_SOCKET_DIRECTORY and "," not in str(self.path):
            return self.path
        # Named after the data directory, and so the same at each start.
        short = TEMPORARY / f"pg_background-{sha256(os.fsencode(self.path)).hexdigest()[:16]}"
        if not os.path.lexists(short):
            DataDirectory(short, self.os_user).create()
        elif short.is_symlink() or short.stat().st_uid != self.os_user.uid:
            raise ServerError(
                f'"{short}", which is to hold the server\'s socket, belongs to somebody else',
                hint="delete it, or choose a data directory with a shorter path",
            )
        return short

    def _pg_ctl_start(self, port: int, timeout: float) -> None:
        log_size = self.log_path.stat().st_size if self.log_path.exists() else 0
        # pg_ctl puts both paths between double quotes into a command for a shell.
        is_plain = not _SHELL_EXPANDS.intersection(str(self.path))
        done = self.os_user.run(
            [
                self.runtime.installation.program("pg_ctl"),
                "start",
                *("-D", self.path if is_plain else "."),
                *("-l", self.log_path if is_plain else self.log_path.name),
                "--wait",
                *("--timeout", str(max(1, round(timeout)))),
            ],
            folder=self.path,
        )
        if done.returncode == 0:
            return
        with suppress(FileNotFoundError):
            with self.log_path.open(errors="replace") as log:
                log.seek(log_size)
                said = log.read()
            if "could not create any TCP/IP sockets" in said:
                if nameless := re.search(r'could not translate host name "(.+?)"', said):
                    raise StartError(
                        f'"{nameless[1]}" has no address on this machine',
                        hint="/etc/hosts should have a line: 127.0.0.1 localhost",
                    )
                raise ports.in_use(port)
            raise StartError(
                "the server did not start:\n" + "\n".join(said.splitlines()[-15:]),
                hint=f'its whole log is "{self.log_path}"',
            )
        raise StartError(f"the server did not start:\n{done.stdout.rstrip()}")


def _parameters(**values: object) -> str:
    # libpq takes a plus sign for itself, not for a space.
    return urlencode(values, quote_via=quote)
