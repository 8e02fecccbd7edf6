"""A server on which the catalogues of the C extension can be made, as `tests/support/catalogues` has them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Protocol

import psycopg
import pytest

from pg_background.server import Build

from .fix_crash import watch
from .fix_db import Connection
from .fix_server import FreshServer
from .server import Server

CATALOGUES = Path(__file__).parent / "catalogues"

#: The versions from which servers switch.
OLD = ("1.8", "2.0")

#: In which the functions may be called as in the old ones: those, the updated ones, and a new one.
ALL = (*OLD, *(f"{version} updated" for version in OLD), "3.0")

_numbers = count(1)


class SwitchDb(Protocol):
    """Makes databases that are dropped at the test's end."""

    def __call__(self, catalogue: str, *, schema: str = "public") -> str:
        """Return the name of a new database with one of these catalogues.

        Args:
            catalogue: a version, or `1.8 updated` for one that was updated from there.
            schema: where the extension is.
        """


class SwitchConnect(Protocol):
    """Opens sessions that are closed at the test's end."""

    def __call__(self, db: str, **parameters: str) -> Connection:
        """Open a session in autocommit mode; `parameters` are libpq's, such as user."""


@pytest.fixture(scope="session")
def switch_cluster(fresh_cluster: FreshServer, extension: Build) -> Server:
    """A server whose extension folder has install scripts of the old versions too."""
    scripts = (*extension.scripts, *sorted(CATALOGUES.glob("*.sql")))
    return fresh_cluster(extension=replace(extension, scripts=scripts))


@pytest.fixture
def switch_server(switch_cluster: Server, request: pytest.FixtureRequest) -> Server:
    """The same, watched for crashes during the test."""
    watch(request, switch_cluster, switch_cluster.log.mark())
    return switch_cluster


@pytest.fixture(scope="session")
def switch_templates(switch_cluster: Server) -> Callable[[str], str]:
    """Gives the name of a database with a catalogue, to be copied."""
    made: dict[str, str] = {}

    def template(catalogue: str) -> str:
        if catalogue not in made:
            name = "template_" + re.sub(r"\W", "_", catalogue)
            version, _, updated = catalogue.partition(" ")
            switch_cluster.execute(f"CREATE DATABASE {name}")
            switch_cluster.execute(f"CREATE EXTENSION pg_background VERSION '{version}'", name)
            if updated:
                switch_cluster.execute("ALTER EXTENSION pg_background UPDATE", name)
            made[catalogue] = name
        return made[catalogue]

    return template


@pytest.fixture
def switch_db(switch_server: Server, switch_templates: Callable[[str], str]) -> Iterator[SwitchDb]:
    """Makes databases with an old, an updated or a new catalogue."""
    made: list[str] = []

    def make(catalogue: str, *, schema: str = "public") -> str:
        name = f"switch_{next(_numbers)}"
        if schema == "public":
            switch_server.execute(f"CREATE DATABASE {name} TEMPLATE {switch_templates(catalogue)}")
        else:
            switch_server.execute(f"CREATE DATABASE {name}")
            switch_server.execute(f"CREATE SCHEMA {schema}", name)
            switch_server.execute(
                f"CREATE EXTENSION pg_background SCHEMA {schema} VERSION '{catalogue}'", name
            )
        made.append(name)
        return name

    yield make
    switch_server.wait_ready()
    for name in made:
        switch_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def switch_connect(switch_server: Server) -> Iterator[SwitchConnect]:
    """Opens sessions on that server."""
    with ExitStack() as stack:

        def open_session(db: str, **parameters: str) -> Connection:
            session = psycopg.connect(switch_server.dsn(db, **parameters), autocommit=True)
            stack.callback(session.close)
            return session

        yield open_session
