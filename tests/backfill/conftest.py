"""Clients of the test's own database, as a backfill's state is looked up in all of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from pg_background import AsyncClient, Client

from ..support.server import Server


@pytest.fixture
def client(server: Server, db: str) -> Iterator[Client[Any]]:
    """A client with a connection of its own, as superuser."""
    with Client.connect(server.dsn(db)) as made:
        yield made


@pytest_asyncio.fixture
async def aclient(server: Server, db: str) -> AsyncIterator[AsyncClient[Any]]:
    """Its asynchronous twin."""
    async with await AsyncClient.connect(server.dsn(db)) as made:
        yield made
