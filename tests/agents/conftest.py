"""Agents that call the tools."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from mcp import Client
from psycopg.conninfo import make_conninfo

from pg_background.agents import Limits
from pg_background.agents.limits import LONGEST_WAIT
from pg_background.agents.server import make_server

from ..support.fix_client import Place


class Agent:
    """Calls tools."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def __call__(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Return the structured answer, which must be that of the text too."""
        found = await self.client.call_tool(tool, arguments)
        assert not found.is_error, found.content
        assert isinstance(found.structured_content, dict)
        text = json.loads(found.content[0].text)  # type: ignore[union-attr]
        assert text == {name: value for name, value in found.structured_content.items() if value is not None}
        return found.structured_content

    async def refused(self, tool: str, **arguments: Any) -> str:
        """Return what an error says."""
        found = await self.client.call_tool(tool, arguments)
        assert found.is_error, found.structured_content
        return str(found.content[0].text)  # type: ignore[union-attr]

    async def run(self, sql: str, **arguments: Any) -> dict[str, Any]:
        """Start SQL, wait for its end, and return how it stands."""
        return await self("start_job", sql=sql, wait_seconds=LONGEST_WAIT, **arguments)

    async def rows(self, sql: str, **arguments: Any) -> list[list[Any]]:
        """Return the rows of SQL."""
        job = await self.run(sql, **arguments)
        assert job["state"] == "done", job
        rows: list[list[Any]] = (await self("read_result", handle=job["handle"]))["rows"]
        return rows


MakeAgent = Callable[..., AbstractAsyncContextManager[Agent]]


@pytest.fixture
def make_agent(place: Place) -> MakeAgent:
    """Makes agents of servers inside of this process."""

    @asynccontextmanager
    async def make(limits: Limits | None = None, **parameters: str) -> AsyncIterator[Agent]:
        conninfo = make_conninfo(place.dsn(), **parameters)
        async with Client(make_server(conninfo, limits or Limits())) as client:
            yield Agent(client)

    return make
