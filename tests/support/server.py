"""A PostgreSQL server under test."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from pg_background.server import Cluster, PortInUseError, ports
from pg_background.server.postmaster import Postmaster

from .checkers import Checker
from .server_log import ServerLog
from .waiting import wait_until

Settings = Mapping[str, object]

#: Fast, and without surprises: a test's data need not survive the machine.
TEST_SETTINGS: Settings = {
    "fsync": "off",
    "full_page_writes": "off",
    "restart_after_crash": "on",
    "jit": "off",
    "pg_background.jobs_from_other_databases": "on",
}


class Server:
    """A cluster, with what tests do to it. Sessions go by Unix socket, as superuser, in autocommit mode."""

    def __init__(self, cluster: Cluster, settings: Settings, checker: Checker | None = None) -> None:
        """
        Args:
            settings: configuration that `restart()` comes back to.
            checker: looks at what the server does with memory.
        """
        self.checker = checker or Checker()
        self.cluster = cluster
        self.log = ServerLog(cluster.log_path)
        self._settings = settings

    @property
    def major(self) -> int:
        """The major version of PostgreSQL."""
        return self.cluster.runtime.installation.major

    @property
    def settings(self) -> Settings:
        """The configuration that `restart()` comes back to."""
        return self._settings

    @property
    def search_path(self) -> str:
        """Where sessions find the extension and what tests create; without spaces, for libpq's options."""
        return str(self._settings.get("search_path", "public")).removeprefix('"$user",').replace(" ", "")

    @property
    def pid(self) -> int:
        """The postmaster's process id."""
        return self.cluster.postmaster().pid

    def is_running(self) -> bool:
        """Tell whether the postmaster lives."""
        return Postmaster.of(self.cluster.path) is not None

    def start(self, settings: Settings | None = None) -> None:
        """Start on a free port with these settings beside its own."""
        texts = {name: str(value) for name, value in {**self._settings, **(settings or {})}.items()}
        for attempt in range(5):
            try:
                with self.checker.starting():
                    self.cluster.start(port=ports.any_free(), settings=texts)
                return
            except PortInUseError:
                if attempt == 4:
                    raise

    def restart(self, settings: Settings | None = None) -> None:
        """Stop fast and start again, with these settings beside its own until the next restart."""
        self.cluster.stop("fast")
        self.start(settings)

    def wait_ready(self) -> None:
        """Wait until connections are accepted, as after a crash."""

        def accepts() -> bool:
            try:
                self.execute("SELECT 1")
            except psycopg.OperationalError:
                return False
            return True

        wait_until(accepts, what="the server accepts connections")

    def reload(self) -> None:
        """Reload the configuration; new sessions see it when this returns."""
        before = self.execute("SELECT pg_conf_load_time()")
        self.cluster.reload()
        wait_until(
            lambda: self.execute("SELECT pg_conf_load_time()") > before, what="the reloaded configuration"
        )

    @contextmanager
    def alter_system(self, settings: Settings) -> Iterator[None]:
        """Set configuration by ALTER SYSTEM and reload; take it back at the end of the block."""
        with self.connect() as conn:
            for name, value in settings.items():
                conn.execute(
                    sql.SQL("ALTER SYSTEM SET {} = {}").format(_setting_name(name), sql.Literal(str(value)))
                )
        self.reload()
        try:
            yield
        finally:
            with self.connect() as conn:
                for name in settings:
                    conn.execute(sql.SQL("ALTER SYSTEM RESET {}").format(_setting_name(name)))
            self.reload()

    def dsn(self, dbname: str = "postgres", **parameters: str | int) -> str:
        """Return a connection string; `parameters` are libpq's, such as user and options."""
        return make_conninfo(self.cluster.socket_dsn(), dbname=dbname, **parameters)

    def connect(
        self, dbname: str = "postgres", *, autocommit: bool = True, **parameters: str | int
    ) -> psycopg.Connection[tuple[Any, ...]]:
        """Open a session; the caller closes it."""
        return psycopg.connect(self.dsn(dbname, **parameters), autocommit=autocommit)

    async def aconnect(
        self, dbname: str = "postgres", *, autocommit: bool = True, **parameters: str | int
    ) -> psycopg.AsyncConnection[tuple[Any, ...]]:
        """Open an asynchronous session; the caller closes it."""
        return await psycopg.AsyncConnection.connect(self.dsn(dbname, **parameters), autocommit=autocommit)

    def execute(self, query: str, dbname: str = "postgres") -> Any:
        """Run a query in a session of its own and return its first row's first column, if it has one."""
        with self.connect(dbname) as conn:
            cursor = conn.execute(query)  # type: ignore[call-overload,unused-ignore]
            row = cursor.fetchone() if cursor.description else None
            return row[0] if row else None

    def psql(self, script: str, dbname: str = "postgres", *options: str, check: bool = True) -> str:
        """Run a script in the server's own psql, unaligned and without headers; return its output.

        Raises:
            AssertionError: an error occurred in the script, unless `check` is False.
        """
        done = subprocess.run(
            [
                *(self.cluster.runtime.installation.program("psql"), "-XAtq"),
                *("-v", "ON_ERROR_STOP=1"),
                *options,
                self.dsn(dbname),
            ],
            input=script,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout
        return done.stdout


def _setting_name(name: str) -> sql.Composed:
    return sql.SQL(".").join(map(sql.Identifier, name.split(".")))
