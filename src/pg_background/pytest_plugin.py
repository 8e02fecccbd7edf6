"""Fixtures for tests of code that uses pg_background; pytest finds them once the package is installed.

```python
def test_report(pg_background_client):
    assert pg_background_client.run("SELECT 1").value() == 1
```

The extension is built and the server started when the first test asks for it; both need
`pip install 'pg_background[server]'`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from itertools import count
from typing import TYPE_CHECKING

import pytest

# The rest is imported when it is used: every run of pytest loads this file.
if TYPE_CHECKING:
    from psycopg.rows import TupleRow

    from .client.client import Client
    from .server import TemporaryServer

_TEMPLATE = "template_pg_background"

_numbers = count(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add our option to pytest's."""
    parser.getgroup("pg_background").addoption(
        "--pg-background-pg-config",
        metavar="PATH",
        default=os.environ.get("PG_BACKGROUND_PG_CONFIG"),
        help="pg_config of the PostgreSQL that the pg_background fixtures run "
        "[env PG_BACKGROUND_PG_CONFIG, default: the embedded one]",
    )


@pytest.fixture(scope="session")
def pg_background_settings() -> Mapping[str, str]:
    """Configuration of the server, as in postgresql.conf; override this fixture to give some."""
    return {}


@pytest.fixture(scope="session")
def pg_background_server(
    request: pytest.FixtureRequest, pg_background_settings: Mapping[str, str]
) -> Iterator[TemporaryServer]:
    """A server for all tests of the session; its database `postgres` has the extension."""
    from .server import ServerError, TemporaryServer

    server = TemporaryServer(
        pg_config=request.config.getoption("--pg-background-pg-config"), settings=pg_background_settings
    )
    with ExitStack() as stack:
        try:
            stack.enter_context(server)
        except ServerError as error:
            # What is wrong and what to do is in the message; where it was raised helps nobody.
            pytest.fail(str(error), pytrace=False)
        yield server


@pytest.fixture(scope="session")
def pg_background_template(pg_background_server: TemporaryServer) -> str:
    """The name of the database that each test gets a copy of.

    Override this fixture to have your schema in it: connect to `pg_background_server.dsn(name)`, create what
    you need, disconnect and return the name.
    """
    import psycopg

    with psycopg.connect(pg_background_server.dsn(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {_TEMPLATE}")
    pg_background_server.cluster.create_extension(_TEMPLATE)
    return _TEMPLATE


@pytest.fixture
def pg_background_dsn(pg_background_server: TemporaryServer, pg_background_template: str) -> Iterator[str]:
    """The URI of a database of the test's own, as superuser; sessions that are left on it are ended."""
    import psycopg
    from psycopg import sql

    name = f"test_{next(_numbers)}"
    template = sql.Identifier(pg_background_template)
    with psycopg.connect(pg_background_server.dsn(), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), template))
    yield pg_background_server.dsn(name)
    with psycopg.connect(pg_background_server.dsn(), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def pg_background_client(pg_background_dsn: str) -> Iterator[Client[TupleRow]]:
    """A client on the test's own database, as superuser; it is closed after the test."""
    from .client.client import Client

    with Client.connect(pg_background_dsn) as client:
        yield client
