"""A server that has jobs to show: one that goes on, one that is held up, and some that have ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from ..support.fix_db import Connection
from ..support.fix_server import FreshServer
from ..support.jobs import launch, wait
from ..support.server import Server
from ..support.waiting import wait_until_sql

if TYPE_CHECKING:
    from playwright.sync_api import Page

OpenPage = Callable[..., AbstractContextManager["Page"]]

_FORECAST = "SELECT pg_background_progress(40, '40 of 100 regions'), pg_sleep(3600)"


@dataclass(frozen=True)
class Shop:
    """The server, and where its jobs are."""

    server: Server
    database: str

    def dsn(self, **parameters: str) -> str:
        """How a role reaches it."""
        return self.server.dsn(self.database, **parameters)


@pytest.fixture
def shop(fresh_server: FreshServer) -> Iterator[Shop]:
    """It; nothing of the tests' own is seen in a picture of it."""
    server = fresh_server({"pg_background.history": "on", "pg_background.max_workers": "4"})
    server.execute("CREATE DATABASE shop")
    server.execute("CREATE EXTENSION pg_background", "shop")
    server.execute("CREATE ROLE reporting LOGIN IN ROLE pgbackground_role", "shop")
    server.execute("CREATE ROLE web LOGIN PASSWORD 'web' IN ROLE pgbackground_role, pg_monitor", "shop")
    server.execute("CREATE TABLE stock (pieces int); GRANT ALL ON stock TO reporting", "shop")
    with server.connect("shop", user="reporting") as session, server.connect("shop") as holder:
        _start_jobs(session, holder)
        yield Shop(server, "shop")


def _start_jobs(session: Connection, holder: Connection) -> None:
    for label, sql in (
        ("nightly totals", "CREATE TEMP TABLE totals AS SELECT generate_series(1, 20000) AS n"),
        ("import", "INSERT INTO stock VALUES ('12 pieces')"),
        ("delivery", "INSERT INTO stock SELECT generate_series(1, 5000)"),
    ):
        assert wait(session, launch(session, sql, label=label))
    holder.execute("BEGIN")
    holder.execute("LOCK TABLE stock")
    launch(session, _FORECAST, label="forecast")
    launch(session, "UPDATE stock SET pieces = pieces - 1", label="stock-taking")
    # By the session that nobody is blocked by.
    is_held = "SELECT count(*) FROM pg_background_jobs WHERE wait_event_type = 'Lock'"
    wait_until_sql(session, is_held, expected=1)
    wait_until_sql(session, "SELECT count(*) FROM pg_background_jobs WHERE progress_pct = 40", expected=1)


# Not for longer: its event loop runs as long as it is there, and other tests have their own.
@pytest.fixture
def open_page() -> Iterator[OpenPage]:
    """Opens pages of a browser, sharp enough for screens with small pixels."""
    pytest.importorskip("playwright.sync_api", reason="no Playwright here")
    from ..web.browser import CHROMIUM, Browser

    if not CHROMIUM.exists():
        pytest.skip("no browser here: Debian's package chromium")

    with Browser() as chromium:
        yield lambda **options: chromium.page(device_scale_factor=2, **options)
