"""A greedy role beside another one, and a superuser, on a server where there is little of everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol

import psycopg
import pytest
from psycopg import sql

from .fix_db import Connection
from .fix_server import FreshServer
from .jobs import Handle
from .server import Server, Settings


@dataclass(frozen=True)
class Tenants:
    """Sessions of two ordinary roles and of a superuser on a server of the test's own."""

    server: Server
    greedy: Connection
    other: Connection
    superuser: Connection
    #: closes the other sessions
    sessions: ExitStack

    def limit(self, role: str, **settings: str | int) -> Connection:
        """Set limits of a role, in units as SET takes them, and return a new session of it."""
        for name, value in settings.items():
            self.superuser.execute(
                sql.SQL("ALTER ROLE {} SET {} = {}").format(
                    sql.Identifier(role), sql.SQL(f"pg_background.{name}"), sql.Literal(value)
                )
            )
        return self.session(role)

    def session(self, role: str, dbname: str = "postgres") -> Connection:
        """Return a session of a role."""
        session = self.server.connect(dbname, user=role)
        self.sessions.callback(session.close)
        return session


class MakeTenants(Protocol):
    """Starts the server."""

    def __call__(self, settings: Settings | None = None) -> Tenants:
        """Return sessions on a server with these settings beside those that make everything scarce."""


@pytest.fixture
def make_tenants(fresh_server: FreshServer) -> Iterator[MakeTenants]:
    """Starts a server with roles `greedy` and `other`, which may use the extension."""
    with ExitStack() as sessions:

        def make(settings: Settings | None = None) -> Tenants:
            server = fresh_server(
                {"max_worker_processes": 8, "pg_background.max_jobs": 32, "pg_background.reserved_jobs": 4}
                | dict(settings or {})
            )
            for role in ("greedy", "other"):
                server.execute(f"CREATE ROLE {role} LOGIN IN ROLE pgbackground_role")
            opened = [server.connect(user=role) for role in ("greedy", "other")] + [server.connect()]
            for session in opened:
                sessions.callback(session.close)
            return Tenants(server, opened[0], opened[1], opened[2], sessions)

        yield make


def until_refused(start: Callable[[], Handle], *, most: int = 1000) -> tuple[list[Handle], psycopg.Error]:
    """Start jobs until that is refused; return those that were accepted and the refusal."""
    handles: list[Handle] = []
    for _ in range(most):
        try:
            handles.append(start())
        except psycopg.Error as refusal:
            return handles, refusal
    raise AssertionError(f"{most} jobs were accepted")


def told(error: psycopg.Error) -> str:
    """Return all that an error says."""
    fields = (error.diag.message_primary, error.diag.message_detail, error.diag.message_hint)
    return "\n".join(field for field in fields if field)
