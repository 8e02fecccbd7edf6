"""What the web page of the documentation shows; `make pictures` keeps it."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from pg_background import Client

from .album import keep
from .conftest import OpenPage, Shop

pytest.importorskip("playwright.sync_api", reason="no Playwright here")

from playwright.sync_api import expect

from pg_background.web import watcher
from pg_background.web.samples import Samples

from ..support.waiting import wait_until
from ..web.served import Served

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.pg("== 18")

#: Narrow enough for a picture to be read where a page of the documentation shows it.
_VIEWPORT = {"width": 1000, "height": 480}

#: Points of the charts, and seconds from one to the next.
_POINTS, _STEP = 60, 5


@pytest.fixture
def served(shop: Shop) -> Iterator[Served]:
    """The page of that server."""
    made = Served(shop.dsn(host="127.0.0.1"))
    yield made
    made.stop()


def test_jobs(served: Served, open_page: OpenPage) -> None:
    with open_page(viewport=_VIEWPORT) as page:
        sign_in(page, served)
        expect(page.get_by_role("link", name="forecast")).to_be_visible()
        expect(page.get_by_role("link", name="stock-taking")).to_be_visible()
        keep("web-jobs.png", page.screenshot())
        page.get_by_role("link", name="stock-taking").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("stock-taking")
        page.set_viewport_size({"width": 1000, "height": 640})
        keep("web-job.png", page.screenshot())


def test_phone(served: Served, open_page: OpenPage) -> None:
    with open_page(viewport={"width": 390, "height": 700}) as page:
        sign_in(page, served)
        expect(page.get_by_role("link", name="forecast")).to_be_visible()
        keep("web-phone.png", page.screenshot())


@pytest.mark.slow
def test_charts(shop: Shop, served: Served, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    points = _hurry(monkeypatch)
    with open_page(viewport={"width": 1000, "height": 800}) as page:
        sign_in(page, served)
        expect(page.get_by_role("link", name="forecast")).to_be_visible()
        with Client.connect(shop.dsn(user="reporting")) as client:
            _run_jobs(client, points)
        page.get_by_role("link", name="Charts").click()
        for name in ("rates", "states", "run", "queue"):
            expect(page.locator(f"[data-chart={name}] canvas")).to_be_visible()
        expect(page.locator("[data-series=rate_failed] [data-most]")).not_to_have_text("0 /s")
        keep("web-charts.png", page.screenshot())


def sign_in(page: Page, served: Served) -> None:
    """Sign in as the role that sees all jobs."""
    page.goto(served.address)
    page.get_by_label("Role").fill("web")
    page.get_by_label("Password").fill("web")
    page.keyboard.press("Enter")


def _hurry(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Have points follow each other at once, as if there were the usual time between; return their times."""
    times: list[float] = []
    add = Samples.add

    def add_as_if(samples: Samples, time: float, jobs: Any, measured: Any) -> None:
        if len(times) < _POINTS:
            times.append(times[-1] + _STEP if times else time - _STEP * _POINTS)
            add(samples, times[-1], jobs, measured)

    for name in ("INTERVAL", "SLOW"):
        monkeypatch.setattr(watcher, name, 0.05)
    monkeypatch.setattr(Samples, "add", add_as_if)
    return times


def _run_jobs(client: Client[Any], points: list[float]) -> None:
    """Run jobs of all kinds, now more and now less of them from one point to the next."""
    dice = random.Random(7)
    while (point := len(points)) < _POINTS:
        for _ in range(round(10 + 6 * math.sin(point / 8) + dice.randint(0, 6))):
            rows = dice.choice((500, 2_000, 2_000, 40_000))
            divisor = 0 if dice.random() < 0.08 else 1
            query = "SELECT count(*) / %s FROM (SELECT generate_series(1, %s) AS n ORDER BY n DESC) AS piece"
            client.submit(query, [divisor, rows], on_full="queue")
        if dice.random() < 0.6:
            client.submit("SELECT pg_sleep(%s)", [0.4 * dice.random()], on_full="queue")
        wait_until(partial(_are_more, points, point), what="there is another point")


def _are_more(points: list[float], than: int) -> bool:
    return len(points) > than
