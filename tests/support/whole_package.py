"""All SQL that the package has, sent once: by clients, the command line, its screen, and frameworks.

Jobs name everything in full, so that this works under any search_path, with a schema `work` that has a table
`gate`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mcp
import psycopg
import pytest
from opentelemetry import context, trace

from pg_background import AsyncClient, Client, Cluster, Handle
from pg_background.agents import Limits
from pg_background.agents.server import make_server
from pg_background.client import _waits as waits
from pg_background.doctor.preloading import configured
from pg_background.ext import otel
from pg_background.top import ServerSource

from .fix_cli import OnPlace
from .fix_client import Place
from .fix_notebook import Notebook
from .migrations import upgrade

ROWS = "SELECT 1 AS one, 'x'::pg_catalog.text AS two"

FOREVER = "SELECT pg_catalog.pg_sleep(86400)"

_MIGRATION = """
from alembic import op
import sqlalchemy as sa

from pg_background.ext.alembic import create_index_concurrently

revision = "1"
down_revision = None


def upgrade():
    op.create_table("indexed", sa.Column("id", sa.Integer), schema="work")
    create_index_concurrently(op, "by_id", "indexed", ["id"], schema="work")
"""


def use_client(dsn: str) -> None:
    """Do what a client can, over connections of its own."""
    with Client.connect(dsn) as client:
        assert client.run(ROWS, label="rows", timeout=60).one() == (1, "x")
        assert client.run("SELECT %s::pg_catalog.int4", [7]).value() == 7
        for _ in range(2):
            assert client.run("SET DateStyle = ISO").statusmessage == "SET"
        assert client.run_script(f"VACUUM work.gate; {ROWS}").one() == (1, "x")
        assert list(client.launch(ROWS).fetch(1)) == [[(1, "x")]]
        failed = client.submit("SELECT 1/0")
        assert isinstance(failed.exception(60), psycopg.errors.DivisionByZero)
        failed.detach()
        job = client.launch(FOREVER)
        assert client.attach(job.handle).state in ("starting", "running")
        assert job.progress == (None, None)
        assert job.handle in {known.handle for known in client.jobs()}
        assert client.stats().workers_launched > 0
        job.cancel(grace=60)
        job.wait()
        job.detach()
        ended = client.launch(ROWS)
        ended.wait()
        assert [column.name for column in ended.describe()] == ["one", "two"]
        ended.detach()


def use_cluster(dsn: str) -> None:
    """Place a job, and ask for the load as a role that may see the list of jobs, and not the registry."""
    with Cluster.connect([dsn]) as cluster:
        assert cluster.run(ROWS).one() == (1, "x")
        with cluster.nodes[0].client.session.connection() as connection:
            connection.execute("SET ROLE pg_read_all_stats")
        assert cluster.nodes[0].answers()


async def use_async_client(dsn: str) -> None:
    """Do some of it asynchronously: the SQL is the same."""
    async with await AsyncClient.connect(dsn) as client:
        assert (await client.run(ROWS)).one() == (1, "x")
        assert [page async for page in (await client.launch(ROWS)).fetch(1)] == [[(1, "x")]]


def use_connection(dsn: str) -> None:
    """Wait in a transaction for a job that waits for its end."""
    with pytest.MonkeyPatch.context() as patch, psycopg.connect(dsn) as connection:
        patch.setattr(waits, "DEADLOCK_SECONDS", 0)
        with connection.transaction():
            connection.execute("LOCK TABLE work.gate")
            with Client(connection) as client:
                job = client.launch("SELECT 1 FROM work.gate")
                with pytest.raises(psycopg.errors.DeadlockDetected, match="open transaction holds"):
                    job.wait()
                job.discard()


def use_command_line(bg: OnPlace) -> None:
    """Run every command that asks a server something."""
    ended = bg.handle("launch", ROWS)
    running = bg.handle("submit", "--label", "long", FOREVER)
    for words, output in (
        (["run", ROWS], "one"),
        (["run", "SET DateStyle = ISO"], "SET"),
        (["ps", "--all"], ended),
        (["show", running], FOREVER),
        (["wait", ended], "done"),
        (["show", ended], "columns"),
        (["result", ended], "one"),
        (["show", ended], "done"),
        (["cancel", "--grace", "60", running], ""),
        (["detach", running], ""),
        (["doctor"], "SELECT 1 ran in the background"),
        (["drain", "--timeout", "0"], "running: 0"),
        (["drain", "--resume"], ""),
    ):
        done = bg(*words)
        assert done.code == 0, (words, done.output, done.errors)
        assert output in done.output, (words, done.output)


async def use_screen(dsn: str) -> None:
    """Ask what `top` asks, without the screen."""
    source = ServerSource(dsn)
    async with await AsyncClient.connect(dsn) as client:
        job = await client.launch(FOREVER)
        assert job.handle in {known.handle for known in (await source.poll()).jobs}
        assert (await source.inspect(job.handle)).sql == FOREVER
        await source.cancel(job.handle, 60)
        await job.wait()
        await job.detach()
    await source.close()


async def use_agents(dsn: str) -> None:
    """Call each tool that agents have."""
    async with mcp.Client(make_server(dsn, Limits())) as agent:

        async def use(tool: str, **arguments: Any) -> dict[str, Any]:
            found = await agent.call_tool(tool, arguments)
            assert not found.is_error, found.content
            answer: dict[str, Any] = found.structured_content
            return answer

        job = await use("start_job", sql=ROWS, timeout_seconds=60)
        await use("wait_for_jobs", handles=[job["handle"]])
        await use("get_job", handle=job["handle"])
        await use("list_jobs")
        await use("check_server")
        assert (await use("read_result", handle=job["handle"]))["rows"] == [[1, "x"]]
        job = await use("start_job", sql=FOREVER)
        await use("cancel_job", handle=job["handle"])
        await use("detach_job", handle=job["handle"])


def use_tracing(dsn: str) -> None:
    """Follow jobs that are alone and those that are watched."""
    caller = trace.SpanContext(1, 2, is_remote=True, trace_flags=trace.TraceFlags(1))
    token = context.attach(trace.set_span_in_context(trace.NonRecordingSpan(caller)))
    otel.instrument(trace.NoOpTracerProvider())
    try:
        with Client.connect(dsn) as client:
            assert client.run(ROWS, timeout=60, read_only=True).one() == (1, "x")
            assert client.wait_all([client.launch(ROWS)], 60)
    finally:
        otel.uninstrument()
        context.detach(token)


def use_install(dsn: str) -> None:
    """Ask what `install` asks."""
    with psycopg.connect(dsn) as connection:
        assert configured(connection) == ("pg_background", False)


def use_frameworks(place: Place, notebook: Notebook, folder: Path) -> None:
    """Run a job from each of those that there is support for."""
    _use_django(place)
    upgrade(folder, _MIGRATION, place.url("postgresql+psycopg"))
    _use_sqlalchemy(place)
    notebook.run(f"%bg --name=job {ROWS}")
    notebook.run("%bg_wait")
    assert notebook.run("job.result().one()") == (1, "x")


def _use_sqlalchemy(place: Place) -> None:
    from sqlalchemy import create_engine, text
    from sqlalchemy.orm import Session

    from pg_background.ext.sqlalchemy import launch

    engine = create_engine(place.url("postgresql+psycopg"))
    with Session(engine) as session:
        assert tuple(launch(session, text(ROWS)).result(60).one()) == (1, "x")
    engine.dispose()


def _use_django(place: Place) -> None:
    from django.db import connections
    from psycopg.conninfo import conninfo_to_dict

    from .shop_tasks import fail_check

    parts = conninfo_to_dict(place.dsn())
    wrapper: Any = connections["default"]
    wrapper.close()
    wrapper.settings_dict.update(
        NAME=parts.pop("dbname"),
        USER=parts.pop("user"),
        HOST=parts.pop("host"),
        PORT=str(parts.pop("port")),
        OPTIONS=parts,
    )
    result = fail_check.enqueue()
    job = Client(wrapper.connection).attach(Handle(*map(int, result.id.split("."))))
    job.wait()
    result.refresh()
    assert str(result.status) == "FAILED"
    job.detach()
    wrapper.close()
