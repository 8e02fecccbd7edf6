"""Debian's Chromium, by Playwright; and axe-core, which looks whether everybody can use a page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import Any

from playwright.sync_api import ConsoleMessage, Page, expect, sync_playwright

from ..support.waiting import DEADLINE

CHROMIUM = Path("/usr/bin/chromium")

_AXE = (files("axe_playwright_python") / "axe.min.js").read_text()

_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


class Browser:
    """Opens pages; all that a page says on its console that is not good fails the test."""

    def __enter__(self) -> Browser:
        expect.set_options(timeout=1000 * DEADLINE)
        self._playwright = sync_playwright().start()
        self._browser = self._playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._browser.close()
        self._playwright.stop()

    @contextmanager
    def page(self, *, expects_errors: bool = False, **options: Any) -> Iterator[Page]:
        """Open a page with cookies of its own, for the block.

        Args:
            expects_errors: whether the browser may complain, as of an answer with an error.
        """
        said: list[str] = []

        def listen(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning"):
                said.append(message.text)

        with self._browser.new_context(**options) as context:
            context.set_default_timeout(1000 * DEADLINE)
            page = context.new_page()
            page.on("console", listen)
            page.on("pageerror", lambda error: said.append(str(error)))
            page.on("dialog", lambda dialog: said.append(f"a dialog: {dialog.message}"))
            yield page
        assert expects_errors or not said


def faults(page: Page, *, contrast_only: bool = False) -> list[str]:
    """Return what keeps people from using the page.

    Args:
        contrast_only: the rest was looked at in other colours.
    """
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(_AXE)
    rules = {"type": "rule", "values": ["color-contrast"]} if contrast_only else _RULES
    options = {"runOnly": rules, "resultTypes": ["violations"]}
    found = page.evaluate("options => axe.run(document, options)", options)
    return [
        f"{violation['id']}: {node['html'][:200]}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]
