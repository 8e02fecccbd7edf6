"""What the terminals of the documentation show; `make pictures` keeps them."""

from __future__ import annotations

import pytest

from pg_background.top import ServerSource, TopApp

from ..support.fix_cli import Cli, OnPlace
from ..support.screens import shows
from .album import drawn, keep_drawing
from .conftest import Shop

# They are of the newest catalogue alone.
pytestmark = pytest.mark.pg("== 18")

#: Columns and lines.
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
