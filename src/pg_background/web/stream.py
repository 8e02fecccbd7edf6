"""Live views: what has changed is sent as soon as the poller has seen it, as server-sent events."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from ..watching import SourceError
from .charts import CHARTS, drawn, value_of
from .pages import View
from .pages.charts import points_of
from .rendering import render
from .sessions import STREAMS, Session
from .site import NotSignedIn, Visit
from .watcher import Watcher
from .writing import iso

#: Seconds after which something is sent even without news, so that nobody between takes it for dead.
_SILENCE = 15.0

#: All that charts show.
_DRAWN = [name for chart in CHARTS for name in chart.series]

_HEADERS = {
    "Cache-Control": "no-store",
    # nginx would collect what is sent before it passes it on.
    "X-Accel-Buffering": "no",
}


class _Stream(StreamingResponse):
    """Counts as long as somebody receives it; the events themselves may be left without an end."""

    def __init__(self, visit: Visit, events: AsyncIterator[str]) -> None:
        if visit.own.streams >= STREAMS:
            raise HTTPException(429, "Too many live views are open.")
        super().__init__(events, media_type="text/event-stream", headers=_HEADERS)
        self._session = visit.own
        self._watcher = visit.gateway.watcher

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._session.streams += 1
        self._watcher.onlookers += 1
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._watcher.onlookers -= 1
            self._session.streams -= 1


async def live(view: View, request: Request) -> Response:
    """Send a view's changing part, first as it is and then whenever it is another one."""
    visit = Visit(request)
    watcher = visit.gateway.watcher
    session = visit.own

    async def events() -> AsyncIterator[str]:
        sent = ""
        async for _ in _versions(visit, session, watcher):
            now: datetime | None = None
            try:
                made = await view.make(visit)
                html, now = render(f"live/{view.name}.html", visit, made), made["now"]
            except (SourceError, NotSignedIn) as error:
                html = render("live/trouble.html", visit, {"trouble": error})
            if html != sent:
                sent = html
                yield _event("view", html)
            # By itself: where only time goes by, the view is not sent again.
            yield _event("now", {"at": iso(now), "text": f"{now:%H:%M:%S}"}) if now else ":\n\n"

    return _Stream(visit, events())


async def chart_points(request: Request) -> Response:
    """Send the points that come after those which the browser has."""
    visit = Visit(request)
    watcher = visit.gateway.watcher
    session = visit.own
    given = visit.query.get("after", "")
    count = int(given) if given.isascii() and given.isdigit() and len(given) < 12 else watcher.samples.count

    async def events() -> AsyncIterator[str]:
        sent = count
        async for _ in _versions(visit, session, watcher):
            samples = watcher.samples
            new = min(samples.count - sent, len(samples.points))
            if new > 0:
                sent = samples.count
                points = list(zip(samples.times, samples.points, strict=True))[-new:]
                yield _event(
                    "points",
                    [
                        {"at": at, "values": {name: value_of(name, point) for name in _DRAWN}}
                        for at, point in points
                    ],
                )
            else:
                yield ":\n\n"

    return _Stream(visit, events())


async def chart_data(request: Request) -> Response:
    """Return all charts of the range that the address asks for."""
    visit = Visit(request)
    times, points, _, _ = await points_of(visit)
    charts = [made for chart in CHARTS if (made := drawn(chart, times, points)) is not None]
    data = {"charts": charts, "count": visit.gateway.watcher.samples.count}
    return Response(json.dumps(data, allow_nan=False), media_type="application/json")


async def _versions(visit: Visit, session: Session, watcher: Watcher) -> AsyncIterator[int]:
    """Yield when there may be something new, for as long as the session may see it."""
    version = watcher.version
    while not (session.is_over or watcher.is_closed or visit.site.is_closing):
        # It counts as use: what is on the screen is looked at.
        if visit.site.sessions.find(session.id) is None or visit.server not in session.gateways:
            return
        yield version
        version = await watcher.next(version, _SILENCE)


def _event(name: str, data: Any) -> str:
    return f"event: {name}\ndata: {json.dumps(data, allow_nan=False)}\n\n"
