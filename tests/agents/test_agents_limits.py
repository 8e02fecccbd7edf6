"""What a job or a client can't do to those who talk to `pg-background mcp`."""

from __future__ import annotations

import asyncio
import json

import anyio

from ..support.fix_db import Connection
from ..support.waiting import DEADLINE
from .conftest import MakeAgent

_LONG = """
DO $$ BEGIN
    RAISE EXCEPTION USING
        MESSAGE = repeat('m', 1000000), DETAIL = repeat('d', 1000000), HINT = repeat('h', 1000000);
END $$
"""

_FETCHING = """
SELECT FROM pg_stat_activity WHERE query LIKE 'FETCH FORWARD%' AND datname = current_database()
"""


async def test_long_errors_are_cut(make_agent: MakeAgent) -> None:
    async with make_agent() as agent:
        job = await agent.run(_LONG)
        assert job["error"]["message"].startswith("mmm")
        for tool, arguments in {
            "read_result": {"handle": job["handle"]},
            "get_job": {"handle": job["handle"]},
            "wait_for_jobs": {"handles": [job["handle"]]},
        }.items():
            assert len(json.dumps(await agent(tool, **arguments))) < 20_000


async def test_half_a_character_is_refused_with_words(make_agent: MakeAgent) -> None:
    async with make_agent() as agent:
        said = await agent.refused("start_job", sql="SELECT $1::text", params=["\ud800"])
        assert "half of a pair" in said


async def test_a_result_outlives_the_call_that_asked_for_it(make_agent: MakeAgent, side: Connection) -> None:
    """Clients give up calls; the server gives a result once."""
    async with make_agent() as agent:
        job = await agent.run("SELECT n, repeat('x', 500) FROM generate_series(1, 100000) AS n")
        call = asyncio.ensure_future(agent("read_result", handle=job["handle"], rows=1))
        with anyio.fail_after(DEADLINE):
            while not side.execute(_FETCHING).rowcount:
                await asyncio.sleep(0.002)
        call.cancel()
        await asyncio.wait([call])
        assert call.cancelled()
        page = await agent("read_result", handle=job["handle"], offset=99_999, rows=1)
        assert page["rows"] == [[100_000, "x" * 500]]
