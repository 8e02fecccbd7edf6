"""The app inside of others: Starlette and FastAPI mount it so, and Django's ASGI file may."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from .conftest import PASSWORD, MakeVisitor, MakeWeb, Someone

ADDRESSES = re.compile(r'(?:src|href|action|data-live|data-charts|data-points)="([^"#][^"]*)"')

PAGES = ("jobs", "charts", "totals", "history", "server", "jobs?state=error&page=2")


def by_starlette(app: Any) -> Any:
    """Mount it as Starlette and FastAPI do."""
    other = Route("/", lambda _: PlainTextResponse("the site"))
    return Starlette(routes=[Mount("/in/side", app), other])


def by_hand(app: Any) -> Any:
    """Mount it as docs/web-page.md tells for Django."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/in/side/"):
            await app({**scope, "root_path": "/in/side"}, receive, send)
        else:
            await PlainTextResponse("the site")(scope, receive, send)

    return application


@pytest.mark.parametrize("mount", [by_starlette, by_hand])
async def test_all_addresses_are_below_the_mount(
    make_web: MakeWeb, make_visitor: MakeVisitor, someone: Someone, mount: Any
) -> None:
    visitor = make_visitor(mount(make_web(allow_actions=True)), "/in/side")
    assert (await visitor.client.get("/")).text == "the site"
    answer = await visitor.get("/")
    assert answer.headers["location"] == "/in/side/sign-in?server=server"
    answer = await visitor.sign_in(someone(), PASSWORD)
    assert answer.headers["location"] == "/in/side/s/server/jobs"
    assert "Path=/in/side/;" in answer.headers["set-cookie"] + ";"
    asked: set[str] = set()
    for page in PAGES:
        for address in ADDRESSES.findall(await visitor.text(f"/s/server/{page}")):
            assert address.startswith("/in/side/"), address
            plain = address.replace("&amp;", "&")
            if "/live/" not in plain and plain not in asked:
                asked.add(plain)
                # A form's address takes no GET: it is there all the same.
                assert (await visitor.client.get(plain)).status_code in (200, 303, 405), plain
    async with visitor.stream("/s/server/live/jobs") as stream:
        assert (await stream.start())["status"] == 200
    assert (await visitor.post("/sign-out")).headers["location"] == "/in/side/"
