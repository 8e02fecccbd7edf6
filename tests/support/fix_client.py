"""Clients, and a schema of its own for each of their tests in a database that they share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from itertools import count
from urllib.parse import urlencode

import pytest
import pytest_asyncio
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import TupleRow

from pg_background import AsyncClient, Client

from .fix_db import Connection
from .server import Server

_numbers = count(1)


@dataclass(frozen=True)
class Place:
    """Where a test's clients work: what they create without naming a schema is the test's own."""

    server: Server
    database: str
    schema: str

    def dsn(self, **parameters: str | int) -> str:
        """Return a connection string; `parameters` are libpq's."""
        return self.server.dsn(self.database, options=self._options, **parameters)

    def url(self, scheme: str) -> str:
        """Return the same as a URL."""
        parts = conninfo_to_dict(self.dsn())
        database = parts.pop("dbname")
        return f"{scheme}:///{database}?{urlencode(parts)}"

    @property
    def _options(self) -> str:
        return f"-c search_path={self.schema},{self.server.search_path}"


@pytest.fixture(scope="session")
def clients_database(server: Server, template: str) -> str:
    """The name of a database with the extension."""
    server.execute(f"CREATE DATABASE clients TEMPLATE {template}")
    return "clients"


@pytest.fixture
def place(server: Server, clients_database: str) -> Place:
    """A new schema in it."""
    made = Place(server, clients_database, f"place_{next(_numbers)}")
    server.execute(f"CREATE SCHEMA {made.schema}", clients_database)
    return made


@pytest.fixture
def side(place: Place) -> Iterator[Connection]:
    """A session beside the clients, as superuser, in autocommit mode."""
    with place.server.connect(
        place.database, options=f"-c search_path={place.schema},{place.server.search_path}"
    ) as made:
        yield made


@pytest.fixture
def client(place: Place) -> Iterator[Client[TupleRow]]:
    """A client with a connection of its own, as superuser."""
    with Client.connect(place.dsn()) as made:
        yield made


@pytest_asyncio.fixture
async def aclient(place: Place) -> AsyncIterator[AsyncClient[TupleRow]]:
    """Its asynchronous twin."""
    async with await AsyncClient.connect(place.dsn()) as made:
        yield made
