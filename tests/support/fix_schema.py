"""`--schema`: the same tests with the extension in a schema of its own, and look-alikes in public.

What tests call without a schema is found by the search_path of the server's configuration, which names that
schema before public. Look-alikes that fit better than what tests themselves use are for `test_any_schema`.
"""

from __future__ import annotations

import os

import psycopg
import pytest

from . import lookalikes
from .server import Server, Settings

#: As SQL names it: it needs the quotes.
SCHEMA = '"Back-ground"'


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("pg_background").addoption(
        "--schema",
        action="store_true",
        default=os.environ.get("SCHEMA", "") not in ("", "0"),
        help="test with the extension in a schema of its own, among look-alikes [env SCHEMA=1]",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "in_public: is about an extension in the schema public")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.config.getoption("--schema") and item.get_closest_marker("in_public"):
        pytest.skip("the extension is not in public")


class Place:
    """Where the tests' databases have the extension."""

    def __init__(self, schema: str | None) -> None:
        """
        Args:
            schema: None for public, without look-alikes.
        """
        self._schema = schema

    @property
    def settings(self) -> Settings:
        """What the servers' configuration needs."""
        return {"search_path": f'"$user", {self._schema}, public'} if self._schema else {}

    def move(self, server: Server, database: str) -> None:
        """Move the extension of a database there, if it has it."""
        if self._schema is None:
            return
        with psycopg.connect(server.dsn(database), autocommit=True) as conn:
            conn.execute(
                f"CREATE SCHEMA {self._schema}; GRANT USAGE ON SCHEMA {self._schema} TO PUBLIC".encode()
            )
            conn.execute(f"ALTER EXTENSION pg_background SET SCHEMA {self._schema}".encode())
            lookalikes.set_up(conn)
            lookalikes.plant_twins(conn)


@pytest.fixture(scope="session")
def extension_place(request: pytest.FixtureRequest) -> Place:
    """Where the tests' databases have the extension."""
    return Place(SCHEMA if request.config.getoption("--schema") else None)
