"""A server that takes connections and says nothing, beside one that works."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import anyio

from ..support.waiting import DEADLINE
from .conftest import PASSWORD, MakeVisitor, MakeWeb, Someone


class Silent:
    """Counts who has connected, and who has given up."""

    def __init__(self) -> None:
        self.came = self.left = 0
        self.port = 0
        self.writers: list[asyncio.StreamWriter] = []

    @property
    def dsn(self) -> str:
        """How to connect to it."""
        return f"host=127.0.0.1 port={self.port} dbname=postgres user=postgres"

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Say nothing to somebody until they leave."""
        self.came += 1
        self.writers.append(writer)
        while await reader.read(1000):
            pass
        self.left += 1
        writer.close()


@asynccontextmanager
async def silent() -> AsyncIterator[Silent]:
    """Have such a server, for the block."""
    made = Silent()
    async with await asyncio.start_server(made.take, "127.0.0.1", 0) as server:
        made.port = server.sockets[0].getsockname()[1]
        yield made
        # What is open when the loop ends would be found in the middle of some other test.
        for writer in made.writers:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


async def until_somebody_came(*servers: Silent, count: int = 1) -> None:
    """Wait until so many have connected to each of them."""
    with anyio.fail_after(DEADLINE):
        while any(server.came < count for server in servers):
            await asyncio.sleep(0.01)


async def test_signing_in_to_another_one(
    make_web: MakeWeb, make_visitor: MakeVisitor, someone: Someone, tcp: str
) -> None:
    role = someone()
    async with silent() as hung:
        visitor = make_visitor(make_web({"hung": f"{hung.dsn} connect_timeout=3", "fine": tcp}))
        tries = [asyncio.ensure_future(visitor.sign_in(role, PASSWORD, "hung")) for _ in range(12)]
        await until_somebody_came(hung, count=4)
        assert (await visitor.sign_in(role, PASSWORD, "fine")).status_code == 303
        # While not one of them has an answer from the server.
        assert hung.left == 0
        for answer in await asyncio.gather(*tries):
            assert answer.status_code in (401, 429)
        # That it refuses everybody is no reason to be kept out of the other one.
        assert (await visitor.sign_in(role, PASSWORD, "hung")).status_code == 429
        assert (await visitor.sign_in(role, PASSWORD, "fine")).status_code == 303


async def test_entering_asks_all_servers_at_once(make_web: MakeWeb, make_visitor: MakeVisitor) -> None:
    async with silent() as one, silent() as other:
        servers = {"one": f"{one.dsn} connect_timeout=3600", "other": f"{other.dsn} connect_timeout=3600"}
        visitor = make_visitor(make_web(servers, own_key="key"))
        entering = asyncio.ensure_future(visitor.get("/enter?key=key"))
        await until_somebody_came(one, other)
        entering.cancel()
