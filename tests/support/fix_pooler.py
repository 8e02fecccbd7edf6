"""A PgBouncer in front of the session's server, which gives each transaction any of its sessions."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Protocol

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pg_background.server import ports
from tools import pgbouncer

from .server import Server
from .waiting import DEADLINE, wait_until

# The last two are shorter than a test's deadline: a server that refused one login, as busy ones do, is
# asked again in time, and who waits in vain is told so by PgBouncer.
_CONFIG = """
[databases]
* = host={host} port={server_port} user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 2
server_login_retry = 1
query_wait_timeout = 15
"""


_numbers = count(1)


class Pooler:
    """A PgBouncer, which may be ended and started again."""

    def __init__(self, server: Server, folder: Path, config: str, *, users: Sequence[str] = ()) -> None:
        """
        Args:
            folder: a new one, for its files.
            config: with the fields of `_CONFIG`.
            users: who may come by name; none are asked for a password.
        """
        # Copied to where the server's user can enter: as root neither of the two runs.
        found = pgbouncer.find()
        folder.mkdir()
        self._folder = folder
        self._program = shutil.copy(found / "usr/sbin/pgbouncer", folder)
        for library in {*found.glob("usr/lib/*/libcares.so.2"), *found.glob("usr/lib/*/libevent-2.1.so.7")}:
            shutil.copy(library, folder)
        behind = conninfo_to_dict(server.dsn())
        self._port = ports.any_free()
        self._user = server.cluster.os_user.uid
        self._config = folder / "pgbouncer.ini"
        (folder / "users").write_text("".join(f'"{user}" ""\n' for user in users))
        self._config.write_text(
            config.format(
                host=behind["host"],
                server_port=behind["port"],
                user=behind.get("user", "postgres"),
                port=self._port,
                users=folder / "users",
            )
        )
        self._process: subprocess.Popen[bytes] | None = None

    def dsn(self, **parameters: str) -> str:
        """A connection string that leads there; `parameters` are libpq's."""
        return make_conninfo(host="127.0.0.1", port=self._port, **parameters)

    def start(self) -> None:
        """Start it; it accepts connections when this returns."""
        with (self._folder / "log").open("ab") as log:
            self._process = process = subprocess.Popen(
                [self._program, self._config],
                env={**os.environ, "LD_LIBRARY_PATH": str(self._folder)},
                user=self._user,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )

        def accepts() -> bool:
            assert process.poll() is None, (self._folder / "log").read_text()
            try:
                psycopg.connect(self.dsn(user="postgres", dbname="postgres")).close()
            except psycopg.OperationalError:
                return False
            return True

        wait_until(accepts, what="PgBouncer accepts connections")

    def stop(self, how: str = "terminate") -> None:
        """End it by the method of this name, and all connections through it."""
        if self._process is not None:
            getattr(self._process, how)()
            self._process.wait(DEADLINE)
            self._process = None

    def kill(self) -> None:
        """End it at once."""
        self.stop("kill")

    def restart(self, how: str) -> None:
        """End it by the method of this name, and start it again at the same address."""
        self.stop(how)
        self.start()


class MakePooler(Protocol):
    """Makes poolers that live until the test ends."""

    def __call__(self, server: Server) -> Pooler:
        """Return one in front of a server, as `pooler` is."""


@pytest.fixture(scope="session")
def pooler(server: Server, open_tmp_path: Path) -> Iterator[str]:
    """A connection string that leads there, without a database."""
    made = Pooler(server, open_tmp_path / "pooler", _CONFIG)
    try:
        made.start()
        yield made.dsn(user="anybody")
    finally:
        made.kill()


@pytest.fixture
def make_pooler(open_tmp_path: Path) -> Iterator[MakePooler]:
    """Makes poolers of the test's own."""
    made: list[Pooler] = []

    def make(server: Server) -> Pooler:
        made.append(Pooler(server, open_tmp_path / f"pooler-{next(_numbers)}", _CONFIG))
        made[-1].start()
        return made[-1]

    yield make
    for pooler in made:
        pooler.stop()
