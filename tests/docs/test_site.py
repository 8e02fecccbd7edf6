"""The documentation site: nothing leads nowhere, all is described, and it is for every width."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import pg_background

from .site import HtmlPage, described_names, made_site, pages_of

if TYPE_CHECKING:
    from playwright.sync_api import Request

    from ..web.browser import Browser

#: What other packages import beside pg_background itself.
_MODULES = (
    "pg_background.ext.otel",
    "pg_background.ext.sqlalchemy",
    "pg_background.server",
    "pg_background.web",
)
_FUNCTIONS = {
    "pg_background.ext.alembic.create_index_concurrently",
    "pg_background.ext.django.PgBackgroundBackend",
    "pg_background.pytest_plugin.pg_background_client",
}

#: Of a phone, a tablet and a screen.
_WIDTHS = (390, 820, 1440)

#: The theme would let the text scroll sideways where the page does not.
_FITS = """() => [document.documentElement, document.querySelector(".content")]
  .every(part => part.scrollWidth <= part.clientWidth)"""


@pytest.fixture(scope="module")
def site() -> Path:
    """The folder of the site."""
    folder = made_site(pg_background.__version__)
    if folder is None:
        pytest.skip("there is no site of the pages as they are: make docs")
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, HtmlPage]:
    """All its pages, by their files."""
    return pages_of(site)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser."""
    pytest.importorskip("playwright.sync_api", reason="no Playwright here")
    from ..web.browser import CHROMIUM, Browser

    if not CHROMIUM.exists():
        pytest.skip("no browser here: Debian's package chromium")
    with Browser() as chromium:
        yield chromium


def test_every_link_leads_somewhere(site: Path, pages: dict[Path, HtmlPage]) -> None:
    dead = [
        f"{path.relative_to(site.resolve())}: {link}"
        for path, page in pages.items()
        for link, target, place in page.leads_to()
        if not target.exists() or (place and target in pages and place not in pages[target].ids)
    ]
    assert dead == []


def test_every_picture_says_what_it_shows(pages: dict[Path, HtmlPage]) -> None:
    assert [page.path for page in pages.values() if page.pictures_without_words] == []


def test_all_of_the_python_api_is_described(site: Path) -> None:
    public = {f"pg_background.{name}" for name in pg_background.__all__ if name != "__version__"} | _FUNCTIONS
    for name in _MODULES:
        public |= {f"{name}.{part}" for part in importlib.import_module(name).__all__}
    assert public - described_names(site) == set()


def test_no_page_is_wider_than_its_window(site: Path, browser: Browser) -> None:
    """What is wide in it scrolls by itself; and nothing is fetched from elsewhere."""
    fetched: list[str] = []

    def look(request: Request) -> None:
        if not request.url.startswith(("file:", "data:")):
            fetched.append(request.url)

    wide = []
    with browser.page() as page:
        page.on("request", look)
        folders = ("docs", "docs/reference", "docs/explanation")
        for path in [
            site / "README.html",
            *(page for folder in folders for page in site.glob(f"{folder}/*.html")),
        ]:
            page.goto(path.as_uri(), wait_until="domcontentloaded")
            for width in _WIDTHS:
                page.set_viewport_size({"width": width, "height": 900})
                if not page.evaluate(_FITS):
                    wide.append(f"{path.relative_to(site)}: {width}")
    assert wide == []
    assert fetched == []


@pytest.mark.parametrize(("words", "page_title"), [("throttled", "Backfills"), ("42704", "Reference")])
def test_search_without_a_server(site: Path, browser: Browser, words: str, page_title: str) -> None:
    # It says that no excerpts come from files; the results are there without them.
    with browser.page(expects_errors=True) as page:
        page.goto((site / "docs" / "index.html").as_uri())
        page.get_by_placeholder("Search").fill(words)
        page.keyboard.press("Enter")
        page.locator("#search-results").get_by_role("link", name=page_title, exact=True).first.click()
        page.get_by_role("heading", level=1, name=page_title).wait_for()
