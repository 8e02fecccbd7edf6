"""A database of its own for each test, with the extension in it, and sessions on it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from itertools import count
from typing import Any, Protocol

import psycopg
import pytest
from psycopg import sql

from .fix_schema import Place
from .server import Server

Connection = psycopg.Connection[tuple[Any, ...]]

_TEMPLATE = "template_pg_background"

_numbers = count(1)


class Connect(Protocol):
    """Opens sessions that are closed at the test's end."""

    def __call__(
        self, dbname: str | None = None, *, autocommit: bool = True, **parameters: str | int
    ) -> Connection:
        """Open a session on the test's database or another; `parameters` are libpq's, such as user."""


class MakeRole(Protocol):
    """Creates roles that are dropped at the test's end."""

    def __call__(self, attributes: str = "LOGIN", *, member_of: tuple[str, ...] = ()) -> str:
        """Create a role and return its name, which needs no quotes and is unused before."""


@pytest.fixture(scope="session")
def template(server: Server, extension_place: Place) -> str:
    """The name of a database with the extension, to be copied."""
    server.execute(f"CREATE DATABASE {_TEMPLATE}")
    server.execute("CREATE EXTENSION pg_background", _TEMPLATE)
    extension_place.move(server, _TEMPLATE)
    return _TEMPLATE


@pytest.fixture
def make_role(server: Server) -> Iterator[MakeRole]:
    """Creates roles for the test."""
    made: list[str] = []

    def make(attributes: str = "LOGIN", *, member_of: tuple[str, ...] = ()) -> str:
        name = f"role_{next(_numbers)}"
        server.execute(f"CREATE ROLE {name} {attributes}")
        made.append(name)
        for group in member_of:
            server.execute(f"GRANT {group} TO {name}")
        return name

    yield make
    server.wait_ready()
    for name in made:
        server.execute(f"DROP ROLE IF EXISTS {name}")


def _detach_all(server: Server, dbname: str) -> None:
    """Leave no unread result to later tests.

    The system uses pids again, and then a handle that is unknown there is taken for a stale one of this job.
    """
    # The test may have made the database, or the extension in it, unreachable.
    with suppress(psycopg.Error), server.connect(dbname) as conn:
        for job in conn.execute(
            "SELECT pid, cookie FROM pg_background_jobs WHERE database = current_database()"
        ):
            with suppress(psycopg.Error):
                conn.execute("SELECT pg_background_detach(%s, %s)", job)


@pytest.fixture
def make_db(make_role: MakeRole, server: Server, template: str) -> Iterator[Callable[[str], str]]:
    """Creates databases for the test; they are dropped before its roles, which may own parts of them."""
    made: list[str] = []

    def make(title: str) -> str:
        plain = re.sub(r"\W+", "_", title)[:50]
        name = f"{plain}_{next(_numbers)}"
        with server.connect() as conn:
            conn.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                    sql.Identifier(name), sql.Identifier(template)
                )
            )
        made.append(name)
        return name

    yield make
    server.wait_ready()
    for name in made:
        _detach_all(server, name)
    with server.connect() as conn:
        for name in made:
            conn.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def db(make_db: Callable[[str], str], request: pytest.FixtureRequest) -> str:
    """The name of the test's database."""
    return make_db(request.node.name)


@pytest.fixture
def connect(server: Server, db: str) -> Iterator[Connect]:
    """Opens sessions on the test's database."""
    with ExitStack() as stack:

        def open_session(
            dbname: str | None = None, *, autocommit: bool = True, **parameters: str | int
        ) -> Connection:
            session = server.connect(dbname or db, autocommit=autocommit, **parameters)
            # Not as a context manager: that would raise again what a test broke on purpose.
            stack.callback(session.close)
            return session

        yield open_session


@pytest.fixture
def conn(connect: Connect) -> Connection:
    """A session on the test's database, as superuser, in autocommit mode."""
    return connect()
