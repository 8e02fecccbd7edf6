"""`pg-background top` on a real server."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from pg_background import Client
from pg_background.top import ServerSource, SourceError, TopApp
from pg_background.watching import SourceLost

from ..support.fix_cli import OnPlace
from ..support.fix_client import Place
from ..support.fix_db import Connection
from ..support.jobs import FOREVER
from ..support.screens import confirmed, shows
from ..support.terminal_top import leaves_top
from ..support.waiting import wait_until_sql


async def test_jobs_live(place: Place, client: Client, side: Connection) -> None:
    """What runs, what it waits for and how it ended; full SQL and error; cancel."""
    side.execute("CREATE TABLE gate ()")
    side.execute("BEGIN")
    side.execute("LOCK TABLE gate")
    held = client.launch("SELECT pg_background_progress(40, 'before'); LOCK TABLE gate", label="held up")
    failed = client.launch(f"/* {'long ' * 50}*/ SELECT 1/0 -- the end", label="fails")
    assert failed.wait()
    by = side.info.backend_pid
    app = TopApp(ServerSource(place.dsn()), interval=0.2)
    async with app.run_test(size=(200, 50), notifications=True) as pilot:
        await pilot.press("a")
        await shows(pilot, app, lambda text: "held up" in text and f" {by} " in text and " 40%" in text)
        await shows(pilot, app, lambda text: "Lock: relation" in text and "division by zero" in text)
        await pilot.press("slash", *"fails", "enter", "enter")
        await shows(pilot, app, lambda text: "-- the end" in text and "22012" in text)
        await pilot.press("escape", "escape", "slash", *str(held.pid), "enter", "c")
        await shows(pilot, app, lambda text: f"Cancel job {held.pid}?" in text)
        await pilot.press("y")
        await shows(pilot, app, lambda text: "canceled  " in text.partition("TIME")[2])
        endless = client.launch(FOREVER, label="endless")
        await pilot.press("escape", "slash", *"endless", "enter")
        await shows(pilot, app, lambda text: "running  " in text.partition("TIME")[2])
        await confirmed(pilot, app, "k")
        await shows(pilot, app, lambda text: "canceled  " in text.partition("TIME")[2])
    side.execute("ROLLBACK")
    assert (held.state, endless.state) == ("canceled", "canceled")
    for job in (held, failed, endless):
        job.detach()


async def test_connection_that_is_ended(place: Place, side: Connection) -> None:
    app = TopApp(ServerSource(place.dsn(application_name="top to be lost")), interval=0.2)
    lost = "FROM pg_stat_activity WHERE application_name = 'top to be lost'"
    async with app.run_test(size=(100, 24)) as pilot:
        await shows(pilot, app, lambda text: "clients on " in text and "connecting" not in text)
        place.server.execute("ALTER DATABASE clients ALLOW_CONNECTIONS false")
        try:
            side.execute(f"SELECT pg_terminate_backend(pid) {lost}".encode())
            await shows(pilot, app, lambda text: "CONNECTION LOST, trying again" in text)
        finally:
            place.server.execute("ALTER DATABASE clients ALLOW_CONNECTIONS true")
        await shows(pilot, app, lambda text: "CONNECTION LOST" not in text)
    wait_until_sql(side, f"SELECT count(*) {lost}", expected=0)


def test_command_on_a_terminal(bg: OnPlace) -> None:
    leaves_top(partial(bg.start, "top", "--interval", "0.2"), "clients on ")


def test_no_such_server(bg: OnPlace) -> None:
    done = bg.on_terminal("top", "-h", "/nowhere")
    assert done.code == 3
    assert "can't connect" in done.output


def test_needs_a_terminal(bg: OnPlace) -> None:
    done = bg("top")
    assert (done.code, done.output) == (2, "")
    assert "top needs a terminal; elsewhere use: pg-background ps" in done.errors


def test_without_textual(bg: OnPlace, tmp_path: Path) -> None:
    (tmp_path / "textual.py").write_text("raise ModuleNotFoundError('gone', name='textual')")
    done = bg.on_terminal("top", PYTHONPATH=str(tmp_path), NO_COLOR="1")
    assert done.code == 1
    assert done.output == "error: textual is not installed\nhint: pip install 'pg_background[top]'\n"


async def test_job_that_is_gone(place: Place, client: Client) -> None:
    """It is the job that the server does not know; the connection is not lost."""
    handle = client.launch("SELECT 1").handle
    client.attach(handle).detach()
    source = ServerSource(place.dsn())
    for ask in (source.inspect(handle), source.cancel(handle, 0)):
        with pytest.raises(SourceError, match="does not know the job") as caught:
            await ask
        assert not isinstance(caught.value, SourceLost)
    await source.close()
