"""The app: its addresses, and what is said where something is refused."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ..watching import SourceError
from . import actions, entrance, stream
from .guard import Guard
from .pages import VIEWS, View
from .rendering import page
from .site import Gone, NotSignedIn, Site, Visit
from .static import static
from .targets import Target, targets_of


class WebApp:
    """An ASGI app, to be served or mounted; close it with `aclose` where its lifespan is not run."""

    def __init__(self, site: Site, guard: Guard) -> None:
        self.site = site
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await self._guard(scope, receive, send)

    async def aclose(self) -> None:
        """End live views, sign everybody out, and close all connections."""
        await self.site.close()


def create_app(
    servers: str | Mapping[str, str] | Sequence[Target],
    *,
    allow_actions: bool = False,
    own_key: str | None = None,
    hosts: Collection[str] | None = None,
    origin: str | None = None,
    cookie: str = "pg_background",
) -> WebApp:
    """Make the page of one or many servers.

    Args:
        servers: a connection string of libpq's, several by name, or targets. Who looks at the page signs in
            with a role and a password; the string's own user and password are used through `own_key` alone.
        allow_actions: jobs can be canceled, detached and launched again, and servers drained, by who may.
        own_key: the address `enter?key=…` lets in as whom the connection strings mean. A secret, and only for
            a page that nobody else reaches.
        hosts: names by which browsers may call the page; None leaves that to whoever mounts the app.
        origin: `https://host` that browsers see, if what stands before the app changes the host.
        cookie: the name of its cookie; another one for a second page on the same host.

    Raises:
        ValueError: a server's name can't be a part of an address.
    """
    site = Site(
        targets_of(servers),
        allow_actions,
        cookie,
        own_key=own_key,
        is_secure=(origin or "").startswith("https:"),
    )
    app = Starlette(routes=_routes(), exception_handlers=_HANDLERS, lifespan=_lifespan)
    app.state.site = site
    return WebApp(site, Guard(app, hosts=hosts, origin=origin))


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    yield
    await app.state.site.close()


def _routes() -> list[Route]:
    routes = [
        Route("/", entrance.home),
        Route("/sign-in", entrance.sign_in),
        Route("/sign-in", entrance.signed_in, methods=["POST"]),
        Route("/sign-out", entrance.sign_out, methods=["POST"]),
        Route("/enter", entrance.enter),
        Route("/static/{name:path}", static),
        Route("/s/{server}/charts/data", stream.chart_data),
        Route("/s/{server}/live/charts", stream.chart_points),
        Route("/s/{server}/drain", actions.drain, methods=["POST"]),
        Route("/s/{server}/resume", actions.resume, methods=["POST"]),
        Route("/s/{server}/jobs/{key}/again", actions.again),
        Route("/s/{server}/jobs/{key}/{action}", actions.on_job, methods=["POST"]),
    ]
    for view in VIEWS:
        routes.append(Route(f"/s/{{server}}/{view.path}", _shown(view)))
        if view.is_live:
            routes.append(Route(f"/s/{{server}}/live/{view.path}", functools.partial(stream.live, view)))
    routes.append(Route("/s/{server}", _to_jobs))
    return routes


def _shown(view: View) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        visit = Visit(request)
        live = ""
        if view.is_live:
            path = view.path.replace("{key}", str(request.path_params.get("key", "")))
            query = request.url.query
            live = visit.links.live(visit.server, path, f"?{query}" if query else "")
        context = {"title": view.title, "tab": view.tab, "live_address": live}
        return page(f"{view.name}.html", visit, context | await view.make(visit))

    return endpoint


async def _to_jobs(request: Request) -> Response:
    visit = Visit(request)
    return RedirectResponse(visit.links.page(visit.known_server().name, "jobs"), 303)


# ---- what is not as it should be


async def _not_signed_in(request: Request, _: Exception) -> Response:
    visit = Visit(request)
    if request.method == "GET" and "/live/" not in request.url.path:
        return RedirectResponse(visit.links.sign_in(visit.server, visit.address), 303)
    return _told(request, 401, "You are not signed in, or not any more.")


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    response = _told(request, error.status_code, error.detail)
    response.headers.update(error.headers or {})
    return response


async def _no_answer(request: Request, error: Exception) -> Response:
    return _told(request, 404 if isinstance(error, Gone) else 503, str(error))


def _told(request: Request, status: int, text: str) -> Response:
    if "/live/" in request.url.path or request.url.path.endswith("/data"):
        return PlainTextResponse(text, status)
    visit = Visit(request)
    server = visit.server if visit.server in visit.site.targets else ""
    return page("trouble.html", visit, {"title": "Not to be had", "text": text, "about": server}, status)


_HANDLERS = {
    NotSignedIn: _not_signed_in,
    HTTPException: _refused,
    SourceError: _no_answer,
}
