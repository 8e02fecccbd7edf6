"""Databases of other encodings than UTF8."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

import pytest

from .calls import query
from .fix_db import Connect, Connection
from .server import Server

OpenIn = Callable[[str], Connection]

_numbers = count(1)


@pytest.fixture
def open_in(server: Server, connect: Connect) -> Iterator[OpenIn]:
    """Opens a session on a new database of an encoding, which is dropped at the test's end."""
    made: list[str] = []

    def make(encoding: str) -> Connection:
        name = f"{encoding.lower()}_{next(_numbers)}"
        server.execute(
            f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'"
        )
        made.append(name)
        # Of SQL_ASCII psycopg takes texts for bytes; what UTF8 sends there is not looked at.
        conn = connect(name, client_encoding="UTF8")
        query(conn, "CREATE EXTENSION pg_background")
        return conn

    yield make
    for name in made:
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")
