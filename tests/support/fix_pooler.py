"""PgBouncers in front of servers, which give each transaction any of their sessions."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
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

_numbers = count(1)

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
"""


class Pooler:
    """A running PgBouncer.

    Attributes:
        dsn: leads there, without a database.
    """

    def __init__(self, server: Server, folder: Path) -> None:
        """
        Args:
            folder: where the server's user can enter; made here.
        """
        # Copied there: as root neither of the two runs as root.
        found = pgbouncer.find()
        folder.mkdir()
        self._program = shutil.copy(found / "usr/sbin/pgbouncer", folder)
        for library in {*found.glob("usr/lib/*/libcares.so.2"), *found.glob("usr/lib/*/libevent-2.1.so.7")}:
            shutil.copy(library, folder)
        behind = conninfo_to_dict(server.dsn())
        port = ports.any_free()
        self._folder = folder
        self._config = folder / "pgbouncer.ini"
        self._config.write_text(
            _CONFIG.format(
                host=behind["host"],
                server_port=behind["port"],
                user=behind.get("user", "postgres"),
                port=port,
            )
        )
        self._user = server.cluster.os_user.uid
        self.dsn = make_conninfo(host="127.0.0.1", port=port, user="anybody")
        self._process = self._start()

    def restart(self, stop: str) -> None:
        """End it by the method of this name, and start it again at the same address."""
        self.stop(stop)
        self._process = self._start()

    def stop(self, stop: str = "terminate") -> None:
        """End it, and its sessions with it."""
        getattr(self._process, stop)()
        self._process.wait(DEADLINE)

    def _start(self) -> subprocess.Popen[bytes]:
        with (self._folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [self._program, self._config],
                env={**os.environ, "LD_LIBRARY_PATH": str(self._folder)},
                user=self._user,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )

        def accepts() -> bool:
            assert process.poll() is None, (self._folder / "log").read_text()
            try:
                psycopg.connect(self.dsn, dbname="postgres").close()
            except psycopg.OperationalError:
                return False
            return True

        try:
            wait_until(accepts, what="PgBouncer accepts connections")
        except BaseException:
            process.kill()
            process.wait()
            raise
        return process


class MakePooler(Protocol):
    """Makes poolers that live until the test ends."""

    def __call__(self, server: Server) -> Pooler:
        """Return one in front of a server."""


@pytest.fixture(scope="session")
def pooler(server: Server, open_tmp_path: Path) -> Iterator[str]:
    """A connection string that leads there, without a database."""
    made = Pooler(server, open_tmp_path / "pooler")
    yield made.dsn
    made.stop()


@pytest.fixture
def make_pooler(open_tmp_path: Path) -> Iterator[MakePooler]:
    """Makes poolers of the test's own."""
    made: list[Pooler] = []

    def make(server: Server) -> Pooler:
        made.append(Pooler(server, open_tmp_path / f"pooler-{next(_numbers)}"))
        return made[-1]

    yield make
    for pooler in made:
        pooler.stop()
