"""A cancellation that meets what was waited for: it counts, or a task that was told to end would go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from pg_background.client.acompat import await_event
from pg_background.watching import server_source
from pg_background.watching.server_source import ServerSource
from pg_background.web.watcher import Watcher

from ..support.waiting import DEADLINE


async def test_the_event_comes_at_the_same_time() -> None:
    event = asyncio.Event()
    waiting = asyncio.ensure_future(await_event(event, DEADLINE))
    await asyncio.sleep(0)
    event.set()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_the_answer_comes_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def connected(conninfo: str) -> Any:
        return SimpleNamespace(closed=False)

    async def question(connection: Any) -> int:
        return await answer

    monkeypatch.setattr(server_source, "connected", connected)
    asking = asyncio.ensure_future(ServerSource("").ask(question))
    for _ in range(5):
        await asyncio.sleep(0)
    answer.set_result(1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_a_watcher_ends_whatever_it_asks() -> None:
    """Its question may swallow the cancellation."""
    asked = asyncio.Event()

    @asynccontextmanager
    async def swallowing() -> AsyncIterator[None]:
        try:
            yield
        except asyncio.CancelledError:
            return

    async def ask(question: Any) -> Any:
        async with swallowing():
            asked.set()
            await asyncio.sleep(DEADLINE)
        raise OSError("no answer")

    watcher = Watcher(ask)
    watcher.start()
    async with asyncio.timeout(DEADLINE / 2):
        await asked.wait()
        await watcher.close()
