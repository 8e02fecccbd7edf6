"""`make demo`, end to end and twice; smaller than by default, and otherwise as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from pg_background.server import Cluster, Status

from ..support.waiting import wait_until

# The demo has its own server, the embedded one, whichever the tests run on.
pytestmark = [pytest.mark.pg("== 18"), pytest.mark.slow]

ROOT = Path(__file__).parents[2]
ORDERS = 20_000


def run_demo(data: Path, cache: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the demo in a pipe."""
    return subprocess.run(
        [sys.executable, "-m", "examples.demo", "--data", data, *options],
        cwd=ROOT,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("PG")},
            "PG_BACKGROUND_CACHE": str(cache),
        },
        capture_output=True,
        text=True,
        check=False,
    )


def run_printed(command: str, *more: str) -> str:
    """Run a command that the demo printed, as a user does who copies it."""
    done = subprocess.run(
        ["sh", "-c", f'{command} "$@"', "sh", *more],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def after(text: str, title: str) -> str:
    """Return the indented block that follows a line."""
    block = text.split(f"\n{title}\n\n")[1].split("\n\n")[0]
    return "\n".join(line.removeprefix("    ") for line in block.splitlines())


def is_answered(address: str) -> bool:
    try:
        httpx.get(address)
    except httpx.TransportError:
        return False
    return True


def test_demo(data: Path, cache: Path) -> None:
    for _ in range(2):
        done = run_demo(data, cache, "--orders", str(ORDERS))
        assert (done.returncode, done.stderr) == (0, "")
        shown = done.stdout
        assert "\x1b" not in shown
        for expected in (
            "1. A heavy query in the background",
            f"INSERT 0 {ORDERS} in ",
            "5 rows in ",
            "tried to give order 4711 away",
            "\n    VACUUM \n",
            f"100 %  {ORDERS} of {ORDERS} orders",
            "ERROR:  57014: canceling statement due to user request",
            "ERROR:  2BP01: cannot drop table customers because other objects depend on it",
            "DETAIL:  constraint orders_customer_id_fkey on table orders depends on table customers",
            "HINT:  Use DROP ... CASCADE to drop the dependent objects too.",
            " times as fast, on ",
            'column "amont" does not exist',
            "workers_completed",
        ):
            assert expected in shown
    assert run_printed(after(shown, "With psql:"), "-XAtc", "SELECT count(*) FROM orders") == f"{ORDERS}\n"
    assert run_printed(after(shown, "From Python:")) == f"({ORDERS},)\n"
    address = after(shown, "All its jobs are on a web page, as long as the server runs:")
    with httpx.Client(follow_redirects=True) as browser:
        assert all(label in browser.get(address).text for label in ("demo: forecast", "demo: delivery"))
    run_printed(after(shown, "Stop the server with:"))
    assert Cluster(data).status() is Status.STOPPED
    wait_until(lambda: not is_answered(address), what="the page is gone with its server")


def test_demo_on_a_folder_of_something_else(data: Path, cache: Path) -> None:
    data.mkdir()
    (data / "letter.txt").write_text("dear")
    done = run_demo(data, cache)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


def test_demo_refuses_too_small_a_shop(data: Path, cache: Path) -> None:
    done = run_demo(data, cache, "--orders", "10")
    assert done.returncode == 2
    assert "at least" in done.stderr
