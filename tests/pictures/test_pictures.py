"""What the screens of the documentation show; `make pictures` keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pg_background.top import ServerSource, TopApp

from ..support.fix_cli import Cli, OnPlace
from ..support.screens import shows
from .album import drawn, keep, keep_drawing
from .conftest import Shop

if TYPE_CHECKING:
    from playwright.sync_api import Page

# They are of the newest catalogue alone.
pytestmark = pytest.mark.pg("== 18")

#: Columns and lines of the terminals.
SIZE = (110, 14)


def test_list_of_jobs(cli: Cli, shop: Shop) -> None:
    bg = OnPlace(cli, shop.dsn(user="reporting"))
    done = bg.on_terminal("ps", "--all", size=SIZE, TERM="xterm-256color", COLORTERM="truecolor")
    assert done.code == 0
    for text in ("forecast", "stock-taking", " by ", "nightly totals", "invalid input"):
        assert text.lower() in done.output.lower()
    keep_drawing("ps.svg", drawn("pg-background ps --all", done.output, columns=SIZE[0]))


async def test_top(shop: Shop) -> None:
    # By TCP: the path of a socket is this machine's own.
    app = TopApp(ServerSource(shop.dsn(host="localhost", user="web", password="web")), interval=0.2)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("a")
        await shows(pilot, app, lambda text: "forecast" in text and " 40%" in text and "import" in text)
        keep_drawing("top.svg", app.export_screenshot(title="pg-background top"))


def test_web_page(shop: Shop) -> None:
    browser = pytest.importorskip("playwright.sync_api", reason="no Playwright here")
    from ..web.browser import CHROMIUM, Browser
    from ..web.served import Served

    if not CHROMIUM.exists():
        pytest.skip("no browser here: Debian's package chromium")
    served = Served(shop.dsn(host="127.0.0.1"))
    try:
        with Browser() as chromium:
            with chromium.page(viewport={"width": 1280, "height": 720}) as page:
                sign_in(page, served.address)
                browser.expect(page.get_by_role("link", name="forecast")).to_be_visible()
                browser.expect(page.get_by_role("link", name="stock-taking")).to_be_visible()
                keep("web-jobs.png", page.screenshot())
                page.get_by_role("link", name="stock-taking").click()
                browser.expect(page.get_by_role("heading", level=1)).to_have_text("stock-taking")
                keep("web-job.png", page.screenshot())
            with chromium.page(viewport={"width": 390, "height": 844}) as page:
                sign_in(page, served.address)
                browser.expect(page.get_by_role("link", name="forecast")).to_be_visible()
                keep("web-phone.png", page.screenshot())
    finally:
        served.stop()


def sign_in(page: Page, address: str) -> None:
    """Sign in as the role that sees all jobs."""
    page.goto(address)
    page.get_by_label("Role").fill("web")
    page.get_by_label("Password").fill("web")
    page.keyboard.press("Enter")
