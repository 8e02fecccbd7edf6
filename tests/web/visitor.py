"""Somebody who looks at the page without a browser."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx

from pg_background.web import WebApp

from ..support.waiting import DEADLINE

_CSRF = re.compile(r'name="csrf" value="([^"]+)"')


class Visitor:
    """Asks for pages and sends forms, as a browser would."""

    def __init__(self, app: Any, origin: str, root: str = "") -> None:
        """
        Args:
            root: where the app is mounted.
        """
        self._app = app
        self.origin = origin
        self.root = root
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=origin)

    async def close(self) -> None:
        """Leave."""
        await self.client.aclose()

    async def get(self, path: str, **options: Any) -> httpx.Response:
        """Ask for a page."""
        return await self.client.get(self.root + path, **options)

    async def post(self, path: str, *, csrf: str | None = None, **fields: str) -> httpx.Response:
        """Send a form as the page itself does."""
        token = await self.csrf() if csrf is None else csrf
        return await self.client.post(
            self.root + path, data={"csrf": token, **fields}, headers={"Origin": self.origin}
        )

    async def csrf(self) -> str:
        """Return what forms of this session have."""
        found = _CSRF.search((await self.get("/sign-in")).text)
        return found[1] if found else ""

    async def sign_in(
        self, role: str, password: str, server: str = "server", **fields: str
    ) -> httpx.Response:
        """Sign in."""
        return await self.client.post(
            f"{self.root}/sign-in",
            data={"server": server, "role": role, "password": password, **fields},
            headers={"Origin": self.origin},
        )

    async def text(self, path: str) -> str:
        """Return a page that must be there."""
        answer = await self.get(path)
        assert answer.status_code == 200, (path, answer.status_code, answer.text)
        return answer.text

    async def until(self, path: str, is_so: Callable[[str], bool]) -> str:
        """Ask for a page again and again until it is so."""
        deadline = asyncio.get_running_loop().time() + DEADLINE
        while not is_so(text := await self.text(path)):
            assert asyncio.get_running_loop().time() < deadline, text
            await asyncio.sleep(0.05)
        return text

    @asynccontextmanager
    async def stream(self, path: str) -> AsyncIterator[Stream]:
        """Look at a live view, for the block."""
        made = Stream(self._app, self.root + path, self.client)
        try:
            yield made
        finally:
            await made.close()


class Stream:
    """A live view: httpx would wait for its end before it returned anything of it."""

    def __init__(self, app: WebApp, path: str, client: httpx.AsyncClient) -> None:
        cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        parts = urlsplit(path)
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": parts.path,
            "raw_path": parts.path.encode(),
            "root_path": "",
            "query_string": parts.query.encode(),
            "headers": [(b"host", str(client.base_url.host).encode()), (b"cookie", cookies.encode())],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }
        self._messages: asyncio.Queue[Any] = asyncio.Queue()
        self._gone = asyncio.Event()
        self._task = asyncio.ensure_future(app(scope, self._receive, self._messages.put))

    async def _receive(self) -> Any:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def start(self) -> Any:
        """Return the first message: the status and headers."""
        return await asyncio.wait_for(self._messages.get(), DEADLINE)

    async def events(self) -> AsyncIterator[tuple[str, Any]]:
        """Yield the events, each with what it brings."""
        while True:
            message = await asyncio.wait_for(self._messages.get(), DEADLINE)
            found = re.fullmatch(
                r"event: (\w+)\ndata: (.*)\n\n", message.get("body", b"").decode(), re.DOTALL
            )
            if found:
                yield found[1], json.loads(found[2])
            if not message.get("more_body", False) and message["type"] == "http.response.body":
                return

    async def until(self, is_so: Callable[[Any], bool]) -> Any:
        """Return the first event that is so."""
        async for _, data in self.events():
            if is_so(data):
                return data
        raise AssertionError("the view has ended")

    async def end(self) -> None:
        """Wait until the page ends it."""
        await asyncio.wait_for(asyncio.shield(self._task), DEADLINE)

    async def close(self) -> None:
        """Leave."""
        self._gone.set()
        await asyncio.wait_for(self._task, DEADLINE)


def query_of(address: str) -> dict[str, str]:
    """Return what an address asks for."""
    return dict(parse_qsl(urlsplit(address).query))
