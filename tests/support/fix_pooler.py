"""A PgBouncer in front of the session's server, which gives each transaction any of its sessions."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pg_background.server import ports
from tools import pgbouncer

from .server import Server
from .waiting import wait_until

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


@pytest.fixture(scope="session")
def pooler(server: Server, open_tmp_path: Path) -> Iterator[str]:
    """A connection string that leads there, without a database."""
    # Copied to where the server's user can enter: as root neither of the two runs.
    found, folder = pgbouncer.find(), open_tmp_path / "pooler"
    folder.mkdir()
    program = shutil.copy(found / "usr/sbin/pgbouncer", folder)
    for library in {*found.glob("usr/lib/*/libcares.so.2"), *found.glob("usr/lib/*/libevent-2.1.so.7")}:
        shutil.copy(library, folder)
    behind = conninfo_to_dict(server.dsn())
    port = ports.any_free()
    config = folder / "pgbouncer.ini"
    config.write_text(
        _CONFIG.format(
            host=behind["host"], server_port=behind["port"], user=behind.get("user", "postgres"), port=port
        )
    )
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(
            [program, config],
            env={**os.environ, "LD_LIBRARY_PATH": str(folder)},
            user=server.cluster.os_user.uid,
            stdout=subprocess.DEVNULL,
            stderr=log,
        ) as process,
    ):
        dsn = make_conninfo(host="127.0.0.1", port=port, user="anybody")

        def accepts() -> bool:
            assert process.poll() is None, (folder / "log").read_text()
            try:
                psycopg.connect(dsn, dbname="postgres").close()
            except psycopg.OperationalError:
                return False
            return True

        try:
            wait_until(accepts, what="PgBouncer accepts connections")
            yield dsn
        finally:
            process.terminate()
