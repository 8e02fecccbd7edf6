"""The web page without a browser, and in one where there is one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from ..support.fix_db import Connection, MakeRole
from ..support.server import Server

if TYPE_CHECKING or find_spec("starlette"):
    from pg_background.web import WebApp, create_app

    from .browser import CHROMIUM, Browser
    from .served import Served
    from .visitor import Visitor
else:
    # It needs Python 3.11.
    collect_ignore_glob = ["test_*.py"]

PASSWORD = "correct horse"

HOST = "page.test"

MakeWeb = Callable[..., Any]
MakeVisitor = Callable[..., "Visitor"]
MakeServed = Callable[..., "Served"]
Someone = Callable[..., str]
SessionOf = Callable[[str], Connection]


@pytest.fixture
def tcp(server: Server, clients_database: str) -> str:
    """How the page reaches the tests' database: where the server asks for passwords."""
    return server.dsn(clients_database, host="127.0.0.1")


@pytest_asyncio.fixture
async def make_web(tcp: str) -> AsyncIterator[MakeWeb]:
    """Makes pages that are closed at the test's end."""
    made: list[WebApp] = []

    def make(servers: Any = tcp, **options: Any) -> WebApp:
        made.append(create_app(servers, hosts={HOST}, **options))
        return made[-1]

    yield make
    for app in made:
        await app.aclose()


@pytest_asyncio.fixture
async def make_visitor(make_role: MakeRole) -> AsyncIterator[MakeVisitor]:
    """Makes visitors of a page, who have signed in to nothing yet."""
    made: list[Visitor] = []

    def make(app: WebApp, root: str = "") -> Visitor:
        made.append(Visitor(app, f"http://{HOST}", root))
        return made[-1]

    yield make
    for visitor in made:
        await visitor.close()


@pytest.fixture
def someone(make_role: MakeRole) -> Someone:
    """Makes roles with that password, who may use the extension."""

    def make(*groups: str, attributes: str = "") -> str:
        return make_role(
            f"LOGIN PASSWORD '{PASSWORD}' {attributes}", member_of=groups or ("pgbackground_role",)
        )

    return make


@pytest.fixture
def session_of(server: Server, clients_database: str, make_role: MakeRole) -> Iterator[SessionOf]:
    """Opens sessions of roles beside the page; their jobs are forgotten at the test's end."""
    made: list[Connection] = []

    def session(role: str) -> Connection:
        options = f"-c search_path={server.search_path}"
        made.append(server.connect(clients_database, user=role, options=options))
        return made[-1]

    yield session
    for each in made:
        each.execute("SELECT pg_background_cancel_all()")
        each.execute("SELECT pg_background_detach_all()")
        each.close()


# Not for longer: its event loop runs as long as it is there, and other tests have their own.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser."""
    if not CHROMIUM.exists():
        pytest.skip("no browser here: Debian's package chromium")
    with Browser() as browser:
        yield browser


@pytest.fixture
def served(tcp: str, make_role: MakeRole) -> Iterator[MakeServed]:
    """Serves pages on ports of their own, beside the test."""
    made: list[Served] = []

    def serve(servers: Any = tcp, **options: Any) -> Served:
        made.append(Served(servers, **options))
        return made[-1]

    yield serve
    for each in made:
        each.stop()
