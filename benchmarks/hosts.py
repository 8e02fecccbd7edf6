"""The two servers: the same but for how long a worker waits for its next job."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from pg_background.server import Cluster, Installation, build, ports, prepare

#: A fresh process for every job.
COLD = {"pg_background.worker_idle_timeout": "0"}


@dataclass(frozen=True)
class Host:
    """A running server."""

    cluster: Cluster
    #: libpq's, by Unix socket; also what dblink connects with, from inside the server
    conninfo: str

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        """Open a session."""
        return psycopg.connect(self.conninfo, autocommit=True)

    def pgbench(self) -> Path:
        """Return the path of the server's own pgbench."""
        return self.cluster.runtime.installation.program("pgbench")


@dataclass(frozen=True)
class Hosts:
    """Both servers, with dblink in them."""

    warm: Host
    cold: Host


@contextmanager
def hosts(installation: Installation) -> Iterator[Hosts]:
    """Start both servers, and delete them at the end.

    Raises:
        ServerError: the extension can't be built, or a server not started.
    """
    extension = build(installation)
    # The server may run as another user, who has to reach it.
    base = Path(tempfile.mkdtemp(prefix="pgbg-", dir="/tmp"))
    base.chmod(0o755)

    with ExitStack() as stack:
        stack.callback(shutil.rmtree, base)

        def host(name: str, settings: dict[str, str]) -> Host:
            cluster = Cluster(base / name)
            cluster.provide(prepare(installation, extension, cluster.os_user))
            cluster.init(sync=False)
            stack.callback(cluster.stop, "immediate")
            cluster.start(port=ports.any_free(), settings=settings)
            cluster.create_extension()
            conninfo = make_conninfo(cluster.socket_dsn())
            with psycopg.connect(conninfo, autocommit=True) as connection:
                connection.execute("CREATE EXTENSION dblink")
            return Host(cluster, conninfo)

        yield Hosts(host("warm", {}), host("cold", COLD))
