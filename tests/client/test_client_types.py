"""What type checkers know of rows, and what importing the package loads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pg_background

ROOT = Path(__file__).parents[2]

SNIPPET = """
from __future__ import annotations
from dataclasses import dataclass
from typing import Any
from psycopg.rows import class_row, dict_row, scalar_row
import pg_background as bg
from typing import assert_type

@dataclass
class Point:
    x: int

def sync(client: bg.Client[tuple[Any, ...]]) -> None:
    assert_type(bg.connect("", row_factory=dict_row), bg.Client[dict[str, Any]])
    assert_type(bg.connect("", connect_timeout=1), bg.Client[tuple[Any, ...]])
    assert_type(client.launch("SELECT 1"), bg.Job[tuple[Any, ...]])
    assert_type(client.launch("SELECT 1", [1], row_factory=class_row(Point), label="a"), bg.Job[Point])
    assert_type(client.launch("SELECT 1").state, bg.JobState)
    assert_type(client.run("SELECT 1", row_factory=class_row(Point)).one(), Point)
    assert_type(client.run("SELECT 1", row_factory=class_row(Point))[0:1], "bg.client.result.Sequence[Point]")
    assert_type(client.attach(1, 2, row_factory=dict_row), bg.Job[dict[str, Any]])
    for result in client.map("SELECT %s", [[1]], row_factory=class_row(Point)):
        assert_type(result, bg.Result[Point])
    for page in client.launch("SELECT 1", row_factory=class_row(Point)).fetch():
        assert_type(page, list[Point])
    for job in client.as_completed([client.launch("SELECT 1", row_factory=class_row(Point))]):
        assert_type(job, bg.Job[Point])
    with bg.Executor("", row_factory=class_row(Point)) as pool:
        assert_type(pool.submit("SELECT 1").result(), bg.Result[Point])

def bare(client: bg.Client, job: bg.Job, result: bg.Result, pool: bg.Executor, listed: bg.ListedJob) -> None:
    # Whoever names no rows has psycopg's, which are tuples.
    assert_type(client.run("SELECT 1"), bg.Result[tuple[Any, ...]])
    assert_type(job.result(), bg.Result[tuple[Any, ...]])
    assert_type(result.one(), tuple[Any, ...])
    assert_type(result.fetchone(), tuple[Any, ...] | None)
    assert_type(result.fetchall(), list[tuple[Any, ...]])
    assert_type(result.to_dicts(), list[dict[str, Any]])
    assert_type(result.notices, tuple[bg.Notice, ...])
    assert_type(pool.submit("SELECT 1"), bg.JobFuture[tuple[Any, ...]])
    assert_type(client.jobs(), list[bg.ListedJob])
    listed.cancel()
    for row in client.map("SELECT %s", [1, 2]):
        assert_type(row, bg.Result[tuple[Any, ...]])

async def bare_too(client: bg.AsyncClient, job: bg.AsyncJob) -> None:
    assert_type(await client.run("SELECT 1"), bg.Result[tuple[Any, ...]])
    assert_type(await job, bg.Result[tuple[Any, ...]])

async def asynchronous(client: bg.AsyncClient[tuple[Any, ...]]) -> None:
    job = await client.launch("SELECT 1", row_factory=class_row(Point))
    assert_type(job, bg.AsyncJob[Point])
    assert_type(await job, bg.Result[Point])
    assert_type(await job.state, bg.JobState)
    async with await bg.AsyncClient.connect("", row_factory=dict_row) as other:
        assert_type(await other.run("SELECT 1"), bg.Result[dict[str, Any]])
"""

MISTAKES = """
from typing import Any
import pg_background as bg

def wrong(client: bg.Client[tuple[Any, ...]]) -> None:
    client.launch(5)
    client.launch("SELECT 1", lable="a")
    client.launch("SELECT 1", on_full="maybe")
    bg.connect(5)
"""


def mypy(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--config-file", "/dev/null", path],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT / "src",
    )


def test_mypy_knows_the_rows(tmp_path: Path) -> None:
    path = tmp_path / "snippet.py"
    path.write_text(
        SNIPPET.replace('"bg.client.result.Sequence[Point]"', "Sequence[Point]").replace(
            "from dataclasses", "from collections.abc import Sequence\nfrom dataclasses"
        )
    )
    done = mypy(path)
    assert done.stdout == ""


def test_mypy_sees_mistakes(tmp_path: Path) -> None:
    path = tmp_path / "mistakes.py"
    path.write_text(MISTAKES)
    found = {int(line.split(":")[1]) for line in mypy(path).stdout.splitlines() if ": error:" in line}
    assert found == {6, 7, 8, 9}


def test_the_import_is_light() -> None:
    """Of the package alone not even psycopg: the pytest plugin is loaded where nobody needs it."""
    heavy = {"psycopg", "typer", "rich", "IPython"}
    code = f"import sys, pg_background; print(*sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
    code = code.replace("import sys, pg_background", "import sys; from pg_background import *")
    code = code.replace("psycopg", "pyarrow")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_public_names() -> None:
    assert pg_background.__all__ == sorted(pg_background.__all__)
    for name in pg_background.__all__:
        value = getattr(pg_background, name)
        if isinstance(value, type):
            assert value.__doc__
    assert set(pg_background.__all__) <= set(dir(pg_background))
