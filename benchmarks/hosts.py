"""The servers: two that differ in how long a worker waits for its next job, and one that is given."""

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

from pg_background.server import Cluster, Installation, ServerError, build, ports, prepare

#: A fresh process for every job.
COLD = {"pg_background.worker_idle_timeout": "0"}


@dataclass(frozen=True)
class Host:
    """A running server."""

    #: libpq's, by Unix socket; also what dblink connects with, from inside the server
    conninfo: str
    #: None where there is none
    pgbench: Path | None
    #: quoted; where the extension's functions are
    schema: str = "public"
    #: of the extension
    version: str = ""

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        """Open a session."""
        return psycopg.connect(self.conninfo, autocommit=True)


@dataclass(frozen=True)
class Hosts:
    """Both servers, with dblink in them."""

    warm: Host
    cold: Host
    #: with the C extension, if there is one
    c: Host | None = None


@contextmanager
def hosts(installation: Installation, c_dsn: str = "") -> Iterator[Hosts]:
    """Start both servers, and delete them at the end.

    Args:
        c_dsn: of a database with the C extension, which is left as it is.

    Raises:
        ServerError: the extension can't be built, a server not started, or the one with the C extension not
            be used.
    """
    pgbench = _pgbench(installation)
    other = c_extension(c_dsn, pgbench) if c_dsn else None
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
            return Host(conninfo, pgbench)

        yield Hosts(host("warm", {}), host("cold", COLD), other)


def c_extension(dsn: str, pgbench: Path | None) -> Host:
    """Look where the C extension is in a database.

    Raises:
        ServerError: it is not there, or the server can't be reached.
    """
    try:
        with psycopg.connect(dsn, autocommit=True) as connection:
            found = connection.execute(
                "SELECT pg_catalog.quote_ident(n.nspname), e.extversion FROM pg_catalog.pg_extension AS e"
                " JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace WHERE extname = 'pg_background'"
            ).fetchone()
    except psycopg.Error as error:
        raise ServerError(f"the database of C_DSN can't be reached: {error}") from error
    if found is None:
        raise ServerError("the database of C_DSN has no extension pg_background", hint="CREATE EXTENSION it")
    schema, version = found
    return Host(make_conninfo(dsn), pgbench, schema, version)


def _pgbench(installation: Installation) -> Path | None:
    """Return the server's own, else the machine's."""
    own = installation.bindir / "pgbench"
    if own.exists():
        return own
    return Path(found) if (found := shutil.which("pgbench")) else None
